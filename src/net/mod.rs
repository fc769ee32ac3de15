//! HTTP and SSE: one task per response.
