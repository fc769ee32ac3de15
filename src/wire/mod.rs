//! The provider dialects, sans-IO: request bodies out, event data in, deltas out.
