//! Accounts at upstream servers: connected by a browser, used, refreshed, ended; and
//! what an attacker tries on the way. The gateway is whole, on SQLite.

#[path = "oauth/attacks.rs"]
mod attacks;
#[path = "oauth/flow.rs"]
mod flow;
