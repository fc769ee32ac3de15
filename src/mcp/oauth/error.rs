//! Why a sign-in did not come about, in a person's words.

use crate::config::KeyError;

use super::address::Blocked;

/// What went wrong. Raw text: it may quote the server or its issuer. Never a token, a code or a secret.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("it is not reached over http, so there is nothing to sign in to")]
    NotHttp,
    #[error("its configuration sends an Authorization header of its own")]
    OwnHeader,
    #[error("{what} cannot be asked: {error}")]
    Fetch { what: String, error: FetchError },
    #[error("it does not say who signs people in: neither it nor its host publishes OAuth metadata")]
    NoMetadata,
    #[error("it describes another server ({theirs}), so its description does not count")]
    OtherResource { theirs: String },
    #[error("{what} is not what it should be: {why}")]
    BadMetadata { what: String, why: String },
    #[error("{asked} says of itself that it is {said}; that is how one issuer is passed off as another")]
    OtherIssuer { asked: String, said: String },
    #[error("it wants {found} to sign people in, and the configuration accepts {wanted} alone")]
    UnwantedIssuer { wanted: String, found: String },
    #[error("{issuer} does not say that it supports PKCE (S256), which protects the sign-in")]
    NoPkce { issuer: String },
    #[error("{issuer} knows no millrace, and cannot be told of it by a program")]
    NoClient { issuer: String, redirect: String },
    #[error("{issuer} did not register millrace: {answer}")]
    NotRegistered { issuer: String, answer: String },
    #[error("the secret of its client cannot be had: {0}")]
    Secret(#[from] KeyError),
    #[error("this machine cannot wait for the browser: {0}")]
    Listen(std::io::Error),
    #[error("that does not belong to this sign-in (its state is another)")]
    WrongState,
    #[error("that came from {said}, not from {expected}")]
    WrongIssuer { expected: String, said: String },
    #[error("that does not say from whom it came, and {expected} always does")]
    MissingIssuer { expected: String },
    #[error("{0}")]
    NotAnAnswer(&'static str),
    #[error("it was refused: {0}")]
    Refused(OAuthError),
    #[error("the answer was not exchanged for a token: {0}")]
    NotExchanged(OAuthError),
    #[error("the token cannot be used: {0}")]
    UnusableToken(&'static str),
    #[error("the sign-in cannot be kept: {0}")]
    Store(String),
    #[error("nobody answered within {0} minutes (limits.sign_in)")]
    TimedOut(u64),
    #[error("it was given all that it asks for ({0}), and refuses all the same")]
    AlreadyGiven(String),
    #[error("too many answers came that were none")]
    TooManyAnswers,
}

/// An OAuth error response (RFC 6749 4.1.2.1, 5.2). Raw, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OAuthError {
    pub code: String,
    pub description: Option<String>,
}

impl OAuthError {
    /// Takes over so much of it as a person reads.
    pub(super) fn new(code: &str, description: Option<&str>) -> Self {
        let short = |text: &str, most: usize| text.chars().take(most).collect::<String>();
        let description = description.map(|text| short(text, 300)).filter(|text| !text.trim().is_empty());
        Self { code: short(code, 60), description }
    }
}

impl std::fmt::Display for OAuthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.description {
            Some(description) => write!(f, "{} ({})", description.trim(), self.code),
            None => f.write_str(&self.code),
        }
    }
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    Blocked(#[from] Blocked),
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer within {0} s")]
    TimedOut(u64),
    #[error("its answer is larger than {0} KiB")]
    TooLarge(usize),
    #[error("it leads elsewhere ({0}), which is not followed")]
    Redirected(String),
    #[error("HTTP {0}")]
    Status(u16),
}

impl SignInError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::AlreadyGiven(_) => "Ask its operator, or sign out to sign in as somebody else.".to_owned(),
            Self::OwnHeader => "Remove `Authorization` from its headers to sign in instead.".to_owned(),
            Self::NoMetadata => {
                "If it takes a token, give it one: headers = { Authorization = \"Bearer ${env:TOKEN}\" }.".to_owned()
            }
            Self::NoPkce { .. } => {
                "If you know that it does: sign_in.assume_pkce = true in the server's entry.".to_owned()
            }
            Self::NoClient { redirect, .. } => format!(
                "Register a client there by hand (redirect address {redirect}), and write its id: sign_in.client_id."
            ),
            Self::UnwantedIssuer { .. } => "See sign_in.issuer in the server's entry.".to_owned(),
            Self::WrongState | Self::NotAnAnswer(_) => {
                "Paste the whole address that the browser shows at the end of the sign-in.".to_owned()
            }
            Self::WrongIssuer { .. } | Self::MissingIssuer { .. } => {
                "Begin again; if it happens twice, somebody is in between.".to_owned()
            }
            Self::NotExchanged(error) if error.is_unknown_client() => {
                "Sign in again: millrace then registers anew.".to_owned()
            }
            Self::NotExchanged(_) | Self::TimedOut(_) | Self::TooManyAnswers => "Sign in again.".to_owned(),
            Self::Fetch { error: FetchError::Blocked(_), .. } => {
                "A server may lead to public addresses over https, or to where it is itself.".to_owned()
            }
            Self::NotHttp
            | Self::Fetch { .. }
            | Self::OtherResource { .. }
            | Self::BadMetadata { .. }
            | Self::OtherIssuer { .. }
            | Self::NotRegistered { .. }
            | Self::Secret(_)
            | Self::Listen(_)
            | Self::Refused(_)
            | Self::UnusableToken(_)
            | Self::Store(_) => return None,
        })
    }

    /// Whether a sign-in that waits may go on waiting after it.
    pub(super) fn is_of_the_answer(&self) -> bool {
        matches!(self, Self::WrongState | Self::NotAnAnswer(_) | Self::WrongIssuer { .. } | Self::MissingIssuer { .. })
    }
}

impl OAuthError {
    /// The issuer no longer knows the client.
    pub(super) fn is_unknown_client(&self) -> bool {
        self.code == "invalid_client"
    }
}
