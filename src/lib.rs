//! millrace: a streaming-first terminal client for chat with tools. `ARCHITECTURE.md` draws the layers.

pub mod app;
pub mod chat;
pub mod cli;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod engine;
pub mod export;
pub mod headless;
pub mod mcp;
pub mod net;
#[cfg(test)]
#[path = "../tests/it/properties.rs"]
mod properties;
pub mod record;
pub mod store;
pub mod syntax;
pub mod text;
pub mod tools;
pub mod tui;
pub mod turn;
pub mod ui;
pub mod wire;
