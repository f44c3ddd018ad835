//! What is sent to an upstream, and how its answer comes back.

use futures::stream::BoxStream;

use super::error::UpstreamError;

/// A request for an upstream, with what its answer is recognised by.
#[derive(Clone, Debug)]
pub struct Call {
    /// The whole message.
    pub text: String,
    /// Its id as it is written in the text.
    pub id: String,
    /// Its progress token as it is written in the text.
    pub progress_token: Option<String>,
}

/// Messages that end with the response to a call, or with an error.
pub type Messages = BoxStream<'static, Result<String, UpstreamError>>;

/// The answer to a call.
pub enum Reply {
    /// The response, and nothing else.
    Message(String),
    /// Messages on the way, then the response.
    Stream(Messages),
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message(text) => formatter.debug_tuple("Message").field(text).finish(),
            Self::Stream(_) => formatter.write_str("Stream"),
        }
    }
}

impl Reply {
    /// The response alone; what comes on the way is left out.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn response(self) -> Result<String, UpstreamError> {
        use futures::TryStreamExt;
        match self {
            Self::Message(text) => Ok(text),
            Self::Stream(mut messages) => {
                let mut last = None;
                while let Some(message) = messages.try_next().await? {
                    last = Some(message);
                }
                last.ok_or(UpstreamError::Interrupted)
            }
        }
    }
}
