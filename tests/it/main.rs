//! The one integration test binary.

mod cli;
mod config;
mod mcp;
mod tools;
