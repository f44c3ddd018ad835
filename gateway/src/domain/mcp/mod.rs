//! MCP messages and federation, without transport.
