//! `completions SHELL` and `man`: made from the definition of the command line.

use std::io::{self, Write as _};

use clap::CommandFactory as _;

use super::args::Cli;

/// Prints a completion script.
pub fn completions(shell: clap_complete::Shell) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "millrace", &mut script);
    io::stdout().write_all(&script)
}

/// Prints the manual page, in roff.
pub fn man() -> io::Result<()> {
    clap_mangen::Man::new(Cli::command()).render(&mut io::stdout())
}
