//! The `millrace` program: hands over to [`millrace::cli`].

fn main() -> std::process::ExitCode {
    millrace::cli::main()
}
