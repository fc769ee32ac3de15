//! The built-in scripted model and MCP server.

pub mod server;
