//! What the model is offered and allowed: registry, wire names, schemas, policy decisions, pins.
