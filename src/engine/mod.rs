//! The background task that drives turns over its ports.
