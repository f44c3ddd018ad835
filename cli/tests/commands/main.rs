//! The commands of `agentapi` as a person or a script runs them. Nothing but
//! this repository is needed.

mod audit;
mod demo;
mod dev;
mod keys;
mod render;
mod support;
