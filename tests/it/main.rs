//! The one integration test binary.
mod wire;
