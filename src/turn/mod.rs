//! The router loop as a pure machine: `Assembler`, `Dispatcher`, `Turn`.
