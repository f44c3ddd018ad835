//! Assembles the gateway and runs it.
