//! The part of millrace that the targets drive, compiled from its own sources: no terminal, store, HTTP or MCP.
//!
//! # Invariants
//! - Layers import lower ones only, so that these modules stand without the rest.

#[path = "../../src/chat/mod.rs"]
pub mod chat;
#[path = "../../src/export"]
pub mod export {
    pub mod import;
    pub mod json;
}
#[path = "../../src/text/mod.rs"]
pub mod text;
#[path = "../../src/tools/mod.rs"]
pub mod tools;
#[path = "../../src/turn/mod.rs"]
pub mod turn;
#[path = "../../src/wire/mod.rs"]
pub mod wire;

#[path = "../../src/net"]
pub mod net {
    pub mod sse;
}
