//! `millrace mcp add` and `remove`: one entry, written and taken away again.

use std::collections::BTreeMap;

use crate::chat::{Fault, FaultKind};
use crate::config::{Consent, DraftTransport, Edit, ServerDraft, Source, UrlKind, secrets_in_the_open, server_name_ok};
use crate::text::sanitize;

use super::show::{found, say, tool_line};
use super::visit::failures;
use super::{Bench, ask, config_fault};

/// What `mcp add` was asked to do besides.
pub(super) struct Wishes {
    pub(super) project: bool,
    pub(super) no_start: bool,
    pub(super) yes: bool,
}

impl Bench {
    pub(super) fn add(&self, name: &str, how: DraftTransport, wishes: Wishes) -> Result<u8, Fault> {
        if !server_name_ok(name) {
            return Err(Fault::new(FaultKind::Usage, format!("{name:?} cannot be a server's name"))
                .hint("Up to 32 of a-z, 0-9, - and _, without __, beginning with a letter or digit."));
        }
        if self.entries.iter().any(|entry| entry.name.as_str() == name) {
            return Err(Fault::new(FaultKind::Usage, format!("there is a server {name} already"))
                .hint(format!("Another name, or first: millrace mcp remove {name}")));
        }
        if let Some(secret) = secrets_in_the_open(&how) {
            return Err(Fault::new(FaultKind::Usage, secret)
                .hint("Put it into the environment and write ${env:NAME}: --env KEY='${env:NAME}'."));
        }
        let file =
            if wishes.project { self.setup.folder.join(".millrace.toml") } else { self.setup.paths.config_file() };
        let source = if wishes.project { Source::Project(file.clone()) } else { Source::User(file.clone()) };
        let draft = ServerDraft::new(name, how, source);
        let mut entry = self.expand(&draft);
        if let Some(reason) = &entry.disabled {
            return Err(Fault::new(FaultKind::Config, format!("{name} cannot be used: {reason}")));
        }
        let shown = self.setup.paths.show(&file);
        let what = if wishes.no_start { "will run as you when it is used" } else { "will run as you" };
        let question = match entry.transport {
            crate::config::Transport::Stdio { .. } => format!("Add {name:?} to {shown}? This program {what}:"),
            crate::config::Transport::Http { .. }
            | crate::config::Transport::Sse { .. }
            | crate::config::Transport::SimpleRpc { .. } => {
                format!("Add {name:?} to {shown}? This server is reached at:")
            }
        };
        if wishes.yes {
            eprintln!("{}", sanitize(&format!("{question}\n  {}", entry.line())));
        } else if !ask(&format!("{question}\n  {}", entry.line()), "Add it with --yes, or from a terminal.")? {
            eprintln!("Nothing was changed.");
            return Ok(0);
        }
        let mut code = 0;
        if !wishes.no_start {
            entry.consent = Consent::Given;
            let visits = self.visit(vec![entry])?;
            code = failures(&visits);
            for visit in visits.iter().filter(|visit| visit.is_ready()) {
                say(&found(visit));
                for tool in &visit.tools {
                    say(&format!("  {}", tool_line(name, tool)));
                }
                if let Some(instructions) = &visit.instructions {
                    say(&format!("It says of itself: {instructions}"));
                }
            }
        }
        let mut edit = Edit::open(&file).map_err(|error| config_fault(&error.to_string()))?;
        edit.put_server(&draft);
        edit.save().map_err(|error| config_fault(&error.to_string()))?;
        say(&format!("Saved [servers.{name}] in {shown}."));
        Ok(code)
    }

    pub(super) fn remove(&self, name: &str) -> Result<u8, Fault> {
        let entry = self.entry(name)?;
        let file = match &entry.source {
            Source::User(file) | Source::Project(file) => file.clone(),
            Source::File(file) => {
                let message = format!("{name} comes from {}, which is not millrace's", file.display());
                return Err(Fault::new(FaultKind::Usage, message).hint("Remove it there."));
            }
            Source::Program => return Err(Fault::new(FaultKind::Usage, format!("{name} is built in"))),
        };
        let mut edit = Edit::open(&file).map_err(|error| config_fault(&error.to_string()))?;
        edit.remove(&format!("servers.{name}"));
        edit.save().map_err(|error| config_fault(&error.to_string()))?;
        say(&format!("Removed [servers.{name}] from {}.", self.setup.paths.show(&file)));
        Ok(0)
    }
}

/// What `mcp add` was given, as a draft.
pub(super) fn transport(
    url: Option<String>,
    env: &[String],
    headers: &[String],
    mut command: Vec<String>,
) -> Result<DraftTransport, Fault> {
    let usage = |message: String| Fault::new(FaultKind::Usage, message);
    let pairs = |texts: &[String], sign: char, what: &str| {
        texts
            .iter()
            .map(|text| match text.split_once(sign) {
                Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
                _ => Err(usage(format!("{what} is written NAME{sign}VALUE, not {text:?}"))),
            })
            .collect::<Result<BTreeMap<_, _>, _>>()
    };
    match url {
        Some(_) if !env.is_empty() => Err(usage("--env is for a program, not for an address".to_owned())),
        Some(url) => Ok(DraftTransport::Url { kind: UrlKind::Http, url, headers: pairs(headers, ':', "a header")? }),
        None if command.is_empty() => Err(usage("neither a command nor an address was given".to_owned())),
        None if !headers.is_empty() => Err(usage("--header is for an address, not for a program".to_owned())),
        None => {
            let program = command.remove(0);
            Ok(DraftTransport::Stdio {
                command: program,
                args: command,
                env: pairs(env, '=', "a variable")?,
                cwd: None,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_a_program_or_an_address() {
        let command = || vec!["npx".to_owned(), "-y".to_owned()];
        assert!(transport(None, &["A=b=c".into()], &[], command()).is_ok());
        assert!(transport(None, &["A".into()], &[], command()).is_err());
        assert!(transport(None, &[], &["A: b".into()], command()).is_err());
        assert!(transport(Some("https://a/".into()), &[], &["A: b".into()], Vec::new()).is_ok());
        assert!(transport(None, &[], &[], Vec::new()).is_err());
    }
}
