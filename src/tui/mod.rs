//! The terminal: raw mode, input, event loop, frame clock, restore on every exit.
