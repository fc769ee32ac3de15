//! Server connections, calls, cancellation: MCP behind one trait.
