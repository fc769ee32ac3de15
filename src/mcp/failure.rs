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
        matches!(self.kind, FailureKind::Unreachable | FailureKind::Gone)
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
        let mut source = Some(error);
        while let Some(cause) = source {
            if let Some(http) = cause.downcast_ref::<reqwest::Error>() {
                return Self::of_http(http);
            }
            source = cause.source();
        }
        let text = error.to_string();
        if text.contains("HTTP 401") || text.contains("HTTP 403") {
            return Self::needs_login();
        }
        let kind = if text.contains("HTTP 404") || text.contains("HTTP 405") {
            return Self::new(
                FailureKind::Protocol,
                format!("there is no MCP server at its address ({})", status(&text)),
            )
            .hinted(Some("Check the path of `url`, often /mcp."));
        } else if text.contains("HTTP 5") || text.contains("HTTP 429") {
            FailureKind::Unreachable
        } else {
            FailureKind::Protocol
        };
        Self::new(kind, text)
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
            Self::new(FailureKind::Protocol, format!("it answered HTTP {}", status.as_u16()))
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

/// The `HTTP nnn` of an error text.
fn status(text: &str) -> &str {
    let Some(at) = text.find("HTTP ") else { return text };
    let end = text[at + 5..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |n| at + 5 + n);
    &text[at..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Text(&'static str);

    #[test]
    fn a_status_is_told_in_words() {
        let of = |text| Failure::of_transport(&Text(text));
        assert_eq!(of("unexpected server response: HTTP 401 Unauthorized: no").kind, FailureKind::NeedsLogin);
        assert_eq!(
            of("unexpected server response: HTTP 404 Not Found: <html>").line(),
            "there is no MCP server at its address (HTTP 404). Check the path of `url`, often /mcp."
        );
        assert!(of("HTTP 503").may_pass());
    }
}
