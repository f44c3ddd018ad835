//! Readiness probes over plain HTTP on loopback.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Whether something accepts connections on this loopback port.
pub(crate) fn accepts(port: u16) -> bool {
    connect(port).is_ok()
}

/// The status code of `GET path`, or `None` where nothing answers HTTP.
pub(crate) fn status(port: u16, path: &str) -> Option<u16> {
    let mut stream = connect(port).ok()?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    parse_status(&head)
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// The code in a status line such as `HTTP/1.1 200 OK` (RFC 9112, section 4).
fn parse_status(head: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(head).ok()?;
    text.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_yields_its_code() {
        assert_eq!(parse_status(b"HTTP/1.1 503"), Some(503));
    }

    #[test]
    fn another_protocol_yields_no_status() {
        assert_eq!(parse_status(b"SSH-2.0-Open"), None);
    }
}
