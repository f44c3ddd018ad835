//! How long a call may take (MCP 2025-11-25, Lifecycle, "Timeouts"): so long in
//! silence, and so long in all however much progress is heard.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::error::UpstreamError;
use crate::domain::mcp::{ServerKind, ServerMessage};

/// A call may take this many times the silence that is borne.
const TOTAL: u32 = 10;

/// The clock of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    silence: Duration,
    ends: Instant,
    client_is_asked: bool,
}

impl Deadline {
    /// A clock that starts now.
    pub(super) fn start(silence: Duration) -> Self {
        Self {
            silence,
            ends: Instant::now() + silence.saturating_mul(TOTAL),
            client_is_asked: false,
        }
    }

    /// Notes a message of the server. While the server waits for the client's answer
    /// to a request, which may be a person's, its silence is not its own.
    pub(super) fn heard(&mut self, message: &ServerMessage<'_>) {
        self.client_is_asked = matches!(message.kind, ServerKind::Request { .. });
    }

    /// The next step of the call, unless it takes too long.
    pub(super) async fn wait<T>(
        &self,
        step: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let (until, error) = self.limit(Instant::now());
        timeout_at(until, step).await.unwrap_or(Err(error))
    }

    /// Until when the next step may take, and what it is when it takes longer.
    fn limit(&self, now: Instant) -> (Instant, UpstreamError) {
        let silent = now + self.silence;
        if silent < self.ends && !self.client_is_asked {
            return (silent, UpstreamError::Timeout(self.silence));
        }
        let total = self.silence.saturating_mul(TOTAL);
        (self.ends, UpstreamError::Overdue(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(30);

    fn heard(deadline: &mut Deadline, text: &str) {
        deadline.heard(&ServerMessage::peek(text).unwrap());
    }

    #[test]
    fn silence_is_borne_for_so_long_after_each_message() {
        let deadline = Deadline::start(SILENCE);
        for elapsed in [Duration::ZERO, SILENCE, SILENCE * 8] {
            let now = deadline.ends - SILENCE * TOTAL + elapsed;
            let (until, error) = deadline.limit(now);
            assert_eq!(until, now + SILENCE);
            assert!(
                matches!(error, UpstreamError::Timeout(SILENCE)),
                "{error:?}"
            );
        }
    }

    #[test]
    fn progress_does_not_keep_a_call_alive_for_ever() {
        let deadline = Deadline::start(SILENCE);
        let (until, error) = deadline.limit(deadline.ends - SILENCE / 2);
        assert_eq!(until, deadline.ends);
        assert!(matches!(error, UpstreamError::Overdue(_)), "{error:?}");
    }

    #[test]
    fn a_server_that_waits_for_the_client_may_be_silent() {
        let mut deadline = Deadline::start(SILENCE);
        let now = Instant::now();
        heard(
            &mut deadline,
            r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create"}"#,
        );
        assert_eq!(deadline.limit(now).0, deadline.ends);
        heard(
            &mut deadline,
            r#"{"jsonrpc":"2.0","method":"notifications/message"}"#,
        );
        assert_eq!(deadline.limit(now).0, now + SILENCE);
    }
}
