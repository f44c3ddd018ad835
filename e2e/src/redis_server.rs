//! The Redis that `cargo xtask test` started, and servers of a test's own.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use url::Url;

use crate::eventually::eventually;
use crate::program::{Program, setting};
use crate::tcp_proxy::TcpProxy;

/// Redis has sixteen databases unless it is told otherwise; the first is for all tests.
const OWN_DATABASES: u8 = 15;

/// The shared server.
pub fn shared() -> Result<Url> {
    Ok(Url::parse(&setting("AGENTAPI_TEST_REDIS_URL")?)?)
}

/// A database of the shared server for one test, in which it counts its own replicas
/// only. There are fifteen for each program of tests.
pub fn own_database() -> Result<Url> {
    static USED: AtomicU8 = AtomicU8::new(0);
    let number = USED.fetch_add(1, Ordering::Relaxed);
    ensure!(number < OWN_DATABASES, "all databases are in use");
    let mut url = shared()?;
    url.set_path(&format!("/{}", number + 1));
    Ok(url)
}

/// A proxy in front of the server of a URL, and the URL of the proxy.
pub async fn proxied(mut url: Url) -> Result<(TcpProxy, Url)> {
    let host = url.host_str().context("the URL has a host")?;
    let proxy = TcpProxy::start(format!("{host}:{}", url.port().unwrap_or(6379))).await?;
    let address = proxy.address();
    let set = url.set_ip_host(address.ip()).is_ok() && url.set_port(Some(address.port())).is_ok();
    ensure!(set, "the URL cannot have an address");
    Ok((proxy, url))
}

/// A server of a test's own, which it can stop, suspend and start again.
pub struct RedisServer {
    port: u16,
    program: Option<Program>,
}

impl RedisServer {
    /// Starts one on a free port, without persistence.
    pub async fn start() -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = Self {
            port,
            program: None,
        };
        server.restart().await?;
        Ok(server)
    }

    /// Where it listens on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it with everything that it knew, and starts it again.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill().await?;
        let port = self.port.to_string();
        let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", ""];
        let quiet = ["--loglevel", "warning"];
        let program = Program::spawn(
            "redis-server".as_ref(),
            &[arguments.as_slice(), &quiet].concat(),
            &[],
        )?;
        self.program = Some(program);
        let client = redis::Client::open(self.url())?;
        eventually("Redis answers", || async {
            let mut connection = client.get_multiplexed_async_connection().await?;
            Ok(redis::cmd("PING").exec_async(&mut connection).await?)
        })
        .await
    }

    /// Kills it.
    pub async fn kill(&mut self) -> Result<()> {
        match self.program.take() {
            Some(mut program) => program.kill().await,
            None => Ok(()),
        }
    }

    /// Suspends it (SIGSTOP): it keeps its connections and answers nothing.
    pub fn suspend(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.program.as_ref().and_then(Program::id);
        let id = id.context("Redis does not run")?;
        let process = Pid::from_raw(i32::try_from(id)?).context("no process has this id")?;
        Ok(kill_process(process, signal)?)
    }
}
