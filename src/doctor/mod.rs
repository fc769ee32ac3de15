//! What is wrong, and what to do: checks as data, printed as text or JSON.
//!
//! # Invariants
//! - A check that is not `ok` says what to do.
//! - Nothing here holds or prints a secret: a key is named by where it comes from.
//!
//! # Does not
//! Repair anything, or open what it judges: terminal, configuration, store and servers come as facts from the caller.

mod endpoint;
mod facts;
mod terminal;

use serde_json::{Value, json};

use crate::text::sanitize;

pub use endpoint::endpoint;
pub use facts::{ConfigFacts, Finding, StoreFacts, configuration, server, store};
pub use terminal::{TerminalFacts, terminal};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    /// It works, with less than it could.
    Warn,
    /// It does not work: `doctor` exits with 1.
    Broken,
    /// Could not be judged, since something before it is missing.
    Skipped,
}

impl Status {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Broken => "broken",
            Self::Skipped => "skipped",
        }
    }
}

/// One thing that was looked at. Raw text: it may quote a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Stable, for programs: `terminal.size`, `server.files`.
    pub name: String,
    pub status: Status,
    /// What was found.
    pub what: String,
    /// What to do; always there where the status is not `ok`.
    pub fix: Option<String>,
}

impl Check {
    #[must_use]
    pub fn ok(name: impl Into<String>, what: impl Into<String>) -> Self {
        Self { name: name.into(), status: Status::Ok, what: what.into(), fix: None }
    }

    #[must_use]
    pub fn not_ok(name: impl Into<String>, status: Status, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name: name.into(), status, what: what.into(), fix: Some(fix.into()) }
    }
}

/// All checks, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub checks: Vec<Check>,
}

impl Report {
    pub fn add(&mut self, checks: impl IntoIterator<Item = Check>) {
        self.checks.extend(checks);
    }

    /// 1 where something is broken, else 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(self.checks.iter().any(|check| check.status == Status::Broken))
    }

    /// For people: one line a check, what to do below it. Safe for a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let wide = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for check in &self.checks {
            let name = sanitize(&check.name);
            let what = one_line(&check.what);
            out.push_str(&format!("{:<8}{:<wide$}  {what}\n", check.status.word(), name.as_str()));
            if let Some(fix) = &check.fix {
                out.push_str(&format!("{:8}{:wide$}  → {}\n", "", "", one_line(fix)));
            }
        }
        let count = |status| self.checks.iter().filter(|check| check.status == status).count();
        out.push_str(&match (count(Status::Broken), count(Status::Warn)) {
            (0, 0) => "Nothing is broken.\n".to_owned(),
            (0, warnings) => format!("Nothing is broken; {warnings} could be better.\n"),
            (broken, _) => format!("{broken} broken.\n"),
        });
        out
    }

    /// For programs: `{"ok": bool, "checks": [{name, status, what, fix}]}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let checks: Vec<Value> = self
            .checks
            .iter()
            .map(|c| json!({"name": c.name, "status": c.status.word(), "what": c.what, "fix": c.fix}))
            .collect();
        json!({"ok": self.exit_code() == 0, "checks": checks})
    }
}

fn one_line(text: &str) -> String {
    sanitize(&text.split_whitespace().collect::<Vec<_>>().join(" ")).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_text_and_as_json_and_says_whether_something_is_broken() {
        let mut report = Report::default();
        report.add([Check::ok("terminal.size", "120x36")]);
        assert_eq!(report.exit_code(), 0);
        report.add([Check::not_ok("server.\u{1b}[31mx", Status::Broken, "no\nanswer", "Start it.")]);
        assert_eq!(report.exit_code(), 1);
        let text = report.to_text();
        assert!(text.contains("no answer") && text.contains("→ Start it.") && text.ends_with("1 broken.\n"), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert_eq!(report.to_json()["checks"][1]["fix"], "Start it.");
        assert_eq!(report.to_json()["ok"], false);
    }
}
