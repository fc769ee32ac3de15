//! The same engine for pipes: text, JSON, NDJSON.
