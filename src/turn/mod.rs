//! The router loop as a pure machine: `Assembler`, `Dispatcher`, `Turn`.

pub mod arguments;
pub mod assembler;
pub mod scanner;

pub use arguments::Arguments;
pub use assembler::{AssembledCall, Assembler, AssemblerLimits, CallStatus, Declared, Piece, StreamEnd};
