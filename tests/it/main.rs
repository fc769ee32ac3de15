//! The one integration test binary.

mod mcp;
mod tools;
