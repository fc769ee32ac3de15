//! The system's keyring, where there is one: Keychain, Credential Manager, or the Secret Service by way of libsecret's
//! `secret-tool`, whose secrets go through pipes and never into arguments.
//!
//! # Does not
//! Decide: who cannot keep a secret here keeps it in a file, and says so.

use std::path::PathBuf;

/// Where secrets can be kept beside files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keyring {
    /// Files alone.
    #[default]
    None,
    /// Keychain on macOS, Credential Manager on Windows.
    #[cfg(any(target_os = "macos", windows))]
    System,
    /// This `secret-tool`.
    SecretTool(PathBuf),
}

const SERVICE: &str = "millrace";

impl Keyring {
    /// The keyring of this machine. Nothing of it is asked yet.
    #[must_use]
    pub fn find() -> Self {
        #[cfg(any(target_os = "macos", windows))]
        return Self::System;
        #[cfg(not(any(target_os = "macos", windows)))]
        which::which("secret-tool").map_or(Self::None, Self::SecretTool)
    }

    /// Keeps a secret. Blocks, for at most ten seconds.
    ///
    /// # Errors
    /// In words for a person; never with the secret.
    pub(super) fn put(&self, account: &str, secret: &str) -> Result<(), String> {
        match self {
            Self::None => Err("there is none".to_owned()),
            #[cfg(any(target_os = "macos", windows))]
            Self::System => system::put(account, secret),
            Self::SecretTool(program) => {
                let label = format!("--label=millrace sign-in {account}");
                let args = ["store", &label, "service", SERVICE, "account", account];
                tool::run(program, &args, Some(secret)).map(drop)?;
                // It ends well also where nothing was kept.
                match self.get(account)? {
                    Some(kept) if kept == secret => Ok(()),
                    Some(_) | None => Err("it did not keep it".to_owned()),
                }
            }
        }
    }

    /// Fetches a secret. Blocks, for at most ten seconds.
    ///
    /// # Errors
    /// Where the keyring cannot be asked.
    pub(super) fn get(&self, account: &str) -> Result<Option<String>, String> {
        match self {
            Self::None => Ok(None),
            #[cfg(any(target_os = "macos", windows))]
            Self::System => system::get(account),
            Self::SecretTool(program) => {
                let found = tool::run(program, &["lookup", "service", SERVICE, "account", account], None);
                // It fails where it finds nothing, without a word; with one where it could not look.
                match found {
                    Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
                    Err(why) if why.is_empty() => Ok(None),
                    Err(why) => Err(why),
                }
            }
        }
    }

    /// Forgets a secret; that there was none is fine.
    ///
    /// # Errors
    /// Where it may still be there.
    pub(super) fn remove(&self, account: &str) -> Result<(), String> {
        match self {
            Self::None => Ok(()),
            #[cfg(any(target_os = "macos", windows))]
            Self::System => system::remove(account),
            Self::SecretTool(program) => {
                let _ = tool::run(program, &["clear", "service", SERVICE, "account", account], None);
                match self.get(account)? {
                    None => Ok(()),
                    Some(_) => Err("it is still there".to_owned()),
                }
            }
        }
    }
}

#[cfg(any(target_os = "macos", windows))]
mod system {
    use super::SERVICE;

    fn entry(account: &str) -> Result<keyring::Entry, String> {
        keyring::Entry::new(SERVICE, account).map_err(|error| error.to_string())
    }

    pub(super) fn put(account: &str, secret: &str) -> Result<(), String> {
        entry(account)?.set_password(secret).map_err(|error| error.to_string())
    }

    pub(super) fn get(account: &str) -> Result<Option<String>, String> {
        match entry(account)?.get_password() {
            Ok(secret) => Ok(Some(secret)),
            Err(keyring::Error::NoEntry) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(super) fn remove(account: &str) -> Result<(), String> {
        match entry(account)?.delete_credential() {
            Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

mod tool {
    use std::io::{Read as _, Write as _};
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    /// It may ask a person to unlock the keyring.
    const PATIENCE: Duration = Duration::from_secs(10);
    const OUTPUT_MAX: u64 = 256 * 1024;

    /// Its output, or what it said instead.
    pub(super) fn run(program: &Path, args: &[&str], input: Option<&str>) -> Result<String, String> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        // Threads, so that neither side waits for a full pipe.
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let text = input.unwrap_or_default().to_owned();
        let writer = std::thread::spawn(move || stdin.map(|mut pipe| pipe.write_all(text.as_bytes())));
        let reader = |pipe: Option<Box<dyn std::io::Read + Send>>| {
            std::thread::spawn(move || {
                let mut text = String::new();
                if let Some(pipe) = pipe {
                    let _ = pipe.take(OUTPUT_MAX).read_to_string(&mut text);
                }
                text
            })
        };
        let out = reader(stdout.map(|pipe| Box::new(pipe) as _));
        let err = reader(stderr.map(|pipe| Box::new(pipe) as _));
        let until = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None if Instant::now() >= until => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err("it did not answer within 10 s".to_owned());
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let _ = writer.join();
        let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
        if status.success() { Ok(out) } else { Err(err.trim().chars().take(200).collect()) }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
    fn tool(folder: &std::path::Path, script: &str) -> Keyring {
        let program = folder.join("secret-tool");
        std::fs::write(&program, format!("#!/bin/sh\ncd '{}'\n{script}\n", folder.display())).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        Keyring::SecretTool(program)
    }

    /// Keeps one secret in a file, as the real one does elsewhere.
    const WORKS: &str = r#"echo "$@" >> args
case $1 in
  store) cat > kept ;;
  lookup) [ -f kept ] && cat kept ;;
  clear) rm -f kept ;;
esac"#;

    #[test]
    fn a_secret_goes_in_and_comes_out_and_is_never_an_argument() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = tool(folder.path(), WORKS);
        assert_eq!(keyring.get("a"), Ok(None));
        assert_eq!(keyring.put("a", "canary-1"), Ok(()));
        assert_eq!(keyring.get("a"), Ok(Some("canary-1".into())));
        assert_eq!(keyring.remove("a"), Ok(()));
        assert_eq!(keyring.get("a"), Ok(None));
        let args = std::fs::read_to_string(folder.path().join("args")).unwrap();
        assert!(args.contains("store --label=millrace sign-in a service millrace account a"), "{args}");
        assert!(!args.contains("canary"));
    }

    #[test]
    fn a_keyring_that_does_not_work_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let broken = tool(folder.path(), "echo 'Cannot autolaunch D-Bus' >&2; exit 1");
        assert_eq!(broken.put("a", "x"), Err("Cannot autolaunch D-Bus".into()));
        assert_eq!(broken.get("a"), Err("Cannot autolaunch D-Bus".into()));
        let forgets = tool(folder.path(), "cat > /dev/null; exit 0");
        assert_eq!(forgets.put("a", "x"), Err("it did not keep it".into()));
        assert_eq!(Keyring::None.put("a", "x"), Err("there is none".into()));
    }
}
