//! The one integration test binary.

mod headless;
mod net;
mod wire;
