//! A TCP proxy whose connections a test can cut, as an outage does.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to one address while it is whole.
pub struct TcpProxy {
    address: SocketAddr,
    whole: watch::Sender<bool>,
}

impl TcpProxy {
    /// Listens on a free loopback port; `target` is `host:port`.
    pub async fn start(target: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (whole, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target.clone(), state.clone()));
            }
        });
        Ok(Self { address, whole })
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
}

async fn forward(mut client: TcpStream, target: String, mut state: watch::Receiver<bool>) {
    if !*state.borrow_and_update() {
        return;
    }
    // An end of either side is the end of both.
    if let Ok(mut server) = TcpStream::connect(target).await {
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => {}
            _ = state.wait_for(|whole| !whole) => {}
        }
    }
}
