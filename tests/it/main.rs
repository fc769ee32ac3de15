//! The one integration test binary.

mod engine;
mod fakes;
mod mcp;
mod store;
mod tools;
mod wire;
