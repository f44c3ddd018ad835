//! The parts of `docs/API.md` that come from the code.

use std::fmt::Write as _;

use super::problem::ErrorCode;
use super::routes::{Access, Endpoint, TABLE, method_name};
use crate::domain::access::Right;

/// Two tables in Markdown: which right each route needs and who holds it, and
/// every problem code.
pub fn reference() -> String {
    format!("{}\n{}", rights(), codes())
}

fn rights() -> String {
    let mut table =
        String::from("| right | held by | scope of API keys | routes |\n|---|---|---|---|\n");
    for right in Right::ALL {
        let needs =
            |row: &&Endpoint| matches!(row.access, Access::Needs(needed, _) if needed == right);
        let routes: Vec<_> = TABLE
            .iter()
            .filter(needs)
            .map(|row| format!("`{} {}`", method_name(&row.method), row.path))
            .collect();
        let roles: Vec<_> = right
            .held_by()
            .iter()
            .map(|role| format!("`{}`", role.name()))
            .collect();
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "| `{right}` | {} | {} | {} |",
            roles.join(", "),
            if right.is_grantable() { "yes" } else { "no" },
            routes.join(", "),
        );
    }
    table
}

fn codes() -> String {
    let mut table = String::from("| code | status | retryable | means |\n|---|---|---|---|\n");
    for code in ErrorCode::ALL {
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            code.name(),
            code.status().as_u16(),
            if code.retryable() { "yes" } else { "no" },
            code.title(),
        );
    }
    table
}
