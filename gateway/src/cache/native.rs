//! Redis's own protocol, over TCP or TLS.

use std::time::Duration;

use async_trait::async_trait;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, Pipeline, RedisError, Value};

use super::CacheError;
use super::connection::Connection;

/// A request must not wait longer than this for the permission to begin.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(250);
const CONNECTION_TIMEOUT: Duration = Duration::from_millis(500);

/// One connection that all requests share: commands under way at one time are
/// sent without waiting for each other's answers.
pub(super) struct Native(ConnectionManager);

impl Native {
    /// Reads a `redis://` or `rediss://` URL; connects when first used, and again
    /// whenever the connection is lost. Needs a Tokio runtime.
    pub(super) fn open(url: &str) -> Result<Self, CacheError> {
        let client = Client::open(url).map_err(|_| CacheError::Url)?;
        let configuration = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECTION_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            // The caller has a fallback and asks again later.
            .set_number_of_retries(0);
        let manager = ConnectionManager::new_lazy_with_config(client, configuration);
        manager.map(Self).map_err(CacheError::Unavailable)
    }
}

#[async_trait]
impl Connection for Native {
    async fn run(&self, command: &Cmd) -> Result<Value, RedisError> {
        command.query_async(&mut self.0.clone()).await
    }

    async fn run_all(
        &self,
        commands: &[Cmd],
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.clone());
        }
        let mut connection = self.0.clone();
        let answers = connection
            .req_packed_commands(&pipeline, 0, commands.len())
            .await?;
        Ok(answers.into_iter().map(Value::extract_error).collect())
    }
}
