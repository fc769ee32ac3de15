//! Judging what the caller found out: configuration, store, servers.

use crate::chat::{Fault, ServerState, ServerStatus};

use super::{Check, Status};

/// The configuration as it was read.
#[derive(Clone, Debug, Default)]
pub struct ConfigFacts {
    pub path: String,
    pub exists: bool,
    /// In the order of the file.
    pub findings: Vec<Finding>,
}

#[derive(Clone, Debug)]
pub struct Finding {
    /// An error; else a warning.
    pub error: bool,
    /// `config.toml:12:1`
    pub place: String,
    pub message: String,
}

/// One check for the file, one for each thing that is wrong in it.
#[must_use]
pub fn configuration(facts: &ConfigFacts) -> Vec<Check> {
    const NAME: &str = "configuration";
    if !facts.exists {
        return vec![Check::ok(
            NAME,
            format!("none at {}; defaults hold (`millrace config init` writes one)", facts.path),
        )];
    }
    if facts.findings.is_empty() {
        return vec![Check::ok(NAME, facts.path.clone())];
    }
    let check = |finding: &Finding| {
        let status = if finding.error { Status::Broken } else { Status::Warn };
        let what = format!("{}: {}", finding.place, finding.message);
        Check::not_ok(NAME, status, what, "`millrace config edit` opens it, `millrace config check` shows the line.")
    };
    facts.findings.iter().map(check).collect()
}

/// Less free space is not worth a word, in bytes.
const WORTH_GIVING_BACK: u64 = 16 * 1024 * 1024;

/// The store as it was opened.
#[derive(Clone, Debug)]
pub struct StoreFacts {
    pub path: String,
    pub conversations: u64,
    pub writable: bool,
    /// What a check of the file's integrity found.
    pub damage: Option<String>,
    /// Of the file, in bytes.
    pub bytes: u64,
    /// How much of that holds nothing.
    pub free: u64,
}

#[must_use]
pub fn store(found: Result<&StoreFacts, &Fault>) -> Check {
    const NAME: &str = "store";
    match found {
        Ok(StoreFacts { path, damage: Some(damage), .. }) => Check::not_ok(
            NAME,
            Status::Broken,
            format!("{path} is damaged: {damage}"),
            "`millrace doctor --repair` sets it aside and saves what can be read into a new one.",
        ),
        Ok(facts) if facts.writable => {
            let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
            let mut what = format!("{}, {} conversations, {} MiB", facts.path, facts.conversations, mib(facts.bytes));
            if facts.free > WORTH_GIVING_BACK && facts.free > facts.bytes / 5 {
                what.push_str(&format!(
                    ", {} of them free: `millrace doctor --vacuum` gives them back",
                    mib(facts.free)
                ));
            }
            Check::ok(NAME, what)
        }
        Ok(facts) => Check::not_ok(
            NAME,
            Status::Broken,
            format!("{} cannot be written: new conversations will not be saved", facts.path),
            "Check the folder's permissions and the free space, or set MILLRACE_HOME.",
        ),
        Err(fault) => Check::not_ok(
            NAME,
            Status::Broken,
            fault.message.clone(),
            fault.hint.clone().unwrap_or_else(|| "Move the file aside to begin a new one; it is never deleted.".into()),
        ),
    }
}

#[must_use]
pub fn server(status: &ServerStatus) -> Check {
    let name = format!("server.{}", status.server.as_str());
    let why = status.message.clone().unwrap_or_else(|| "no reason given".into());
    match status.state {
        ServerState::Ready => {
            let speaks = status.speaks().map(|speaks| format!(", {speaks}")).unwrap_or_default();
            let what = format!("{} tools over {}{speaks}", status.tools, status.transport);
            if status.withheld == 0 {
                return Check::ok(name, what);
            }
            let what = format!("{what}; {} withheld", status.withheld);
            Check::not_ok(name, Status::Warn, what, "Look at the changes with ctrl+o in the chat screen.")
        }
        ServerState::Starting => Check::not_ok(
            name,
            Status::Broken,
            format!("has not answered yet: {}", status.line),
            "Raise server_start under [limits] if it is that slow.",
        ),
        ServerState::Failed => {
            let last = status.stderr.last().map(|line| format!("; its last words: {line}")).unwrap_or_default();
            let what = format!("{why} ({}){last}", status.line);
            Check::not_ok(name, Status::Broken, what, "Run the command by hand, or correct its entry.")
        }
        ServerState::NeedsLogin => {
            let fix = format!("`millrace mcp login {}`", status.server.as_str());
            Check::not_ok(name, Status::Broken, "wants a sign-in", fix)
        }
        ServerState::Off => {
            Check { name, status: Status::Skipped, what: "switched off".into(), fix: Some("ctrl+o starts it.".into()) }
        }
        ServerState::NeedsConsent => Check::not_ok(
            name,
            Status::Skipped,
            format!("has not been started yet: {}", status.line),
            "Open the chat screen, look at its command, and allow it.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{FaultKind, ServerName};

    #[test]
    fn whatever_is_not_ok_says_what_to_do() {
        let states = [
            ServerState::Starting,
            ServerState::Ready,
            ServerState::Failed,
            ServerState::NeedsLogin,
            ServerState::Off,
            ServerState::NeedsConsent,
        ];
        let mut checks: Vec<Check> = states
            .iter()
            .map(|state| {
                server(&ServerStatus {
                    state: *state,
                    tools: 3,
                    withheld: 1,
                    stderr: vec!["boom".into()],
                    ..ServerStatus::starting(ServerName::new("files"), "stdio", "npx files")
                })
            })
            .collect();
        checks.push(store(Err(&Fault::new(FaultKind::Store, "It is locked."))));
        let finding = Finding { error: true, place: "config.toml:1:1".into(), message: "unknown key".into() };
        checks.extend(configuration(&ConfigFacts {
            path: "config.toml".into(),
            exists: true,
            findings: vec![finding],
        }));
        for check in &checks {
            assert!(check.status == Status::Ok || check.fix.is_some(), "{check:?}");
        }
        let words: Vec<_> = checks.iter().map(|c| c.status.word()).collect();
        assert_eq!(words, ["broken", "warn", "broken", "broken", "skipped", "skipped", "broken", "broken"]);
        assert_eq!(configuration(&ConfigFacts::default())[0].status, Status::Ok);
    }
}
