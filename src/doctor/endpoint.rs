//! Asking the endpoint: is it there, does it take the key, does it have the model.

use std::time::Duration;

use crate::chat::{Fault, FaultKind};
use crate::net::{Endpoint, Http, models};

use super::{Check, Status};

const LONGEST: Duration = Duration::from_secs(15);

/// Reachable, key accepted, models; by one request for the list of models, which costs nothing. Without an endpoint
/// all of it is skipped.
pub async fn endpoint(http: &Http, endpoint: Option<&Endpoint>, model: Option<&str>) -> Vec<Check> {
    let Some(endpoint) = endpoint else {
        return vec![Check::not_ok(
            "endpoint",
            Status::Skipped,
            "none is configured",
            "Set OPENAI_API_KEY, or name one with --base-url or in a profile.",
        )];
    };
    let mut checks = Vec::new();
    if let Some(withheld) = endpoint.withheld() {
        checks.push(Check::not_ok("endpoint.key", Status::Warn, withheld, "Use an https:// address."));
    }
    match tokio::time::timeout(LONGEST, models(http, endpoint)).await {
        Ok(Ok(list)) => {
            let count = if list.len() == 1 { "one model".to_owned() } else { format!("{} models", list.len()) };
            checks.push(Check::ok("endpoint", format!("{} answers and offers {count}", endpoint.base_url)));
            if endpoint.key.is_some() && endpoint.withheld().is_none() {
                // A server that takes any key looks the same.
                checks.push(Check::ok("endpoint.key", format!("{} was not refused", endpoint.key_source)));
            }
            checks.push(match model {
                Some(model) if list.iter().any(|m| m.id == model) => Check::ok("endpoint.model", model),
                Some(model) => Check::not_ok(
                    "endpoint.model",
                    Status::Warn,
                    format!("{model} is not in the endpoint's list"),
                    "`millrace models` shows the list; some endpoints serve models that they do not list.",
                ),
                None if list.len() == 1 => Check::ok("endpoint.model", "the only one there is will be used"),
                None => Check::not_ok(
                    "endpoint.model",
                    Status::Warn,
                    "none is chosen",
                    "Choose one with -m, MILLRACE_MODEL, or `millrace config set model NAME`.",
                ),
            });
        }
        Ok(Err(fault)) => checks.push(refused(endpoint, &fault)),
        Err(_) => checks.push(Check::not_ok(
            "endpoint",
            Status::Broken,
            format!("{} did not answer within 15 s", endpoint.host()),
            "Check the address and the network.",
        )),
    }
    checks
}

fn refused(endpoint: &Endpoint, fault: &Fault) -> Check {
    let fix = fault.hint.clone().unwrap_or_else(|| "Check the base URL.".into());
    match fault.kind {
        FaultKind::Auth => Check::not_ok("endpoint.key", Status::Broken, fault.message.clone(), fix),
        // There, but without a list of models: chatting may work.
        FaultKind::Provider if fault.message.contains("offers no list of models") => {
            let what = format!("{} is there, but lists no models", endpoint.host());
            Check::not_ok("endpoint", Status::Warn, what, "Name the model with -m.")
        }
        FaultKind::Internal
        | FaultKind::Usage
        | FaultKind::Config
        | FaultKind::NoModel
        | FaultKind::Network
        | FaultKind::Provider
        | FaultKind::RateLimit
        | FaultKind::Context
        | FaultKind::Truncated
        | FaultKind::Protocol
        | FaultKind::Limit
        | FaultKind::Store
        | FaultKind::Cancelled => Check::not_ok("endpoint", Status::Broken, fault.message.clone(), fix),
    }
}
