//! The MCP endpoints (MCP 2025-03-26 to 2025-11-25, Streamable HTTP).
//!
//! - `/mcp`, `/o/{organization}/mcp`: all servers of the caller's organization as one.
//! - `/mcp/{server}`, `/o/{organization}/mcp/{server}`: one server, names untouched.
//! - `/v1/sessions/{id}/mcp`: all servers, within an agent session.
//!
//! A message passes these steps, each in its own file: `origin` lets no foreign
//! web page in, `request` checks what HTTP and JSON-RPC demand, `scope` finds what the path reaches, `live` the
//! session; `connect` begins one; `federated` or `single` decides who
//! answers; `relay` brings the answer back, and with it the audit record.

mod batch;
mod connect;
mod describe;
mod errors;
mod federated;
pub(crate) mod handlers;
mod in_flight;
mod lists;
mod live;
mod origin;
mod relay;
mod request;
pub(crate) mod respond;
mod retire;
mod scope;
mod single;

use std::sync::Arc;

pub use origin::Origins;
pub(crate) use origin::{check as check_origin, preflight};

use crate::store::Store;
use lists::Lists;
use live::LiveSessions;

/// What MCP requests share within a process. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Mcp {
    live: LiveSessions,
    lists: Lists,
}

impl Mcp {
    /// No sessions, nothing cached.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            live: LiveSessions::new(store),
            lists: Lists::new(),
        }
    }
}

#[cfg(test)]
mod batch_tests;
#[cfg(test)]
mod cancel_tests;
#[cfg(test)]
mod federated_tests;
#[cfg(test)]
mod own_servers_tests;
#[cfg(test)]
mod protocol_tests;
#[cfg(test)]
mod resilience_tests;
#[cfg(test)]
mod single_tests;
#[cfg(test)]
mod testing;
