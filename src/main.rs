//! The `millrace` program: hands over to [`millrace::cli`].

fn main() -> std::process::ExitCode {
    // Before anything builds a TLS client; an error means that one is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    millrace::cli::main()
}
