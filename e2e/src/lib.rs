//! What the tests of the whole platform share.
//!
//! - [`bare_cluster`]: an API server on which no operator runs until a test starts one.
//! - [`blackbox`]: one suite of the HTTP surface, run against the embedded mode and against the cluster.
//! - [`cache_contract`](mod@cache_contract): what every cache must do.
//! - [`client`]: requests over real HTTP, nothing hidden.
//! - [`cluster`]: the cluster of this test run, through kubectl.
//! - [`eventually`]: waiting for a condition instead of for a clock.
//! - [`issuer`]: an identity provider of the test's own.
//! - [`kubernetes_api`]: the API server, asked as anybody.
//! - [`mcp`]: an MCP client that keeps the bytes.
//! - [`organization`](mod@organization): an organization of a test's own on the cluster.
//! - [`oauth`]: an authorization server, an MCP server that takes its tokens, a gateway and a browser.
//! - [`operator_proofs`]: the operator under crash, fault and drift.
//! - [`peers`]: real MCP servers, a real identity provider and Redis over REST.
//! - [`postgres`]: a database of the test's own on a real PostgreSQL.
//! - [`program`]: the platform's programs as child processes.
//! - [`recorder`]: an MCP server that writes down how it was called.
//! - [`redis_server`]: the Redis of this test run, and servers of a test's own.
//! - [`results`]: figures that a proof leaves behind.
//! - [`store_contract`](mod@store_contract): what every store must do.
//! - [`tcp_proxy`]: a connection that a test can cut.
//! - `bin/replica`: a replica's store and recorder under load, to be killed.
//! - `bin/gateway_replica`: a whole gateway as a process, to be killed.
//! - [`transcript`]: what was answered, without what differs from run to run.

pub mod bare_cluster;
pub mod blackbox;
pub mod cache_contract;
pub mod client;
pub mod cluster;
pub mod eventually;
pub mod issuer;
pub mod kubernetes_api;
pub mod mcp;
pub mod oauth;
pub mod operator_proofs;
pub mod organization;
pub mod peers;
pub mod postgres;
pub mod program;
pub mod recorder;
pub mod redis_server;
pub mod results;
pub mod store_contract;
pub mod tcp_proxy;
pub mod transcript;
