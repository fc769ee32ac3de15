//! From what was resolved to an endpoint that can be asked: the key is fetched here, once.

use crate::chat::{Fault, FaultKind, Prices, Retry};
use crate::config::Resolved;
use crate::net::{Endpoint, Http, HttpOptions, models};

use super::setup::Setup;

/// The endpoint of this run, with its key. An `api_key_command` is run.
///
/// # Errors
/// `Config` for an address that cannot be used, `Auth` where the key cannot be had.
pub async fn endpoint(setup: &Setup, resolved: &Resolved) -> Result<Endpoint, Fault> {
    Endpoint::of(&resolved.provider(), &setup.env, &setup.saved).await
}

fn is_later(fault: &Fault) -> bool {
    matches!(fault.retry, Retry::Later(_))
}

/// Says so where a key that is needed is not there, before anything leaves.
///
/// # Errors
/// `Auth`, naming what to set.
pub fn keyed(setup: &Setup, resolved: &Resolved) -> Result<(), Fault> {
    let Some(why) = resolved.key_missing.as_ref().filter(|_| resolved.key_needed) else { return Ok(()) };
    let hint = match unchosen(setup, resolved) {
        Some(hint) => format!("{hint} Or name an endpoint with --base-url."),
        None => "Set it, or name another endpoint with --base-url or -p; `millrace demo` needs neither.".to_owned(),
    };
    Err(Fault::new(FaultKind::Auth, format!("There is no key for {}: {why}.", resolved.endpoint.host))
        .hint(hint)
        .retry(Retry::AfterChange))
}

/// What to do where there are profiles, and none is chosen.
#[must_use]
pub fn unchosen(setup: &Setup, resolved: &Resolved) -> Option<String> {
    let names: Vec<&str> = setup.config.profiles.keys().map(String::as_str).collect();
    let first = names.first().filter(|_| resolved.profile.is_none())?;
    let which = if names.len() == 1 { "your profile".to_owned() } else { format!("one of {}", names.join(", ")) };
    Some(format!("Choose {which}: -p {first}, or for good: millrace config set profile {first}."))
}

/// The process's HTTP client, being built on a thread of its own from now on.
#[must_use]
pub fn http(resolved: &Resolved) -> Http {
    let options = HttpOptions::new(&resolved.limits);
    let http = Http::new(HttpOptions { proxy: resolved.proxy.clone(), ca_file: resolved.ca_file.clone(), ..options });
    http.spawn_build();
    http
}

/// The model of a run without a screen: the one that is named, else the endpoint's only one, else the one last chosen
/// for this endpoint where it is still there. With its prices, where the list was asked and tells them.
///
/// # Errors
/// `NoModel`, naming `-m` and `millrace models`; or why the endpoint could not be asked.
pub async fn model(
    http: &Http,
    endpoint: &Endpoint,
    named: Option<&str>,
    last: Option<&str>,
) -> Result<(String, Option<Prices>), Fault> {
    if let Some(name) = named {
        return Ok((name.to_owned(), None));
    }
    let list = match models(http, endpoint).await {
        // It has no list: what was chosen last may still be there.
        Err(fault) if matches!(fault.kind, FaultKind::Provider | FaultKind::Protocol) && !is_later(&fault) => {
            return match last {
                Some(last) => Ok((last.to_owned(), None)),
                None => Err(Fault::new(FaultKind::NoModel, format!("No model is chosen. {}", fault.message))
                    .hint("Name one with -m; `millrace models` lists them where the base URL is right.")
                    .retry(Retry::AfterChange)),
            };
        }
        list => list?,
    };
    match (&list[..], last) {
        ([only], _) => Ok((only.id.clone(), only.prices)),
        (_, Some(last)) if let Some(model) = list.iter().find(|model| model.id == last) => {
            Ok((model.id.clone(), model.prices))
        }
        ([], _) => Err(Fault::new(FaultKind::NoModel, format!("{} has no model to offer.", endpoint.host()))
            .hint("Load one there, or name one with -m; `millrace models` lists them.")
            .retry(Retry::AfterChange)),
        (several, _) => Err(Fault::new(
            FaultKind::NoModel,
            format!("No model is chosen, and {} offers {}.", endpoint.host(), several.len()),
        )
        .hint("Name one with -m; `millrace models` lists them.")
        .retry(Retry::AfterChange)),
    }
}
