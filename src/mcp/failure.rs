//! Why a server cannot be used, in a person's words.

use rmcp::service::ClientInitializeError;

/// What went wrong with a server. Raw text: it may quote the server. Holds no secrets.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    pub kind: FailureKind,
    /// What happened, in one line, to be read after the server's name.
    pub reason: String,
    /// What to do next.
    pub hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Its command, folder or address cannot be used as it stands.
    CannotStart,
    /// Nobody answers at its address.
    Unreachable,
    /// It wants to know who asks.
    NeedsLogin,
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
        Self { kind, reason: reason.into(), hint: None }
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
        if error.is_authorization_required() || error.auth_challenge().is_some() {
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
        let Some(http) = error.downcast_ref::<Http<reqwest::Error>>() else {
            return Self::new(FailureKind::Gone, error.to_string());
        };
        match http {
            Http::Client(error) => Self::of_http(error),
            Http::AuthRequired(_) | Http::InsufficientScope(_) | Http::Auth(_) => Self::needs_login(),
            Http::HttpStatus(status) => Self::of_status(status.status),
            Http::SessionExpired => Self::new(FailureKind::SessionEnded, "it had ended the session"),
            // The SDK tells these statuses in its text alone: `HTTP 404 Not Found: body`.
            Http::UnexpectedServerResponse(text) => match status(text) {
                Some(status) => Self::of_status(status),
                None => Self::new(FailureKind::Protocol, format!("its answer is not MCP: {text}")),
            },
            Http::UnexpectedContentType(_) | Http::Deserialize(_) => {
                Self::new(FailureKind::Protocol, "its answer is not MCP")
                    .hinted(Some("Check `url`, often ending in /mcp."))
            }
            Http::ResponseBodyTooLarge { max_size } => {
                Self::new(FailureKind::Protocol, format!("its answer is larger than {max_size} bytes"))
            }
            other => Self::new(FailureKind::Gone, format!("the connection broke: {other}")),
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
            .hinted(Some("Give it a token: headers = { Authorization = \"Bearer ${env:TOKEN}\" }."))
    }

    pub(super) fn version(theirs: &str) -> Self {
        Self::new(FailureKind::Protocol, format!("it speaks protocol version {theirs}, which millrace does not"))
            .hinted(Some("Update the server, or millrace."))
    }
}

/// The number of an `HTTP nnn` at the beginning of a text.
fn status(text: &str) -> Option<u16> {
    text.strip_prefix("HTTP ")?.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmcp::transport::streamable_http_client::StreamableHttpError;

    #[test]
    fn a_status_is_told_in_words() {
        let of = |text: &'static str| {
            Failure::of_transport(&StreamableHttpError::<reqwest::Error>::UnexpectedServerResponse(text.into()))
        };
        assert_eq!(of("HTTP 401 Unauthorized: no").kind, FailureKind::NeedsLogin);
        assert_eq!(
            of("HTTP 404 Not Found: <html>").line(),
            "there is no MCP server at its address (HTTP 404). Check the path of `url`, often /mcp."
        );
        assert!(of("HTTP 503 Service Unavailable").may_pass());
        assert_eq!(of("what").reason, "its answer is not MCP: what");
    }
}
