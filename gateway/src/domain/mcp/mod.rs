//! MCP messages and federation, without transport.
//!
//! Messages are looked at, not built: what the gateway needs of one are spans
//! of its text, and what it changes is spliced into the text. Everything else,
//! known to this build or not, passes as it came.

mod batch;
mod digest;
mod envelope;
mod error;
mod federation;
mod filter;
mod initialize;
mod relayed;
mod server_message;
mod splice;
mod strict;

pub use batch::{BATCH_REVISION, batch_items};
pub use digest::tool_digest;
pub use envelope::{Envelope, Kind, Malformed};
pub use error::{RpcError, code};
pub use federation::{
    Failure, ListKind, federated_uri, merge, rename_items, rewrite_uris, split_name, split_uri,
};
pub use filter::{ToolFilter, without_withheld};
pub use initialize::{
    InitializeParams, LATEST_REVISION, REVISIONS, carried, negotiate, server_result, union,
};
pub use relayed::{client_answer, from_server};
pub use server_message::{ServerKind, ServerMessage, same_id};
pub use splice::{Edit, splice};
