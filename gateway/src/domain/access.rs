//! Who may do what: rights, and the roles that hold them.
//!
//! A route needs one right (the table of `http::routes` says which); a caller
//! holds the rights of its roles. An API key holds those of its scopes that its
//! creator held.

use std::fmt;
use std::str::FromStr;

/// A role that the platform itself knows. Further roles of a token mean nothing
/// here; prompt policies and tool policies may name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Every caller whom an organization lets in, whatever its token says.
    User,
    /// Administers the organization.
    Admin,
    /// Reads and verifies the organization's record.
    Auditor,
}

impl Role {
    /// The name in tokens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }
}

/// One thing that a caller may be allowed to do in its own organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Right {
    /// See the sessions that one owns or takes part in, and their events.
    SessionsRead,
    /// Create, change, share and end sessions.
    SessionsWrite,
    /// See everybody's sessions, but not what is said and done in them.
    SessionsInspect,
    /// Use MCP servers.
    Mcp,
    /// See the organization's MCP servers and one's own.
    McpServersRead,
    /// Add, change, test and remove one's own MCP servers.
    McpServersManage,
    /// See one's composed prompt.
    PromptsPreview,
    /// Read and verify the organization's record.
    AuditRead,
    /// Make, see and revoke one's own API keys.
    ApiKeysManage,
    /// See and revoke everybody's API keys.
    ApiKeysAdminister,
    /// Erase personal fields from the organization's record.
    AuditErase,
    /// See events that could not be delivered.
    DeadLettersRead,
    /// Have such events sent again, or discard them.
    DeadLettersManage,
    /// See, make and end one's own connections with upstream servers.
    ConnectionsManage,
    /// Make and end the organization's own connections with upstream servers.
    ConnectionsAdminister,
    /// End everything of a user.
    UsersOffboard,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 16] = [
        Self::SessionsRead,
        Self::SessionsWrite,
        Self::SessionsInspect,
        Self::Mcp,
        Self::McpServersRead,
        Self::McpServersManage,
        Self::PromptsPreview,
        Self::AuditRead,
        Self::ApiKeysManage,
        Self::ApiKeysAdminister,
        Self::AuditErase,
        Self::DeadLettersRead,
        Self::DeadLettersManage,
        Self::ConnectionsManage,
        Self::ConnectionsAdminister,
        Self::UsersOffboard,
    ];

    /// Its name, which is also the name of an API key's scope.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionsRead => "sessions:read",
            Self::SessionsWrite => "sessions:write",
            Self::SessionsInspect => "sessions:inspect",
            Self::Mcp => "mcp",
            Self::McpServersRead => "mcp-servers:read",
            Self::McpServersManage => "mcp-servers:manage",
            Self::PromptsPreview => "prompts:preview",
            Self::AuditRead => "audit:read",
            Self::ApiKeysManage => "api-keys:manage",
            Self::ApiKeysAdminister => "api-keys:administer",
            Self::AuditErase => "audit:erase",
            Self::DeadLettersRead => "dead-letters:read",
            Self::DeadLettersManage => "dead-letters:manage",
            Self::ConnectionsManage => "connections:manage",
            Self::ConnectionsAdminister => "connections:administer",
            Self::UsersOffboard => "users:offboard",
        }
    }

    /// The roles that hold it.
    pub const fn held_by(self) -> &'static [Role] {
        match self {
            Self::SessionsRead
            | Self::SessionsWrite
            | Self::Mcp
            | Self::McpServersRead
            | Self::McpServersManage
            | Self::PromptsPreview
            | Self::ConnectionsManage
            | Self::ApiKeysManage => &[Role::User],
            Self::AuditErase
            | Self::DeadLettersManage
            | Self::ConnectionsAdminister
            | Self::UsersOffboard => &[Role::Admin],
            Self::AuditRead | Self::DeadLettersRead => &[Role::Admin, Role::Auditor],
            Self::SessionsInspect | Self::ApiKeysAdminister => &[Role::Admin],
        }
    }

    /// Whether an API key may have it. A key that could make or revoke keys
    /// would outlive its own end.
    pub const fn is_grantable(self) -> bool {
        !matches!(self, Self::ApiKeysManage | Self::ApiKeysAdminister)
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

impl fmt::Display for Right {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that is no right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no right: see the list in docs/API.md")]
pub struct UnknownRight(pub String);

impl FromStr for Right {
    type Err = UnknownRight;

    fn from_str(name: &str) -> Result<Self, UnknownRight> {
        let known = Self::ALL.into_iter().find(|right| right.name() == name);
        known.ok_or_else(|| UnknownRight(name.to_owned()))
    }
}

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u32);

impl Rights {
    /// What the roles of a token hold.
    pub fn of_roles(roles: &[String]) -> Self {
        let has = |role: &Role| *role == Role::User || roles.iter().any(|held| held == role.name());
        let held = |right: &Right| right.held_by().iter().any(has);
        Right::ALL.into_iter().filter(held).collect()
    }

    /// Those that are in both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the right is among them.
    pub const fn contain(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(roles: &[&str]) -> Rights {
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        Rights::of_roles(&roles)
    }

    #[test]
    fn every_caller_is_a_user() {
        assert_eq!(rights(&[]), rights(&["user"]));
        assert!(rights(&[]).contain(Right::SessionsRead));
    }

    #[test]
    fn an_auditor_reads_the_record_and_a_user_does_not() {
        assert!(rights(&["auditor"]).contain(Right::AuditRead));
        assert!(!rights(&["user"]).contain(Right::AuditRead));
    }

    #[test]
    fn a_role_that_the_platform_does_not_know_gives_nothing() {
        assert_eq!(rights(&["operator", "root", "Admin"]), rights(&[]));
    }

    #[test]
    fn names_read_back() {
        for right in Right::ALL {
            assert_eq!(right.name().parse(), Ok(right));
        }
    }
}
