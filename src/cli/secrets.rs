//! Which secrets are known: what an export must not hold.

use crate::config::{KeySource, Resolved, Secret, ServerEntry, Transport, looks_random};
use crate::export::{Redactor, Share};
use crate::net::Endpoint;

use super::args::SessionArgs;
use super::setup::{self, Setup};

/// The secrets of environment, configuration and saved keys; `Some` message where the configuration cannot be read
/// and its secrets therefore are not known. Keys that a program hands out are not fetched for this.
#[must_use]
pub fn redactor() -> (Redactor, Option<String>) {
    let env = setup::environment();
    let mut secrets: Vec<Secret> = env.get("OPENAI_API_KEY").map(|key| Secret::new(key.trim())).into_iter().collect();
    let mut warning = None;
    match Setup::load() {
        Ok(setup) => secrets.extend(known(&setup)),
        Err(fault) => {
            let first = fault.message.lines().next().unwrap_or_default();
            warning = Some(format!("The configuration cannot be read, so its secrets are not looked for: {first}"));
        }
    }
    (Redactor::new(secrets.iter().map(Secret::expose)), warning)
}

/// What of this computer a share file does not tell: its home and this folder, and what it calls its person.
#[must_use]
pub fn places() -> Share {
    let env = setup::environment();
    let home = ["HOME", "USERPROFILE"].iter().find_map(|name| env.get(*name)).map(String::as_str);
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| env.get(*name)).map(String::as_str);
    let folder = std::env::current_dir().ok().map(|folder| folder.display().to_string());
    Share::new(home, folder.as_deref(), user)
}

/// The secrets that one session works with, the key that was fetched for it among them.
#[must_use]
pub fn of_session(setup: &Setup, resolved: &Resolved, endpoint: Option<&Endpoint>) -> Redactor {
    let mut secrets = known(setup);
    if let Some(endpoint) = endpoint {
        secrets.extend(endpoint.key.iter().cloned());
        for (_, value) in &endpoint.headers {
            header(value, &mut secrets);
        }
    }
    of_servers(&resolved.servers, &mut secrets);
    Redactor::new(secrets.iter().map(Secret::expose))
}

fn known(setup: &Setup) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for profile in setup.config.profiles.values() {
        match &profile.key {
            Some(KeySource::Env(name)) => secrets.extend(setup.env.get(name).map(|key| Secret::new(key.trim()))),
            Some(KeySource::Literal(key)) => secrets.push(key.clone()),
            Some(KeySource::Command(_) | KeySource::Saved(_)) | None => {}
        }
        for value in profile.headers.values() {
            header(value, &mut secrets);
        }
    }
    secrets.extend(setup.saved.origins().iter().filter_map(|origin| setup.saved.get(origin).cloned()));
    let servers = setup.resolve(&SessionArgs::default()).map(|resolved| resolved.servers).unwrap_or_default();
    of_servers(&servers, &mut secrets);
    secrets
}

fn of_servers(servers: &[ServerEntry], secrets: &mut Vec<Secret>) {
    for entry in servers {
        match &entry.transport {
            Transport::Stdio { env, .. } => {
                secrets.extend(env.iter().filter(|(name, value)| is_secret(name, value)).map(|(_, v)| v.clone()));
            }
            Transport::Http { headers, .. } | Transport::Sse { headers, .. } | Transport::SimpleRpc { headers, .. } => {
                for value in headers.values() {
                    header(value, secrets);
                }
            }
        }
    }
}

/// The whole value, and what stands behind its scheme: `Bearer TOKEN`.
fn header(value: &Secret, secrets: &mut Vec<Secret>) {
    if let Some((_, token)) = value.expose().split_once(' ') {
        secrets.push(Secret::new(token.trim()));
    }
    secrets.push(value.clone());
}

/// Most variables of a server are paths and modes, which an export must keep.
fn is_secret(name: &str, value: &Secret) -> bool {
    const WORDS: [&str; 7] = ["key", "token", "secret", "passw", "auth", "credential", "cookie"];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word)) || looks_random(value.expose())
}
