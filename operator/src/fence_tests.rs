use std::time::{Duration, Instant};

use http::Request;
use kube::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::fenced_client;
use crate::leader::Leadership;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers every request on one connection, and tells how many there were.
async fn serve(listener: TcpListener) -> std::io::Result<usize> {
    let (mut connection, _) = listener.accept().await?;
    let (mut requests, mut buffer) = (0, [0; 4096]);
    while connection.read(&mut buffer).await? > 0 {
        requests += 1;
        connection.write_all(ANSWER).await?;
    }
    Ok(requests)
}

async fn ask(client: &kube::Client) -> kube::Result<String> {
    let request = Request::get("/").body(Vec::new()).expect("a request");
    client.request_text(request).await
}

#[tokio::test]
async fn not_a_byte_leaves_on_an_open_connection_after_leadership_ended() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(serve(listener));
    let url = format!("http://{address}").parse().expect("a URL");
    let leadership = Leadership::default();
    let client = fenced_client(&Config::new(url), &leadership).expect("a client");
    leadership.set(Some(Instant::now() + Duration::from_secs(60)));
    assert_eq!(ask(&client).await.expect("an answer"), "ok");
    leadership.set(None);
    assert!(ask(&client).await.is_err(), "it was answered");
    drop(client);
    let requests = server.await.expect("the server ends");
    assert_eq!(requests.expect("requests"), 1);
}
