//! The view: `State` in, frame out.
