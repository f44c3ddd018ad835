//! A way to a Redis server: what the cache and the anchors need of one, whichever protocol it speaks.

use async_trait::async_trait;
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};

/// Sends commands to a Redis server, and reconnects by itself: until then every call fails quickly.
#[async_trait]
pub(super) trait Connection: Send + Sync + 'static {
    /// The answer to a command.
    async fn run(&self, command: &Cmd) -> Result<Value, RedisError>;

    /// The answers to commands that are sent in one round trip, in their order. They
    /// are no transaction: one may fail and the others not.
    async fn run_all(&self, commands: &[Cmd])
    -> Result<Vec<Result<Value, RedisError>>, RedisError>;
}

/// A Lua script, called by its digest and sent whole only to a server that does not know it.
pub(super) struct Script {
    code: &'static str,
    digest: String,
}

impl Script {
    pub(super) fn new(code: &'static str) -> Self {
        let digest = redis::Script::new(code).get_hash().to_owned();
        Self { code, digest }
    }

    /// Calls the script. `fill` adds the number of keys, the keys and the arguments.
    pub(super) async fn call(
        &self,
        connection: &dyn Connection,
        fill: impl Fn(&mut Cmd) + Sync,
    ) -> Result<Value, RedisError> {
        match connection.run(&self.by_digest(&fill)).await {
            Err(error) if is_unknown(&error) => connection.run(&self.whole(&fill)).await,
            answer => answer,
        }
    }

    /// Calls the script once for each of `fills`, in one round trip.
    pub(super) async fn call_all<F: Fn(&mut Cmd) + Sync>(
        &self,
        connection: &dyn Connection,
        fills: &[F],
    ) -> Result<Vec<Value>, RedisError> {
        let commands: Vec<Cmd> = fills.iter().map(|fill| self.by_digest(fill)).collect();
        let mut answers = Vec::with_capacity(fills.len());
        for (answer, fill) in connection.run_all(&commands).await?.into_iter().zip(fills) {
            answers.push(match answer {
                Err(error) if is_unknown(&error) => connection.run(&self.whole(fill)).await?,
                answer => answer?,
            });
        }
        Ok(answers)
    }

    fn by_digest(&self, fill: impl Fn(&mut Cmd)) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.digest);
        fill(&mut command);
        command
    }

    fn whole(&self, fill: impl Fn(&mut Cmd)) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(self.code);
        fill(&mut command);
        command
    }
}

fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
