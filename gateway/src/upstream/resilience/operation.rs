//! What is done at a server, as far as breakers, retries and metrics tell it apart.

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A session is begun.
    Connect,
    /// What the server offers is listed.
    List,
    /// A tool is called, or something else done that may have an effect.
    Call,
    /// Something is read.
    Read,
    /// A session is ended.
    Disconnect,
}

impl Operation {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Connect,
        Self::List,
        Self::Call,
        Self::Read,
        Self::Disconnect,
    ];

    /// The kind that a client's request is of. Of a method that nobody knows the worst is assumed.
    pub fn of(method: &str) -> Self {
        match method {
            "tools/list" | "prompts/list" | "resources/list" | "resources/templates/list" => {
                Self::List
            }
            "resources/read" | "prompts/get" | "completion/complete" | "ping" => Self::Read,
            _ => Self::Call,
        }
    }

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::List => "list",
            Self::Call => "call",
            Self::Read => "read",
            Self::Disconnect => "disconnect",
        }
    }

    /// Whether doing it twice is as good as doing it once.
    pub(super) const fn is_idempotent(self) -> bool {
        !matches!(self, Self::Call)
    }
}
