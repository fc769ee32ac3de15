//! The build script: which commit, and which TLS library, a binary was made of.
//!
//! # Invariants
//! - Without git, or out of a package, the build goes on and no commit is told.
//! - Only optimised builds ask: else each commit would build the crate anew.
//!
//! # Does not
//! Belong to the crate: it runs before it.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    println!("cargo::rustc-env=MILLRACE_TARGET={}", std::env::var("TARGET").unwrap_or_default());
    println!("cargo::rerun-if-changed=Cargo.lock");
    println!("cargo::rustc-env=MILLRACE_TLS={}", locked("rustls").unwrap_or_default());
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    for path in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", path]).filter(|path| std::path::Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    if let Some(commit) = git(&["log", "-1", "--format=%h %cs"]) {
        println!("cargo::rustc-env=MILLRACE_COMMIT={commit}");
    }
}

/// The version of a dependency, as it was locked.
fn locked(name: &str) -> Option<String> {
    let lock = std::fs::read_to_string("Cargo.lock").ok()?;
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// What git says of this very package; None where it is not its own repository.
fn git(arguments: &[&str]) -> Option<String> {
    let root = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    if !std::path::Path::new(&root).join(".git").exists() {
        return None;
    }
    let output = Command::new("git").args(["-C", &root]).args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    Some(said.trim().to_owned()).filter(|said| output.status.success() && !said.is_empty())
}
