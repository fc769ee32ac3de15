//! HTTP and SSE: one task per response.

pub mod sse;
