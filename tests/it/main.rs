//! The one integration test binary.

mod architecture;
mod cli;
mod config;
mod demo;
mod engine;
mod fakes;
mod headless;
mod mcp;
mod net;
mod run;
mod store;
mod tools;
mod tui;
mod ui;
mod wire;
