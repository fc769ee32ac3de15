//! SQLite on one owning thread: conversations, calls, pins, grants, search.
