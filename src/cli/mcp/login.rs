//! `millrace mcp login` and `logout`: a person at a terminal signs in to a server.
//!
//! # Invariants
//! - The page is opened only when the person says so, by its program's own arguments.
//! - What is pasted is never printed again.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use tokio::sync::mpsc;

use crate::chat::{Fault, FaultKind, Pasted, SignInOffer, SignedIn};
use crate::config::{Consent, ServerEntry, Transport};
use crate::mcp::{SignIn, SignInError};
use crate::text::{sanitize, visible};
use crate::tui::page;

use super::show::say;
use super::{Bench, block_on};

/// Longest line that a terminal hands over whole.
const TERMINAL_LINE: usize = 4095;

impl Bench {
    pub(super) fn login(&self, name: &str) -> Result<u8, Fault> {
        let entry = self.entry(name)?;
        if matches!(entry.transport, Transport::Stdio { .. }) {
            return Err(of_error(name, &SignInError::NotHttp));
        }
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(Fault::new(FaultKind::Usage, format!("signing in to {name} needs a person at a terminal"))
                .hint(format!("Run it in one: millrace mcp login {name}")));
        }
        if let Some(reason) = &entry.disabled {
            return Err(Fault::new(FaultKind::Config, format!("{name} cannot be used: {reason}")));
        }
        let mut entry = entry.clone();
        if entry.consent == Consent::NeedsPerson {
            entry.consent = Consent::Given;
            let question = format!("Ask {name:?} who signs people in? This server is reached at:\n  {}", entry.line());
            if !super::ask(&question, "Run it in a terminal.")? {
                eprintln!("Nothing was asked.");
                return Ok(0);
            }
        }
        block_on(self.through(&entry))?
    }

    async fn through(&self, entry: &ServerEntry) -> Result<u8, Fault> {
        let name = entry.name.as_str();
        let fault = |error: SignInError| of_error(name, &error);
        eprintln!("Asking {name} who signs people in…");
        let sign_in = self.setup.sign_ins(&self.limits).begin(entry).await.map_err(fault)?;
        show(sign_in.offer());
        let mut lines = lines();
        self.page(&sign_in, &mut lines).await;
        let told = |error: &SignInError| {
            eprintln!("{}", sanitize(&format!("That was not it: {error}.")));
            if let Some(hint) = error.hint() {
                eprintln!("{hint}");
            }
        };
        let answered = sign_in.answer(&mut lines, told).await.map_err(fault)?;
        let redeemed = sign_in.redeem(answered).await.map_err(fault)?;
        if let Some(remark) = &redeemed.remark {
            eprintln!("{}", sanitize(&format!("{name}: {remark}")));
        }
        say(&format!("{name}: {}. Kept {}.", signed_in(&redeemed.signed_in), redeemed.signed_in.kept.words()));
        say(&format!("Try it: millrace mcp test {name}"));
        Ok(0)
    }

    /// Opens the page, if the person wants that and there is a screen for it.
    async fn page(&self, sign_in: &SignIn, lines: &mut mpsc::Receiver<Pasted>) {
        let url = &sign_in.offer().url;
        let set = |name: &str| self.setup.env.get(name).is_some_and(|value| !value.is_empty());
        if page::can_open(set) {
            eprint!("Open it in your browser? [y/N] ");
            let _ = std::io::stderr().flush();
            if let Some(Pasted(line)) = lines.recv().await
                && matches!(line.trim(), "y" | "Y" | "yes")
                && let Err(why) = page::open(url)
            {
                eprintln!("{}", sanitize(&format!("No browser could be started ({why}): open the address yourself.")));
            }
        } else {
            eprintln!("There is no screen here: open that address in the browser of the computer before you.");
        }
        eprintln!(
            "Waiting. Where the browser ends on a page of 127.0.0.1 that it cannot load (as over ssh), copy that \
             page's whole address, paste it here and press enter."
        );
    }

    pub(super) fn logout(&self, name: &str) -> Result<u8, Fault> {
        let entry = self.entry(name)?;
        let sign_ins = self.setup.sign_ins(&self.limits);
        match block_on(sign_ins.out(entry))? {
            Ok(message) => {
                say(&format!("{name}: {message}."));
                Ok(0)
            }
            Err(message) => Err(Fault::new(FaultKind::Store, format!("{name}: {message}"))),
        }
    }
}

/// What a person decides on. Text of others is sanitised; the address is shown whole, with what is hidden in it.
fn show(offer: &SignInOffer) {
    let scopes = if offer.scopes.is_empty() { "what it gives by default".to_owned() } else { offer.scopes.join(" ") };
    let mut text = format!(
        "\nSign in to {:?}\n  at        {}\n  issuer    {}\n  asks for  {scopes}\n  known     {}\n",
        offer.server.as_str(),
        offer.host,
        offer.issuer,
        offer.client.words(),
    );
    if let Some(before) = &offer.instead_of {
        text.push_str(&format!("  ! Last time another issuer signed you in: {before}\n"));
    }
    eprintln!("{}", sanitize(&text));
    // By itself on its line, so that it can be taken whole.
    eprintln!("{}\n", visible(&offer.url).one_line());
}

/// One line about a sign-in that holds.
pub(super) fn signed_in(signed_in: &SignedIn) -> String {
    let mut text = format!("signed in with {}", signed_in.issuer);
    match (signed_in.until_ms.and_then(clock), signed_in.renews) {
        (Some(until), true) => text.push_str(&format!(" until {until}, renewed by itself")),
        (Some(until), false) => text.push_str(&format!(" until {until}")),
        (None, true) => text.push_str(", renewed by itself"),
        (None, false) => {}
    }
    if !signed_in.scopes.is_empty() {
        text.push_str(&format!(" for {}", signed_in.scopes.join(" ")));
    }
    text
}

fn clock(ms: i64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(ms).ok()?.to_zoned(jiff::tz::TimeZone::system());
    Some(at.strftime("%Y-%m-%d %H:%M").to_string())
}

/// The lines that a person types or pastes. The thread ends with the program: a read of a terminal cannot be called off.
fn lines() -> mpsc::Receiver<Pasted> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if line.len() >= TERMINAL_LINE {
                eprintln!(
                    "Your terminal cuts lines after {TERMINAL_LINE} bytes: paste only what follows the ? of the address."
                );
            }
            if !line.trim().is_empty() && sender.blocking_send(Pasted(line)).is_err() {
                return;
            }
        }
    });
    receiver
}

fn of_error(name: &str, error: &SignInError) -> Fault {
    let kind = match error {
        SignInError::NotHttp | SignInError::OwnHeader => FaultKind::Usage,
        SignInError::Fetch { .. } => FaultKind::Network,
        SignInError::Store(_) => FaultKind::Store,
        SignInError::NoMetadata
        | SignInError::OtherResource { .. }
        | SignInError::BadMetadata { .. }
        | SignInError::OtherIssuer { .. }
        | SignInError::UnwantedIssuer { .. }
        | SignInError::NoPkce { .. }
        | SignInError::NoClient { .. }
        | SignInError::NotRegistered { .. }
        | SignInError::Secret(_)
        | SignInError::Listen(_)
        | SignInError::WrongState
        | SignInError::WrongIssuer { .. }
        | SignInError::MissingIssuer { .. }
        | SignInError::NotAnAnswer(_)
        | SignInError::Refused(_)
        | SignInError::NotExchanged(_)
        | SignInError::UnusableToken(_)
        | SignInError::TimedOut(_)
        | SignInError::AlreadyGiven(_)
        | SignInError::TooManyAnswers => FaultKind::Auth,
    };
    let fault = Fault::new(kind, format!("{name}: {error}"));
    match error.hint() {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}
