//! What tests of connected accounts share: an authorization server and an MCP server
//! that takes its tokens, a gateway with one organization, and a browser.

mod authorization_server;
mod browser;
mod gateway;

pub use authorization_server::{AuthorizationServer, Behaviour, CLIENT_ID, CLIENT_SECRET};
pub use browser::{Browser, Page, fields};
pub use gateway::{
    ENCRYPTION_KEYS, OneClient, Running, SERVER, document, document_of, login_of, serve, start,
    start_at,
};
