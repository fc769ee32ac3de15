//! The front end's state, pure: `State`, `Event`, `Effect`, `Command`, `update`.
