//! A TCP proxy whose connections a test can cut, as an outage does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to one address while it is whole.
pub struct TcpProxy {
    address: SocketAddr,
    whole: watch::Sender<bool>,
    lost: Lost,
}

/// The request whose reply is lost next.
type Lost = Arc<Mutex<Option<&'static [u8]>>>;

impl TcpProxy {
    /// Listens on a free loopback port; `target` is `host:port`.
    pub async fn start(target: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (whole, state) = watch::channel(true);
        let lost = Lost::default();
        tokio::spawn({
            let lost = lost.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(forward(client, target.clone(), state.clone(), lost.clone()));
                }
            }
        });
        Ok(Self {
            address,
            whole,
            lost,
        })
    }

    /// Where to connect instead of the target.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection, and new ones as they come.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Lets new connections through again.
    pub fn heal(&self) {
        self.whole.send_replace(true);
    }

    /// The next request with these bytes reaches the server and is answered;
    /// its connection is closed before the answer reaches the client.
    pub fn lose_reply_to(&self, request: &'static [u8]) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
    }
}

/// Forwards one connection; an end of either side is the end of both.
async fn forward(client: TcpStream, target: String, mut state: watch::Receiver<bool>, lost: Lost) {
    if !*state.borrow_and_update() {
        return;
    }
    if let Ok(server) = TcpStream::connect(target).await {
        tokio::select! {
            _ = exchange(client, server, &lost) => {}
            _ = state.wait_for(|whole| !whole) => {}
        }
    }
}

async fn exchange(
    mut client: TcpStream,
    mut server: TcpStream,
    lost: &Lost,
) -> std::io::Result<()> {
    let (mut request, mut reply) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let bytes = &request[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                server.write_all(bytes).await?;
                if is_lost(lost, bytes) {
                    server.readable().await?;
                    return Ok(());
                }
            }
            read = server.read(&mut reply) => {
                let bytes = &reply[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                client.write_all(bytes).await?;
            }
        }
    }
}

/// Whether these bytes are the request whose reply is to be lost; there is one such request.
fn is_lost(lost: &Lost, bytes: &[u8]) -> bool {
    let mut lost = lost.lock().unwrap_or_else(PoisonError::into_inner);
    let found =
        lost.is_some_and(|request| bytes.windows(request.len()).any(|window| window == request));
    if found {
        *lost = None;
    }
    found
}
