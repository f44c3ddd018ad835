//! Everything the gateway dials: MCP servers, and every URL a tenant or a document names.
//!
//! - [`Dialer`], [`EgressPolicy`], [`HttpClient`]: where connections may go, and HTTP over them.
//! - [`Server`]: one MCP server of one organization, compiled from its configuration.
//! - [`Connection`]: an initialized session with one, over Streamable HTTP or a child process.
//! - [`inspect`]: what a server says of itself.
//! - [`EventSink`]: a webhook that is sent what happens in an organization.
//! - [`UpstreamSessions`]: the connections behind one MCP session of a client.

mod address;
mod answer_stream;
mod bridge_token;
mod connection;
mod credentials;
mod deadline;
mod dialer;
mod egress;
mod error;
mod event_sink;
mod event_stream;
mod hosts_file;
mod http_client;
mod inspection;
pub mod process;
mod reply;
mod resilience;
mod secrets;
mod server;
mod sessions;
mod streamable_http;
#[cfg(test)]
pub(crate) mod test_server;
mod tokens;
mod unanswered;

pub use address::Special;
pub use bridge_token::{BridgeSigner, BridgeTokenError, BridgeVerifier};
pub use connection::Connection;
pub use dialer::{DialError, Dialer, Resolve};
pub use egress::{EgressPolicy, Refusal};
pub use error::UpstreamError;
pub use event_sink::{EventSink, EventSinkError};
pub use hosts_file::HostsFile;
pub(crate) use http_client::client_tls;
pub use http_client::{HttpClient, HttpError, TrustError};
pub use inspection::{Inspection, inspect};
pub use reply::{Call, Messages, Reply};
pub use resilience::Operation;
pub use secrets::{SecretError, Secrets};
pub use server::{CompileError, Environment, Server};
pub use sessions::{Client, UpstreamSessions};
pub use streamable_http::{PROTOCOL_VERSION, SESSION_ID};
pub use tokens::{AccessToken, NoToken, NoTokens, Principal, UpstreamTokens};

#[cfg(test)]
pub(crate) use bridge_token::{audience as bridge_audience, test_signer as test_bridge_signer};
