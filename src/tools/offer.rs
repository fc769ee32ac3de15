//! What the model is offered: an adapted copy of each tool's schema.
