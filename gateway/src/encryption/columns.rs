//! The columns that hold sealed values.

/// A column whose values are [`Sealed`](super::Sealed). Its table has the primary
/// key `(tenant_id, id)`, where `id` is the row in a [`Location`](super::Location).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SealedColumn {
    /// What authenticates the gateway to a user's own MCP server.
    McpCredentials,
    /// Tokens for an upstream server.
    OAuthTokens,
}

impl SealedColumn {
    /// Every column. The start-up check and `agentapi keys rewrap` walk all of them.
    pub const ALL: [Self; 2] = [Self::McpCredentials, Self::OAuthTokens];

    /// Name of the table.
    pub const fn table(self) -> &'static str {
        match self {
            Self::McpCredentials => "mcp_configs",
            Self::OAuthTokens => "oauth_tokens",
        }
    }

    /// Name of the column. The column beside it whose name ends with `_key` holds
    /// the id of the key, made by the database from the value itself.
    pub const fn column(self) -> &'static str {
        match self {
            Self::McpCredentials => "credentials",
            Self::OAuthTokens => "tokens",
        }
    }
}
