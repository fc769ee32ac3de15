//! Fetching a key from where it is kept.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::{KeySource, SavedKeys, Secret};

const COMMAND_LIMIT: Duration = Duration::from_secs(10);
/// Longest output of an `api_key_command`, in bytes.
const OUTPUT_MAX: u64 = 64 * 1024;

/// Why there is no key. Never holds what a program printed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("${0} is not set")]
    Unset(String),
    #[error("the key cannot be sent: it holds line breaks or other control characters")]
    Unfit,
    #[error("`{program}` could not be started: {error}")]
    Start { program: String, error: std::io::Error },
    #[error("`{program}` did not end within 10 s")]
    Slow { program: String },
    #[error("`{program}` ended with {status}; its output is not shown")]
    Failed { program: String, status: String },
    #[error("`{program}` printed no key")]
    Empty { program: String },
    #[error("no key is kept for {0}")]
    NotSaved(String),
}

impl KeySource {
    /// Asks for the key. A program is run without a shell, without stdin, its stderr closed.
    pub async fn read(&self, env: &BTreeMap<String, String>, saved: &SavedKeys) -> Result<Secret, KeyError> {
        let key = match self {
            Self::Env(name) => {
                let value = env.get(name).filter(|value| !value.trim().is_empty());
                Secret::new(value.ok_or_else(|| KeyError::Unset(name.clone()))?.trim())
            }
            Self::Literal(secret) => secret.clone(),
            Self::Saved(origin) => saved.get(origin).cloned().ok_or_else(|| KeyError::NotSaved(origin.clone()))?,
            Self::Command(argv) => run(argv, COMMAND_LIMIT).await?,
        };
        if key.is_empty() || key.expose().chars().any(|c| c.is_control() || !c.is_ascii()) {
            return Err(KeyError::Unfit);
        }
        Ok(key)
    }

    /// Where it comes from, for people: `$OPENAI_API_KEY`. Tells no secret.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Env(name) => format!("${name}"),
            Self::Command(argv) => format!("`{}`", argv.first().map_or("", String::as_str)),
            Self::Literal(_) => "config.toml".to_owned(),
            Self::Saved(_) => "secrets.toml".to_owned(),
        }
    }
}

async fn run(argv: &[String], limit: Duration) -> Result<Secret, KeyError> {
    let (program, args) = argv.split_first().ok_or_else(|| KeyError::Empty { program: String::new() })?;
    let program = program.clone();
    let start = |error| KeyError::Start { program: program.clone(), error };
    let mut child = tokio::process::Command::new(&program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(start)?;
    let mut output = Vec::new();
    let pipe = child.stdout.take();
    let work = async {
        if let Some(pipe) = pipe {
            pipe.take(OUTPUT_MAX).read_to_end(&mut output).await?;
        }
        child.wait().await
    };
    let status = match tokio::time::timeout(limit, work).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Err(start(error)),
        Err(_) => return Err(KeyError::Slow { program: program.clone() }),
    };
    if !status.success() {
        return Err(KeyError::Failed { program: program.clone(), status: status.to_string() });
    }
    let text = String::from_utf8(output).map_err(|_| KeyError::Unfit)?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.map(Secret::new).ok_or_else(|| KeyError::Empty { program: program.clone() })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str) -> KeySource {
        KeySource::Command(vec!["/bin/sh".into(), "-c".into(), script.into()])
    }

    #[tokio::test]
    async fn a_program_hands_over_its_first_line() {
        let (env, saved) = (BTreeMap::from([("K".to_owned(), " abc \n".to_owned())]), SavedKeys::default());
        let read = async |source: KeySource| source.read(&env, &saved).await.map(|s| s.expose().to_owned());
        assert_eq!(read(sh("echo; echo ' sk-1 '; echo sk-2")).await.unwrap(), "sk-1");
        assert_eq!(read(KeySource::Env("K".into())).await.unwrap(), "abc");
        for (source, expect) in [
            (sh("echo sk-oops; exit 3"), "exit status: 3"),
            (sh("true"), "printed no key"),
            (KeySource::Env("NONE".into()), "$NONE is not set"),
            (KeySource::Command(vec!["/no/such/program".into()]), "could not be started"),
            (KeySource::Literal(Secret::new("a\nb")), "cannot be sent"),
            (KeySource::Saved("https://x".into()), "no key is kept"),
        ] {
            let error = read(source).await.unwrap_err().to_string();
            assert!(error.contains(expect) && !error.contains("oops"), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_hangs_is_ended() {
        let (program, wait) = ("/bin/sleep".to_owned(), "600".to_owned());
        let error = run(&[program, wait], COMMAND_LIMIT).await.unwrap_err();
        assert!(matches!(error, KeyError::Slow { .. }), "{error}");
    }
}
