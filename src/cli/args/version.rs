//! What `--version` says beyond the number: what a report needs to tell two binaries apart.

use std::sync::OnceLock;

/// The version with its commit (of optimised builds out of the repository), the libraries that matter to a report,
/// and the target.
pub(super) fn long() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let commit = option_env!("MILLRACE_COMMIT").map(|commit| format!(" ({commit})")).unwrap_or_default();
        format!(
            "{}{commit}\nSQLite {}\nTLS rustls {} (ring)\n{}",
            env!("CARGO_PKG_VERSION"),
            crate::store::sqlite_version(),
            env!("MILLRACE_TLS"),
            env!("MILLRACE_TARGET"),
        )
    })
}
