//! Why a server cannot be used, in a person's words.

use std::time::Duration;

use rmcp::service::ClientInitializeError;

use super::http::{HttpError, HttpFault};
use super::oauth::Challenge;

/// What went wrong with a server. Raw text: it may quote the server. Holds no secrets.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    pub kind: FailureKind,
    /// What happened, in one line, to be read after the server's name.
    pub reason: String,
    /// What to do next.
    pub hint: Option<String>,
    /// How long the server asks not to be asked again.
    pub pause: Option<Duration>,
    /// How its process ended, where it did.
    pub exit: Option<std::process::ExitStatus>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Its command, folder or address cannot be used as it stands.
    CannotStart,
    /// Nobody answers at its address.
    Unreachable,
    /// It wants to know who asks.
    NeedsLogin,
    /// It wants more than its user signed in for.
    NeedsMore,
    /// It does not speak what it should.
    Protocol,
    /// It did not answer in time.
    TimedOut,
    /// Its process or connection ended.
    Gone,
    /// It answered with this HTTP status.
    Status(u16),
    /// It no longer knows our session: what was asked did not run.
    SessionEnded,
}

impl Failure {
    pub(super) fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), hint: None, pause: None, exit: None }
    }

    pub(super) fn cannot_start(reason: impl Into<String>) -> Self {
        Self::new(FailureKind::CannotStart, reason)
    }

    pub(super) fn hinted(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into);
        self
    }

    /// Whether trying again by itself can help.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.kind, FailureKind::Unreachable | FailureKind::Gone | FailureKind::Status(429 | 500..))
    }

    /// One line: the reason, and what to do.
    #[must_use]
    pub fn line(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}. {hint}", self.reason),
            None => self.reason.clone(),
        }
    }

    /// Reads the SDK's word for a failed handshake.
    pub(super) fn of_handshake(error: &ClientInitializeError) -> Self {
        if let Some(challenge) = error.auth_challenge() {
            return Self::of_challenge(challenge);
        }
        if error.is_authorization_required() {
            return Self::needs_login();
        }
        match error {
            ClientInitializeError::ConnectionClosed(_) => {
                Self::new(FailureKind::Gone, "it ended the connection before it was ready")
            }
            ClientInitializeError::TransportError { error, .. } => Self::of_transport(error.error.as_ref()),
            ClientInitializeError::JsonRpcError(error) => {
                Self::new(FailureKind::Protocol, format!("it refused the connection: {}", error.message))
            }
            ClientInitializeError::LegacyFallbackFailed { fallback, .. } => Self::of_handshake(fallback),
            ClientInitializeError::NoCompatibleProtocolVersion { server_supported, .. } => {
                let theirs: Vec<_> = server_supported.iter().map(rmcp::model::ProtocolVersion::as_str).collect();
                Self::version(&theirs.join(", "))
            }
            ClientInitializeError::ExpectedInitResponse(_)
            | ClientInitializeError::ExpectedInitResult(_)
            | ClientInitializeError::ConflictInitResponseId(..)
            | ClientInitializeError::UncorrelatedErrorResponse { .. } => {
                Self::new(FailureKind::Protocol, "its answer to the greeting is not MCP")
                    .hinted(Some("Check that this is an MCP server."))
            }
            other => Self::new(FailureKind::Protocol, other.to_string()),
        }
    }

    /// Reads an error of a transport. Our own stdio transport speaks for itself; of HTTP's only the cause is told.
    pub(super) fn of_transport(error: &(dyn std::error::Error + 'static)) -> Self {
        use rmcp::transport::streamable_http_client::StreamableHttpError as Http;
        let Some(http) = error.downcast_ref::<HttpError>() else {
            return Self::new(FailureKind::Gone, error.to_string());
        };
        match http {
            Http::Client(fault) => Self::of_fault(fault),
            Http::AuthRequired(error) => Self::of_challenge(&error.www_authenticate_header),
            Http::InsufficientScope(_) | Http::Auth(_) => Self::needs_login(),
            Http::SessionExpired => Self::new(FailureKind::SessionEnded, "it had ended the session"),
            Http::UnexpectedServerResponse(text) => {
                Self::new(FailureKind::Protocol, format!("its answer is not MCP: {text}"))
            }
            Http::UnexpectedContentType(_) | Http::Deserialize(_) => {
                Self::new(FailureKind::Protocol, "its answer is not MCP")
                    .hinted(Some("Check `url`, often ending in /mcp."))
            }
            other => Self::new(FailureKind::Gone, format!("the connection broke: {other}")),
        }
    }

    /// Reads what an exchange over HTTP failed of.
    pub(super) fn of_fault(fault: &HttpFault) -> Self {
        match fault {
            HttpFault::Transport(error) => Self::of_http(error),
            HttpFault::Status { status, pause } => Self { pause: *pause, ..Self::of_status(*status) },
            HttpFault::Redirect { to, .. } => {
                Self::new(FailureKind::Protocol, format!("it sends on to another address: {to}"))
                    .hinted(Some("millrace does not follow it there. If you trust that address, make it the `url`."))
            }
            HttpFault::NotMcp(_) => {
                Self::new(FailureKind::Protocol, fault.to_string()).hinted(Some("Check `url`, often ending in /mcp."))
            }
            HttpFault::TooLarge { .. } => Self::new(FailureKind::Protocol, fault.to_string()),
            HttpFault::Stream(_) => Self::new(FailureKind::Gone, fault.to_string()),
        }
    }

    fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::needs_login(),
            404 | 405 | 410 => {
                Self::new(FailureKind::Status(status), format!("there is no MCP server at its address (HTTP {status})"))
                    .hinted(Some("Check the path of `url`, often /mcp."))
            }
            429 => Self::new(FailureKind::Status(status), "it is asked too often (HTTP 429)"),
            500.. => Self::new(FailureKind::Status(status), format!("it is in trouble (HTTP {status})"))
                .hinted(Some("See the server's own log.")),
            _ => Self::new(FailureKind::Status(status), format!("it refused the request (HTTP {status})")),
        }
    }

    fn of_http(error: &reqwest::Error) -> Self {
        let mut deepest: &dyn std::error::Error = error;
        while let Some(cause) = deepest.source() {
            deepest = cause;
        }
        if error.is_connect() {
            Self::new(FailureKind::Unreachable, format!("nobody answers at its address: {deepest}"))
                .hinted(Some("Start the server, or check `url`."))
        } else if error.is_timeout() {
            Self::new(FailureKind::TimedOut, "it did not answer in time")
        } else if let Some(status) = error.status() {
            Self::of_status(status.as_u16())
        } else {
            Self::new(FailureKind::Gone, format!("the connection broke: {deepest}"))
        }
    }

    pub(super) fn needs_login() -> Self {
        Self::new(FailureKind::NeedsLogin, "it wants you to sign in")
    }

    /// What a refusal says (401, or 403 with what is missing).
    fn of_challenge(header: &str) -> Self {
        let challenge = Challenge::parse(header);
        match challenge.wants_more() {
            true if challenge.scopes.is_empty() => {
                Self::new(FailureKind::NeedsMore, "it wants more permission than you gave it")
            }
            true => {
                let scopes = challenge.scopes.join(" ");
                Self::new(FailureKind::NeedsMore, format!("it wants more permission than you gave it: {scopes}"))
            }
            false => Self::needs_login(),
        }
    }

    /// With what to do, where a sign-in is what helps.
    pub(super) fn with_sign_in(mut self, how: &str) -> Self {
        if matches!(self.kind, FailureKind::NeedsLogin | FailureKind::NeedsMore) {
            self.hint = Some(how.to_owned());
        }
        self
    }

    pub(super) fn version(theirs: &str) -> Self {
        Self::new(FailureKind::Protocol, format!("it speaks protocol version {theirs}, which millrace does not"))
            .hinted(Some("Update the server, or millrace."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmcp::transport::streamable_http_client::StreamableHttpError;

    #[test]
    fn a_status_is_told_in_words() {
        let of = |status| {
            let pause = Some(Duration::from_secs(17));
            Failure::of_transport(&StreamableHttpError::Client(HttpFault::Status { status, pause }))
        };
        assert_eq!(of(401).kind, FailureKind::NeedsLogin);
        assert_eq!(
            of(404).line(),
            "there is no MCP server at its address (HTTP 404). Check the path of `url`, often /mcp."
        );
        assert!(of(503).may_pass());
        assert_eq!((of(429).pause, of(429).may_pass()), (Some(Duration::from_secs(17)), true));
        let other = StreamableHttpError::<HttpFault>::UnexpectedServerResponse("what".into());
        assert_eq!(Failure::of_transport(&other).reason, "its answer is not MCP: what");
    }
}
