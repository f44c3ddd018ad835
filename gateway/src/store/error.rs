//! What can go wrong in the store, and whether trying again may help.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::domain::audit::Month;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The user has as many sessions as the organization allows.
    #[error("the user already has {limit} sessions: end one first")]
    SessionLimit {
        /// The organization's `sessions.maxPerUser`.
        limit: u32,
    },
    /// The user has as many API keys as is allowed.
    #[error("the user already has {limit} API keys: revoke one first")]
    ApiKeyLimit {
        /// Most keys a user may have.
        limit: u32,
    },
    /// The user has as many MCP servers of their own as is allowed.
    #[error("the user already has {limit} MCP servers: remove one first")]
    McpServerLimit {
        /// Most servers a user may have.
        limit: u32,
    },
    /// The user has an MCP server of that name.
    #[error("the user already has an MCP server of that name")]
    McpServerNameTaken,
    /// The session has as many members as is allowed.
    #[error("the session already has {limit} members: remove one first")]
    MemberLimit {
        /// Most members a session may have.
        limit: u32,
    },
    /// The idempotency key was used with another body.
    #[error(
        "the Idempotency-Key was used with another body before: use a new one for another request"
    )]
    IdempotencyKeyReused,
    /// A text holds a NUL character, which PostgreSQL cannot store.
    #[error("a text with a NUL character cannot be stored or looked up")]
    NulCharacter,
    /// The database cannot be reached or is overloaded; trying again may help. Nothing was written.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The connection failed while a transaction was being committed: it may or may not have been.
    #[error("the database did not say whether it committed")]
    OutcomeUnknown(#[source] sqlx::Error),
    /// Another process took a writer of audit records for dead and closed its
    /// chains. Nothing was written; a new writer may write it.
    #[error("a writer of audit records was closed by another process")]
    WriterClosed,
    /// Records cannot be removed yet.
    #[error("the records of {month} are kept until {until}")]
    Retained {
        /// Month of the records.
        month: Month,
        /// When they may be removed.
        until: Timestamp,
    },
    /// The database refused the statement: a defect of this program or of the schema.
    #[error("the database refused a statement")]
    Database(#[source] sqlx::Error),
    /// A row holds what this build cannot read.
    #[error("a stored {what} cannot be read")]
    Corrupt {
        /// What kind of row it is.
        what: &'static str,
        /// Why it cannot be read.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The URL names no database that this build knows.
    #[error("the database URL must begin with postgres://, postgresql:// or sqlite:")]
    UnknownScheme,
    /// The URL cannot be read.
    #[error("the database URL cannot be read")]
    Url(#[source] sqlx::Error),
    /// Another process has the SQLite database open.
    #[error("{} is in use by another process: SQLite serves one process only; stop the other one, or use PostgreSQL", path.display())]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// The lock beside the SQLite database cannot be made.
    #[error("the lock file {} cannot be opened", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database role is one that row-level security does not bind.
    #[error(
        "the database role {role} {why}: connect as agentapi_gateway, which migrations/bootstrap.sql creates"
    )]
    PrivilegedRole {
        /// Name of the role.
        role: String,
        /// What makes it unfit.
        why: &'static str,
    },
    /// The schema is older than this build needs.
    #[error(
        "the database schema is at version {found}, this build needs {needed}: run `agentapi migrate` first"
    )]
    SchemaOutdated {
        /// Version found, 0 when nothing was ever migrated.
        found: i64,
        /// Version needed.
        needed: i64,
    },
    /// A migration of the embedded database failed.
    #[error("the database cannot be brought up to date")]
    Migration(#[source] Box<sqlx::migrate::MigrateError>),
}

impl StoreError {
    /// Whether the database could not be asked, so that trying again may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::OutcomeUnknown(_))
    }

    /// The error of a transaction that was being committed: only an answer that
    /// says "rolled back" says so.
    pub(super) fn of_commit(error: sqlx::Error) -> Self {
        let rolled_back =
            sqlstate(&error).is_some_and(|code| code.starts_with("23") || code.starts_with("40"));
        if rolled_back {
            error.into()
        } else {
            Self::OutcomeUnknown(error)
        }
    }

    /// A row that cannot be read.
    pub(crate) fn corrupt(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Corrupt {
            what,
            source: source.into(),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let transient = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => true,
            sqlx::Error::Database(answer) => {
                answer.code().is_some_and(|code| is_transient_code(&code))
            }
            _ => false,
        };
        if transient {
            Self::Unavailable(error)
        } else {
            Self::Database(error)
        }
    }
}

fn sqlstate(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    (code.len() == 5).then(|| code.into_owned())
}

/// Codes that say "not now" rather than "not this". SQLSTATEs have five
/// characters (PostgreSQL, appendix A); SQLite's are numbers, the low byte of
/// which is the primary result code.
fn is_transient_code(code: &str) -> bool {
    const SQLSTATE_CLASSES: [&str; 4] = ["08", "40", "53", "57"];
    const READ_ONLY_AFTER_FAILOVER: &str = "25006";
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    const SQLITE_BUSY_LOCKED_IOERR_FULL_CANTOPEN: [u32; 5] = [5, 6, 10, 13, 14];
    if code.len() == 5 {
        return SQLSTATE_CLASSES.iter().any(|class| code.starts_with(class))
            || [READ_ONLY_AFTER_FAILOVER, LOCK_NOT_AVAILABLE].contains(&code);
    }
    code.parse::<u32>()
        .is_ok_and(|code| SQLITE_BUSY_LOCKED_IOERR_FULL_CANTOPEN.contains(&(code & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_pass_by_themselves_are_transient() {
        for code in [
            "08006", "40001", "40P01", "53300", "57P01", "57014", "25006", "55P03", "5", "266",
            "13",
        ] {
            assert!(is_transient_code(code), "{code} should be transient");
        }
    }

    #[test]
    fn codes_of_defects_are_not_transient() {
        for code in ["23505", "42501", "42P01", "22021", "1", "787", "2067"] {
            assert!(!is_transient_code(code), "{code} should be a defect");
        }
    }

    #[test]
    fn a_connection_lost_during_commit_leaves_the_outcome_unknown() {
        let lost = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert!(matches!(
            StoreError::of_commit(lost),
            StoreError::OutcomeUnknown(_)
        ));
    }
}
