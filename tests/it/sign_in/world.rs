//! A server that asks for a sign-in and an authorisation server that gives it, on two ports of loopback, with what each
//! heard; a person with a browser between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What the two do, and what they remember.
#[derive(Default)]
pub struct Memory {
    /// Tokens that the server takes, with their scopes.
    pub tokens: BTreeMap<String, String>,
    pub refresh: BTreeSet<String>,
    codes: BTreeMap<String, Form>,
    pub registered: Vec<Value>,
    /// Forms that came to the token endpoint.
    pub asked: Vec<Form>,
    /// `Authorization` headers that came there.
    pub proofs: Vec<Option<String>>,
    pub revoked: Vec<Form>,
    /// Tokens that came to the server, with the method of the message.
    pub heard: Vec<(Option<String>, String)>,
    /// The pages that were opened.
    pub pages: Vec<String>,
    made: u32,

    // Knobs.
    /// Changes to the issuer's description; null removes.
    pub metadata: Vec<(&'static str, Value)>,
    /// Changes to the server's description of itself.
    pub resource: Vec<(&'static str, Value)>,
    /// What the page answers instead of a code.
    pub error: Option<(&'static str, &'static str)>,
    /// `iss` in the answer: None: the issuer's own; an empty one: none.
    pub iss: Option<&'static str>,
    pub lasts_s: Option<u64>,
    /// What each refresh is answered with: an OAuth error.
    pub refuse_refresh: Option<&'static str>,
    /// Scope that `tools/call` needs.
    pub needs: Option<&'static str>,
    /// Secret that a registration is given.
    pub secret: Option<&'static str>,
    /// What the server's challenge names.
    pub challenge_scope: Option<&'static str>,
    /// The server sends every message on to this address.
    pub moved_to: Option<String>,
}

pub type Form = BTreeMap<String, String>;

#[derive(Clone)]
pub struct World {
    pub memory: Arc<Mutex<Memory>>,
    /// Of the authorisation server.
    pub issuer: String,
    /// Of the MCP server.
    pub server: String,
}

impl World {
    pub async fn new(knobs: impl FnOnce(&mut Memory)) -> Self {
        // A second provider is refused, and then there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = listen().await;
        let issuer = listen().await;
        let world = Self {
            memory: Arc::default(),
            issuer: format!("http://{}", issuer.local_addr().unwrap()),
            server: format!("http://{}/mcp", server.local_addr().unwrap()),
        };
        knobs(&mut world.memory());
        let mcp = Router::new()
            .route("/mcp", post(message))
            .route("/.well-known/oauth-protected-resource/mcp", get(describe_server))
            .with_state(world.clone());
        let oauth = Router::new()
            .route("/.well-known/oauth-authorization-server", get(describe_issuer))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/register", post(register))
            .route("/revoke", post(revoke))
            .with_state(world.clone());
        tokio::spawn(async move { axum::serve(server, mcp).await });
        tokio::spawn(async move { axum::serve(issuer, oauth).await });
        world
    }

    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    /// The server takes no token any more that it took.
    pub fn forget_tokens(&self) {
        self.memory().tokens.clear();
    }

    /// Opens a page as a browser does, and says where that ends.
    pub async fn browse(&self, page: &str) -> String {
        let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let response = browser.get(page).send().await.unwrap();
        assert_eq!(response.status(), 302, "{page}");
        response.headers()["location"].to_str().unwrap().to_owned()
    }

    fn token_for(&self, scope: &str) -> Value {
        let mut memory = self.memory();
        memory.made += 1;
        let made = memory.made;
        let (access, refresh) = (format!("canary-access-{made}"), format!("canary-refresh-{made}"));
        memory.tokens.insert(access.clone(), scope.to_owned());
        memory.refresh.insert(refresh.clone());
        let mut answer = json!({"access_token": access, "token_type": "Bearer", "refresh_token": refresh});
        if !scope.is_empty() {
            answer["scope"] = json!(scope);
        }
        if let Some(seconds) = memory.lasts_s {
            answer["expires_in"] = json!(seconds);
        }
        answer
    }
}

async fn listen() -> tokio::net::TcpListener {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn document(mut base: Value, changes: &[(&'static str, Value)]) -> Response {
    for (key, value) in changes {
        match value {
            Value::Null => drop(base.as_object_mut().unwrap().remove(*key)),
            value => base[*key] = value.clone(),
        }
    }
    as_json(StatusCode::OK, &base)
}

fn as_json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn describe_server(State(world): State<World>) -> Response {
    let base = json!({"resource": world.server, "authorization_servers": [world.issuer]});
    document(base, &world.memory().resource)
}

async fn describe_issuer(State(world): State<World>) -> Response {
    let issuer = &world.issuer;
    let base = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "registration_endpoint": format!("{issuer}/register"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    document(base, &world.memory().metadata)
}

async fn register(State(world): State<World>, body: Bytes) -> Response {
    let mut memory = world.memory();
    memory.registered.push(serde_json::from_slice(&body).unwrap());
    let mut answer = json!({"client_id": format!("client-{}", memory.registered.len())});
    if let Some(secret) = memory.secret {
        answer["client_secret"] = json!(secret);
    }
    as_json(StatusCode::CREATED, &answer)
}

/// The page, for a person who agrees at once.
async fn authorize(State(world): State<World>, uri: Uri) -> Response {
    let query: Form = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let mut memory = world.memory();
    memory.pages.push(uri.to_string());
    let mut to = url::Url::parse(&query["redirect_uri"]).unwrap();
    assert_eq!((query["response_type"].as_str(), query["code_challenge_method"].as_str()), ("code", "S256"));
    match memory.error {
        Some((error, description)) => {
            to.query_pairs_mut().append_pair("error", error).append_pair("error_description", description);
        }
        None => {
            let code = format!("canary-code-{}", memory.pages.len());
            to.query_pairs_mut().append_pair("code", &code);
            memory.codes.insert(code, query.clone());
        }
    }
    to.query_pairs_mut().append_pair("state", &query["state"]);
    match memory.iss {
        None => drop(to.query_pairs_mut().append_pair("iss", &world.issuer)),
        Some("") => {}
        Some(iss) => drop(to.query_pairs_mut().append_pair("iss", iss)),
    }
    (StatusCode::FOUND, [(header::LOCATION, to.to_string())]).into_response()
}

async fn token(State(world): State<World>, headers: HeaderMap, body: Bytes) -> Response {
    let form: Form = url::form_urlencoded::parse(&body).into_owned().collect();
    let refused = |code: &str| as_json(StatusCode::BAD_REQUEST, &json!({"error": code}));
    let scope = {
        let mut memory = world.memory();
        memory.asked.push(form.clone());
        memory.proofs.push(headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()));
        if form["grant_type"] == "refresh_token" {
            if let Some(code) = memory.refuse_refresh {
                return refused(code);
            }
            // Each is good once.
            if !memory.refresh.remove(&form["refresh_token"]) {
                return refused("invalid_grant");
            }
            String::new()
        } else {
            let Some(asked) = memory.codes.remove(&form["code"]) else { return refused("invalid_grant") };
            let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
            if proof != asked["code_challenge"] || form["redirect_uri"] != asked["redirect_uri"] {
                return refused("invalid_grant");
            }
            asked.get("scope").cloned().unwrap_or_default()
        }
    };
    as_json(StatusCode::OK, &world.token_for(&scope))
}

async fn revoke(State(world): State<World>, body: Bytes) -> Response {
    world.memory().revoked.push(url::form_urlencoded::parse(&body).into_owned().collect());
    StatusCode::OK.into_response()
}

async fn message(State(world): State<World>, headers: HeaderMap, body: Bytes) -> Response {
    let message: Value = serde_json::from_slice(&body).unwrap();
    let method = message["method"].as_str().unwrap_or_default();
    let token = headers.get("authorization").and_then(|v| v.to_str().ok()?.strip_prefix("Bearer ").map(str::to_owned));
    let mut memory = world.memory();
    memory.heard.push((token.clone(), method.to_owned()));
    if let Some(to) = &memory.moved_to {
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to.clone())]).into_response();
    }
    let known = token.and_then(|token| memory.tokens.get(&token).cloned());
    let about = format!("{}/.well-known/oauth-protected-resource/mcp", world.server.trim_end_matches("/mcp"));
    let Some(scopes) = known else {
        let scope = memory.challenge_scope.map(|scope| format!(", scope=\"{scope}\"")).unwrap_or_default();
        let challenge = format!("Bearer resource_metadata=\"{about}\"{scope}");
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    };
    if let Some(needs) = memory.needs
        && method == "tools/call"
        && !scopes.split(' ').any(|scope| scope == needs)
    {
        let challenge =
            format!("Bearer error=\"insufficient_scope\", scope=\"{needs}\", resource_metadata=\"{about}\"");
        return (StatusCode::FORBIDDEN, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    }
    let id = &message["id"];
    let result = match method {
        "server/discover" => {
            let error = json!({"code": -32601, "message": "no"});
            return as_json(StatusCode::OK, &json!({"jsonrpc": "2.0", "id": id, "error": error}));
        }
        "initialize" => json!({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "h", "version": "1"}
        }),
        "tools/list" => json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}),
        "tools/call" => json!({"content": [{"type": "text", "text": "done"}]}),
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    as_json(StatusCode::OK, &json!({"jsonrpc": "2.0", "id": id, "result": result}))
}
