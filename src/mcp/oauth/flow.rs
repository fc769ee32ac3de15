//! One sign-in between its address and its answer: pure.
//!
//! # Invariants
//! - An answer counts once its `state` is this sign-in's and its `iss` this issuer's; before that nothing of it is
//!   believed or shown, not even its error.
//! - An answer that does not count uses nothing up: the right one may still come.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

use crate::config::Secret;

use super::client::Client;
use super::error::{OAuthError, SignInError};
use super::metadata::Issuer;

/// Longest answer that is read, in bytes.
const ANSWER_MAX: usize = 16 * 1024;

/// All that was settled before a person is asked.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub issuer: Issuer,
    pub client: Client,
    pub resource: String,
    pub scopes: Vec<String>,
    pub redirect: String,
}

/// A sign-in that waits for its answer.
#[derive(Debug)]
pub(super) struct Flow {
    pub plan: Plan,
    /// Proves to the token endpoint who asked (RFC 7636).
    pub verifier: Secret,
    state: Secret,
}

/// What is exchanged for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Code(pub Secret);

impl Flow {
    /// `random` must be fresh: 32 bytes for the verifier, 32 for the state.
    pub(super) fn new(plan: Plan, random: &[u8; 64]) -> Self {
        let (verifier, state) = random.split_at(32);
        let text = |bytes: &[u8]| Secret::new(URL_SAFE_NO_PAD.encode(bytes));
        Self { plan, verifier: text(verifier), state: text(state) }
    }

    /// The page to open.
    pub(super) fn url(&self) -> Url {
        let plan = &self.plan;
        let mut url = plan.issuer.authorize.clone();
        url.set_fragment(None);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.expose().as_bytes()));
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &plan.client.id)
            .append_pair("redirect_uri", &plan.redirect)
            .append_pair("state", self.state.expose())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("resource", &plan.resource);
        if !plan.scopes.is_empty() {
            query.append_pair("scope", &plan.scopes.join(" "));
        }
        drop(query);
        url
    }

    /// Reads an answer: the address that the browser ended on, or what follows its `?`.
    ///
    /// # Errors
    /// [`SignInError::Refused`] is the issuer's own word; all others say that this was not its answer.
    pub(super) fn receive(&self, text: &str) -> Result<Code, SignInError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SignInError::NotAnAnswer("that is empty"));
        }
        if text.len() > ANSWER_MAX {
            return Err(SignInError::NotAnAnswer("that is far too long"));
        }
        let fields = Fields::read(self.query(text)?)?;
        let state = fields.state.ok_or(SignInError::NotAnAnswer("that holds no answer of a sign-in"))?;
        if !same(state.as_bytes(), self.state.expose().as_bytes()) {
            return Err(SignInError::WrongState);
        }
        let expected = &self.plan.issuer.name;
        match &fields.issuer {
            Some(said) if said != expected => {
                let said = said.chars().take(200).collect();
                return Err(SignInError::WrongIssuer { expected: expected.clone(), said });
            }
            None if self.plan.issuer.names_itself => {
                return Err(SignInError::MissingIssuer { expected: expected.clone() });
            }
            Some(_) | None => {}
        }
        if let Some(code) = &fields.error {
            return Err(SignInError::Refused(OAuthError::new(code, fields.description.as_deref())));
        }
        fields
            .code
            .filter(|code| !code.is_empty())
            .map(|code| Code(Secret::new(code)))
            .ok_or(SignInError::NotAnAnswer("that holds no code"))
    }

    /// What follows the `?`, where the rest is our own address or was not pasted.
    fn query<'a>(&self, text: &'a str) -> Result<&'a str, SignInError> {
        let Ok(url) = Url::parse(text) else {
            return Ok(text.trim_start_matches('?'));
        };
        let authorize = &self.plan.issuer.authorize;
        if url.origin() == authorize.origin() && url.path() == authorize.path() && !is_at(&url, &self.plan.redirect) {
            return Err(SignInError::NotAnAnswer("that is the page to sign in at, not the one it ends on"));
        }
        if !is_at(&url, &self.plan.redirect) {
            return Err(SignInError::NotAnAnswer("that is not the address that the sign-in ends on"));
        }
        let query = text.split_once('?').map_or("", |(_, query)| query);
        Ok(query.split_once('#').map_or(query, |(query, _)| query))
    }
}

fn is_at(url: &Url, redirect: &str) -> bool {
    Url::parse(redirect).is_ok_and(|ours| ours.origin() == url.origin() && ours.path() == url.path())
}

/// The parameters of an answer. One that comes twice is none: who reads which must not be a matter of taste.
#[derive(Default)]
struct Fields {
    state: Option<String>,
    code: Option<String>,
    issuer: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

impl Fields {
    fn read(query: &str) -> Result<Self, SignInError> {
        let mut fields = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "state" => &mut fields.state,
                "code" => &mut fields.code,
                "iss" => &mut fields.issuer,
                "error" => &mut fields.error,
                "error_description" => &mut fields.description,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(SignInError::NotAnAnswer("that says the same thing twice"));
            }
        }
        Ok(fields)
    }
}

/// Compares in a time that does not tell how much was right.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// What to ask for (MCP specification, authorization, scope selection): what the person wrote, else what the challenge
/// named, else all that the server has, else nothing. `offline_access` only where the issuer knows it.
pub(super) fn scopes(
    written: Option<&[String]>,
    challenged: &[String],
    has: &[String],
    before: &[String],
    issuer: &Issuer,
) -> Vec<String> {
    let mut scopes: Vec<String> = match written {
        Some(written) => written.to_vec(),
        None if !challenged.is_empty() => challenged.to_vec(),
        None => has.to_vec(),
    };
    // What was granted stays granted: a step up asks for the union.
    let missing: Vec<String> = before.iter().filter(|scope| !scopes.contains(scope)).cloned().collect();
    scopes.splice(0..0, missing);
    const OFFLINE: &str = "offline_access";
    let known = issuer.scopes.iter().any(|scope| scope == OFFLINE);
    if written.is_none() {
        if !known {
            scopes.retain(|scope| scope != OFFLINE);
        } else if !scopes.is_empty() && !scopes.iter().any(|scope| scope == OFFLINE) {
            scopes.push(OFFLINE.to_owned());
        }
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ClientKind;
    use crate::mcp::oauth::client::Proof;

    fn flow(names_itself: bool) -> Flow {
        let url = |text: &str| Url::parse(text).unwrap();
        let issuer = Issuer {
            name: "https://as.example".into(),
            authorize: url("https://as.example/authorize?tenant=a%20b"),
            token: url("https://as.example/token"),
            register: None,
            revoke: None,
            scopes: Vec::new(),
            methods: None,
            documents: false,
            names_itself,
        };
        let client = Client {
            id: "c&1".into(),
            secret: None,
            proof: Proof::None,
            kind: ClientKind::Registered,
            port: None,
            ends_s: None,
        };
        let plan = Plan {
            issuer,
            client,
            resource: "https://mcp.example/mcp".into(),
            scopes: vec!["a:b".into(), "c".into()],
            redirect: "http://127.0.0.1:4711/callback".into(),
        };
        Flow::new(plan, &std::array::from_fn(|at| u8::try_from(at).unwrap()))
    }

    const STATE: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";

    #[test]
    fn the_page_carries_all_that_protects_the_sign_in() {
        insta::assert_snapshot!(flow(false).url(), @"https://as.example/authorize?tenant=a%20b&response_type=code&client_id=c%261&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcallback&state=ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8&code_challenge=6oZqdX5MOLq_qBJ8vppAnT4fk6AP8UiP9zX8-Rev_9A&code_challenge_method=S256&resource=https%3A%2F%2Fmcp.example%2Fmcp&scope=a%3Ab+c");
        let debug = format!("{:?}", flow(false));
        assert!(!debug.contains(STATE) && debug.contains("<redacted>"), "{debug}");
    }

    #[test]
    fn an_answer_counts_in_any_form_that_people_paste() {
        let flow = flow(false);
        let code = Code(Secret::new("x/y z"));
        for text in [
            format!("http://127.0.0.1:4711/callback?code=x%2Fy+z&state={STATE}"),
            format!(
                "  http://127.0.0.1:4711/callback?state={STATE}&code=x%2Fy%20z&iss=https%3A%2F%2Fas.example#_=_ \n"
            ),
            format!("?code=x%2Fy+z&state={STATE}"),
            format!("code=x%2Fy+z&state={STATE}&session_state=1"),
        ] {
            assert_eq!(flow.receive(&text).unwrap(), code, "{text}");
        }
    }

    #[test]
    fn nothing_of_a_strangers_answer_is_believed_or_shown() {
        let ours = "http://127.0.0.1:4711/callback";
        let kind = |flow: &Flow, query: &str| match flow.receive(&format!("{ours}?{query}")).unwrap_err() {
            SignInError::WrongState => "state".to_owned(),
            SignInError::WrongIssuer { .. } => "issuer".to_owned(),
            SignInError::MissingIssuer { .. } => "no issuer".to_owned(),
            SignInError::NotAnAnswer(why) => why.to_owned(),
            other => other.to_string(),
        };
        let lax = flow(false);
        let strict = flow(true);
        let evil = "error=access_denied&error_description=%1b[2Jcall+0800";
        for (flow, query, expect) in [
            (&lax, "code=x".to_owned(), "that holds no answer of a sign-in"),
            (&lax, "code=x&state=other".to_owned(), "state"),
            (&lax, format!("{evil}&state=other"), "state"),
            (&lax, format!("{evil}&state={STATE}&iss=https%3A%2F%2Fevil.example"), "issuer"),
            (&lax, format!("code=x&state={STATE}&iss=https%3A%2F%2Fas.example%2F"), "issuer"),
            (&lax, format!("code=x&state={STATE}&iss=https%3A%2F%2FAS.example"), "issuer"),
            (&strict, format!("code=x&state={STATE}"), "no issuer"),
            (&strict, format!("{evil}&state={STATE}"), "no issuer"),
            (&lax, format!("code=x&code=y&state={STATE}"), "that says the same thing twice"),
            (&lax, format!("state={STATE}"), "that holds no code"),
            (&lax, format!("code=&state={STATE}"), "that holds no code"),
            (&lax, format!("error=access_denied&state={STATE}"), "it was refused: access_denied"),
        ] {
            let got = kind(flow, &query);
            assert_eq!(got, expect, "{query}");
            assert!(!got.contains("0800"));
        }
        let ok = strict.receive(&format!("{ours}?code=x&state={STATE}&iss=https%3A%2F%2Fas.example"));
        assert_eq!(ok.unwrap(), Code(Secret::new("x")));
    }

    #[test]
    fn other_addresses_are_told_apart() {
        let flow = flow(false);
        let why = |text: &str| flow.receive(text).unwrap_err().to_string();
        assert_eq!(
            why("https://as.example/authorize?tenant=a"),
            "that is the page to sign in at, not the one it ends on"
        );
        let stray = format!("https://evil.example/callback?code=x&state={STATE}");
        assert_eq!(why(&stray), "that is not the address that the sign-in ends on");
        assert_eq!(why(" "), "that is empty");
        assert_eq!(why(&"x".repeat(ANSWER_MAX + 1)), "that is far too long");
    }

    #[test]
    fn scopes_are_the_least_that_is_needed() {
        let list = |text: &str| super::super::challenge::scopes(text);
        let mut issuer = flow(false).plan.issuer;
        let of = |issuer: &Issuer, challenge: &str, has: &str, before: &str| {
            scopes(None, &list(challenge), &list(has), &list(before), issuer).join(" ")
        };
        assert_eq!(of(&issuer, "a", "a b c", ""), "a");
        assert_eq!(of(&issuer, "", "a b offline_access", ""), "a b");
        assert_eq!(of(&issuer, "", "", ""), "");
        assert_eq!(of(&issuer, "c a", "", "a b"), "b c a");
        issuer.scopes = list("a offline_access");
        assert_eq!(of(&issuer, "a", "", ""), "a offline_access");
        assert_eq!(of(&issuer, "", "", ""), "");
        assert_eq!(scopes(Some(&list("x")), &list("a"), &list("b"), &[], &issuer), ["x"]);
    }
}
