//! Which endpoint is talked to, and which key goes there and nowhere else.

use std::collections::BTreeMap;

use crate::chat::{Fault, FaultKind};

use super::resolve::{Given, Notes, Origin, Shown as _};
use super::{Endpoint, KeySource, Profile, Secret, spec};

pub const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

pub(super) fn choose_profile<'a>(
    given: &'a Given<'_>,
    out: &mut Notes,
) -> Result<(Option<String>, Option<&'a Profile>), Fault> {
    let env = given.env.get("MILLRACE_PROFILE").filter(|v| !v.trim().is_empty()).cloned();
    let name = match (&given.flags.profile, env) {
        (Some(name), _) => Some((name.clone(), Origin::Flag("--profile"))),
        (None, Some(name)) => Some((name, Origin::Env("MILLRACE_PROFILE"))),
        (None, None) => given.config.profile.clone().map(|name| (name, Origin::User)),
    };
    let Some((name, origin)) = name else { return Ok((None, None)) };
    let Some(profile) = given.config.profiles.get(&name) else {
        let names = || given.config.profiles.keys().map(String::as_str);
        let hint = match spec::nearest(&name, names()) {
            Some(near) => format!("Did you mean {near}?"),
            None if given.config.profiles.is_empty() => {
                "There are no profiles yet: add one to config.toml (`millrace config edit`).".to_owned()
            }
            None => format!("There are: {}.", names().collect::<Vec<_>>().join(", ")),
        };
        return Err(Fault::new(FaultKind::Config, format!("no profile is called {name:?}")).hint(hint));
    };
    out.set("profile", name.shown(), origin);
    Ok((Some(name), Some(profile)))
}

/// The endpoint, and whose word it was.
pub(super) fn choose_endpoint(
    given: &Given<'_>,
    name: Option<&str>,
    profile: Option<&Profile>,
    out: &mut Notes,
) -> Result<(Endpoint, Origin), Fault> {
    let env = || given.env.get("OPENAI_BASE_URL").filter(|v| !v.trim().is_empty()).cloned();
    let (text, origin) = if let Some(url) = &given.flags.base_url {
        (url.clone(), Origin::Flag("--base-url"))
    } else if let Some(profile) = profile {
        let url = profile.base_url.clone().unwrap_or_else(|| OPENAI_BASE_URL.to_owned());
        (url, Origin::Profile(name.unwrap_or_default().to_owned()))
    } else if let Some(url) = env() {
        (url, Origin::Env("OPENAI_BASE_URL"))
    } else {
        (OPENAI_BASE_URL.to_owned(), Origin::Default)
    };
    let endpoint = Endpoint::parse(&text).map_err(|why| {
        let (kind, place) = match &origin {
            Origin::Flag(flag) => (FaultKind::Usage, (*flag).to_owned()),
            Origin::Env(variable) => (FaultKind::Config, format!("${variable}")),
            Origin::Profile(name) => (FaultKind::Config, format!("profiles.{name}.base_url")),
            Origin::Project | Origin::User | Origin::Default => (FaultKind::Config, "base_url".to_owned()),
        };
        let shown = if why.mentions_secret() { String::new() } else { format!(" ({text})") };
        Fault::new(kind, format!("{place}{shown} {why}"))
            .hint("Write it up to and with /v1, as https://api.openai.com/v1 or http://localhost:11434/v1.")
    })?;
    out.set("base_url", endpoint.base_url.shown(), origin.clone());
    Ok((endpoint, origin))
}

/// The key of this endpoint: a profile's for the profile's own URL, `OPENAI_API_KEY` only while no profile is chosen,
/// a kept one by origin. Never over plain HTTP to another computer.
pub(super) fn choose_key(
    given: &Given<'_>,
    name: Option<&str>,
    profile: Option<&Profile>,
    endpoint: &Endpoint,
    from: &Origin,
    out: &mut Notes,
) -> (Option<KeySource>, Option<String>) {
    let set = |name: &str| given.env.get(name).is_some_and(|v| !v.trim().is_empty());
    let mut why = None;
    let mut key = None;
    let mut origin = Origin::Default;
    match profile {
        Some(profile) => {
            let own = match from {
                Origin::Profile(_) => true,
                _ => profile.base_url.as_deref().unwrap_or(OPENAI_BASE_URL).trim_end_matches('/') == endpoint.base_url,
            };
            match &profile.key {
                Some(KeySource::Env(name)) if own && !set(name) => why = Some(format!("${name} is not set")),
                Some(source) if own => {
                    key = Some(source.clone());
                    origin = Origin::Profile(name.unwrap_or_default().to_owned());
                }
                Some(_) => why = Some("the profile's key goes only to the profile's own address".to_owned()),
                None => {}
            }
        }
        None if set("OPENAI_API_KEY") => {
            key = Some(KeySource::Env("OPENAI_API_KEY".to_owned()));
            origin = Origin::Env("OPENAI_API_KEY");
        }
        None => {}
    }
    if key.is_none() && given.saved.contains(&endpoint.origin) {
        key = Some(KeySource::Saved(endpoint.origin.clone()));
        origin = Origin::User;
    }
    if key.is_some() && !endpoint.private {
        why = Some(format!("{} is neither encrypted nor on this computer, so no key is sent there", endpoint.base_url));
        key = None;
    }
    if key.is_none() && endpoint.loopback {
        why = None;
    }
    if key.is_none() && !endpoint.loopback && why.is_none() {
        why = Some(match profile {
            Some(_) => "the profile names no key".to_owned(),
            None => "OPENAI_API_KEY is not set".to_owned(),
        });
    }
    match (&key, &why) {
        (Some(source), _) => out.set("api_key", format!("<{}>", source.describe()), origin),
        (None, Some(why)) => out.notices.push(format!("No key is sent to {}: {why}.", endpoint.host)),
        (None, None) => {}
    }
    (key, why)
}

pub(super) fn choose_headers(profile: &Profile, endpoint: &Endpoint, out: &mut Notes) -> BTreeMap<String, Secret> {
    let own = profile.base_url.as_deref().unwrap_or(OPENAI_BASE_URL).trim_end_matches('/');
    let own = Endpoint::parse(own).is_ok_and(|own| own.base_url == endpoint.base_url);
    if profile.headers.is_empty() || (own && endpoint.private) {
        return profile.headers.clone();
    }
    let why =
        if own { "it is neither encrypted nor on this computer" } else { "they belong to the profile's own address" };
    out.notices.push(format!("The profile's headers are not sent to {}: {why}.", endpoint.host));
    BTreeMap::new()
}

pub(super) fn where_messages_go(endpoint: &Endpoint, key: Option<&KeySource>, missing: Option<&str>) -> String {
    let place = if endpoint.loopback { format!("{}, on this computer", endpoint.host) } else { endpoint.host.clone() };
    let with = match (key, missing) {
        (Some(key), _) => format!("with the key from {}", key.describe()),
        (None, Some(_)) => "without a key".to_owned(),
        (None, None) => "no key is needed".to_owned(),
    };
    format!("Messages go to {place}, {with}.")
}
