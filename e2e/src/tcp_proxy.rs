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
    moving: watch::Sender<bool>,
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
        let (moving, motion) = watch::channel(true);
        let lost = Lost::default();
        tokio::spawn({
            let lost = lost.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let line = Line {
                        whole: state.clone(),
                        moving: motion.clone(),
                        lost: lost.clone(),
                    };
                    tokio::spawn(line.forward(client, target.clone()));
                }
            }
        });
        Ok(Self {
            address,
            whole,
            moving,
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

    /// Keeps every byte back, as a server does that is stopped with SIGSTOP:
    /// connections stay, and new ones are taken and not answered.
    pub fn hold(&self) {
        self.moving.send_replace(false);
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        self.whole.send_replace(true);
        self.moving.send_replace(true);
    }

    /// The next request with these bytes reaches the server and is answered;
    /// its connection is closed before the answer reaches the client.
    pub fn lose_reply_to(&self, request: &'static [u8]) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
    }
}

/// What one connection is told.
struct Line {
    whole: watch::Receiver<bool>,
    moving: watch::Receiver<bool>,
    lost: Lost,
}

impl Line {
    /// Forwards one connection; an end of either side is the end of both.
    async fn forward(mut self, client: TcpStream, target: String) {
        if !*self.whole.borrow_and_update() {
            return;
        }
        if let Ok(server) = TcpStream::connect(target).await {
            let mut whole = self.whole.clone();
            tokio::select! {
                _ = self.exchange(client, server) => {}
                _ = whole.wait_for(|whole| !whole) => {}
            }
        }
    }

    async fn exchange(
        &mut self,
        mut client: TcpStream,
        mut server: TcpStream,
    ) -> std::io::Result<()> {
        let (mut request, mut reply) = ([0; 16 * 1024], [0; 16 * 1024]);
        loop {
            tokio::select! {
                read = client.read(&mut request) => {
                    let bytes = &request[..read?];
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    held(&mut self.moving).await;
                    server.write_all(bytes).await?;
                    if is_lost(&self.lost, bytes) {
                        server.readable().await?;
                        return Ok(());
                    }
                }
                read = server.read(&mut reply) => {
                    let bytes = &reply[..read?];
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    held(&mut self.moving).await;
                    client.write_all(bytes).await?;
                }
            }
        }
    }
}

/// Waits while everything is kept back.
async fn held(moving: &mut watch::Receiver<bool>) {
    // Fails when the proxy is gone, and then nobody holds anything.
    let _ = moving.wait_for(|moving| *moving).await;
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
