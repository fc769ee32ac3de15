//! Signing in to a server: what a person is shown, what they say, what came of it. No token is ever in these types.

use std::fmt;
use std::sync::Arc;

use super::ServerName;

/// What a person is shown before anything is opened. All of it is raw: it quotes the server and its issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInOffer {
    pub server: ServerName,
    /// The authorisation server, as it names itself.
    pub issuer: String,
    /// The host of the page that is opened, in ASCII: a name that only looks like another is seen here.
    pub host: String,
    /// What is asked for; empty: what the issuer gives by default.
    pub scopes: Vec<String>,
    /// The page to open: http or https.
    pub url: String,
    /// Where the browser comes back to on this machine.
    pub redirect: String,
    pub client: ClientKind,
    /// The issuer of the sign-in before this one, where it was another.
    pub instead_of: Option<String>,
}

/// How this program is known to the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// By a `client_id` of the configuration.
    Configured,
    /// By the address of its metadata document.
    Document,
    /// It registered itself.
    Registered,
}

impl ClientKind {
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Configured => "with the client_id of your configuration",
            Self::Document => "by its client metadata document",
            Self::Registered => "as a program that registered itself",
        }
    }
}

/// A sign-in that holds, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// Raw.
    pub issuer: String,
    /// Raw.
    pub scopes: Vec<String>,
    /// Unix milliseconds; None: it was not told.
    pub until_ms: Option<i64>,
    /// It is prolonged without a person.
    pub renews: bool,
    pub kept: KeptIn,
    /// What the server asked for beyond `scopes`, last; raw.
    pub wants: Vec<String>,
}

/// Where tokens are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptIn {
    Keyring,
    /// A file that this user alone can read.
    File,
}

impl KeptIn {
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Keyring => "in the system's keyring",
            Self::File => "in a file that only you can read",
        }
    }
}

/// How far a sign-in is.
#[derive(Clone, Debug, PartialEq)]
pub enum SignInStage {
    /// The server and its issuer are asked how.
    Asking,
    /// A person decides; the answer is awaited meanwhile.
    Offered(Arc<SignInOffer>),
    /// What was pasted, or came back, was not it; raw. The sign-in goes on.
    NotIt(String),
    /// The answer is being exchanged.
    Redeeming,
    Done {
        signed_in: SignedIn,
        /// What to know about it; raw.
        remark: Option<String>,
    },
    /// Raw.
    Failed { message: String, hint: Option<String> },
    /// The person is signed out; what to know about it.
    Out(String),
}

/// What a person says to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInStep {
    Begin,
    /// The address that the browser ended on.
    Answer(Pasted),
    Cancel,
    Out,
}

/// A pasted address: it holds a code that is worth a token, so Debug leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Pasted(pub String);

impl fmt::Debug for Pasted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_address_is_not_printed() {
        let order = SignInStep::Answer(Pasted("http://127.0.0.1/callback?code=secret".into()));
        assert_eq!(format!("{order:?}"), "Answer(<37 bytes>)");
    }
}
