//! Recordings of both wires, and their replay.
