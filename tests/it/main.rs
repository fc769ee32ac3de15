//! The one integration test binary.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it stands")]

mod architecture;
mod briefing;
mod cli;
mod compacting;
mod config;
mod corpus;
mod demo;
mod engine;
mod entries;
mod exits;
mod fakes;
mod filmed;
mod find_tools;
mod fuzzed;
mod headless;
mod hostile;
mod import;
mod mcp;
mod net;
mod properties;
mod read_result;
mod results;
mod run;
mod sampled;
mod sign_in;
mod store;
mod titles;
mod tools;
mod tui;
mod ui;
mod wire;
