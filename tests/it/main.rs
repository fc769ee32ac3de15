//! The one integration test binary.

mod cli;
mod config;
mod engine;
mod fakes;
mod mcp;
mod store;
mod tools;
mod wire;
