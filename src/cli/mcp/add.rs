//! `millrace mcp add` and `remove`: one entry, written and taken away again.

use std::collections::BTreeMap;

use crate::chat::{Fault, FaultKind, ServerState};
use crate::config::import::{installed, literals, unpinned};
use crate::config::{
    Consent, DraftTransport, Edit, ServerDraft, ServerEntry, Source, Transport, UrlKind, secrets_in_the_open,
    server_name_ok,
};
use crate::text::{hidden, visible};

use super::show::{beginning, found, say, say_line, shown, tool_line};
use super::visit::{Visit, failures};
use super::{Bench, ask, config_fault};

/// What `mcp add` was asked to do besides.
pub(super) struct Wishes {
    pub(super) project: bool,
    pub(super) no_start: bool,
    pub(super) pin: bool,
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
        let mut draft = ServerDraft::new(name, how, source);
        if wishes.pin {
            self.pin_draft(&mut draft, wishes.yes)?;
        }
        let mut entry = self.expand(&draft);
        if let Some(reason) = &entry.disabled {
            return Err(Fault::new(FaultKind::Config, format!("{name} cannot be used: {reason}")));
        }
        let shown_file = self.setup.paths.show(&file);
        let question = question(&entry, name, &shown_file, wishes.no_start);
        for note in notes(&draft) {
            eprintln!("{}", shown(&note));
        }
        if wishes.yes {
            eprintln!("{}", visible(&question));
        } else if !ask(&question, "Add it with --yes, or from a terminal.")? {
            eprintln!("Nothing was changed.");
            return Ok(0);
        }
        let (mut code, mut broken) = (0, false);
        if !wishes.no_start {
            entry.consent = Consent::Given;
            let visits = self.visit(vec![entry])?;
            code = failures(&visits);
            for visit in &visits {
                self.told_found(name, visit);
            }
            // One that only wants a sign-in is there.
            broken = visits.iter().any(|visit| visit.status.state == ServerState::Failed);
            if broken && !wishes.yes && !ask("It did not come up. Save it all the same?", "")? {
                eprintln!("Nothing was saved.");
                return Ok(code);
            }
            // What ran just now is what can be pinned.
            if !wishes.pin && unpinned(&draft).is_some() && !wishes.yes {
                self.pin_draft(&mut draft, false)?;
            }
        }
        let mut edit = Edit::open(&file).map_err(|error| config_fault(&error.to_string()))?;
        edit.put_server(&draft);
        edit.save().map_err(|error| config_fault(&error.to_string()))?;
        say(&format!("Saved [servers.{name}] in {shown_file}."));
        if wishes.project {
            say("It starts here once this file is trusted: millrace config trust");
        }
        if broken {
            say(&format!(
                "It did not come up, and is saved all the same. Try again: millrace mcp test {name}. Take it away: \
                 millrace mcp remove {name}"
            ));
        }
        Ok(code)
    }

    fn told_found(&self, name: &str, visit: &Visit) {
        if !visit.is_ready() {
            return;
        }
        say(&found(visit));
        for tool in &visit.tools {
            say_line(&format!("  {}", tool_line(name, tool)), "");
        }
        if let Some(instructions) = &visit.instructions {
            say(&format!("It says of itself: {}", beginning(instructions)));
        }
    }

    /// Writes the installed version of a package into a command that fetches the newest, where a person wants that.
    fn pin_draft(&self, draft: &mut ServerDraft, yes: bool) -> Result<(), Fault> {
        let Some(unpinned) = unpinned(draft) else { return Ok(()) };
        let version = self.setup.paths.home.as_ref().and_then(|home| installed(&unpinned, home));
        let Some(version) = version else {
            eprintln!(
                "No version of {} was found here to pin; write {} yourself.",
                shown(&unpinned.package),
                unpinned.with("VERSION")
            );
            return Ok(());
        };
        let question = format!("Pin it to what is installed now, {}?", unpinned.with(&version));
        if yes || ask(&question, "Pin it with --pin --yes.")? {
            unpinned.pin(draft, &version);
        }
        Ok(())
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

/// The exact command or address, and what is asked about it.
fn question(entry: &ServerEntry, name: &str, file: &str, no_start: bool) -> String {
    let head = match (&entry.transport, no_start) {
        (Transport::Stdio { .. }, true) => "This program will run as you when it is used:",
        (Transport::Stdio { .. }, false) => "This program will run as you, now and when it is used:",
        (Transport::Http { .. } | Transport::Sse { .. } | Transport::SimpleRpc { .. }, _) => {
            "This server is reached at:"
        }
    };
    format!("Add {name:?} to {file}? {head}\n  {}", entry.line())
}

/// What a person should know of a command before agreeing to it.
fn notes(draft: &ServerDraft) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(unpinned) = unpinned(draft) {
        let (runner, package) = (unpinned.runner, &unpinned.package);
        notes.push(format!(
            "note: unpinned: {runner} fetches the newest {package} at each start (--pin names a version)"
        ));
    }
    let texts: Vec<&String> = match &draft.how {
        DraftTransport::Stdio { command, args, .. } => std::iter::once(command).chain(args).collect(),
        DraftTransport::Url { url, .. } => vec![url],
    };
    let unseen: usize = texts.iter().map(|text| hidden(text).len()).sum();
    if unseen > 0 {
        notes.push(format!("note: {unseen} of its characters cannot be seen; they are written out below"));
    }
    for literal in literals(draft) {
        let name = &literal.name;
        notes.push(format!("note: {name} stands in the file in plain; '${{env:NAME}}' would keep it out"));
    }
    notes
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
