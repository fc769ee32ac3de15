//! The one integration test binary.

mod engine;
mod fakes;
mod headless;
mod mcp;
mod net;
mod store;
mod tools;
mod wire;
