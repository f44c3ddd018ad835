//! The MCP endpoints.
