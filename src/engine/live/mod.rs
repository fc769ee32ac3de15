//! The real ports: network, servers, store, clock.
