//! The one integration test binary.

mod tools;
