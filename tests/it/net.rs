//! The network against scripted servers on loopback: what a real endpoint will not do when asked to.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests, which clippy does not know as such

use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace::chat::{Api, Delta, Fault, FaultKind, Limits, Retry};
use millrace::config::Secret;
use millrace::net::{Endpoint, Event, Failure, Http, HttpOptions, models, respond};
use millrace::wire::Decoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SSE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const HI: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// What a server does after it has read a request.
#[derive(Clone)]
enum Step {
    Send(Vec<u8>),
    /// Says no more, and waits for the other side to go.
    Hang,
}

fn send(text: impl AsRef<[u8]>) -> Step {
    Step::Send(text.as_ref().to_vec())
}

/// A whole reply with a length.
fn reply(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<Step> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    vec![send(head), send(body)]
}

/// A server that answers every request with the same steps and remembers what it was asked.
struct Server {
    address: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    requests: Vec<String>,
    connections: usize,
    hung_up: usize,
}

impl Server {
    async fn start(steps: Vec<Step>) -> Self {
        Self::on("127.0.0.1:0", steps).await
    }

    async fn on(address: &str, steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let record = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                record.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, steps.clone(), Arc::clone(&record)));
            }
        });
        Self { address, seen }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::new(&format!("http://{}/v1", self.address), Api::Chat).unwrap().key(Secret::new("sk-canary"), "$KEY")
    }

    fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// Waits until so many connections were closed by the other side.
    async fn hung_up(&self, count: usize) {
        while self.seen.lock().unwrap().hung_up < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn serve(mut stream: TcpStream, steps: Vec<Step>, seen: Arc<Mutex<Seen>>) {
    while let Some(request) = read_request(&mut stream).await {
        seen.lock().unwrap().requests.push(request);
        for step in &steps {
            match step {
                Step::Send(bytes) => {
                    if stream.write_all(bytes).await.is_err() {
                        break;
                    }
                }
                Step::Hang => while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {},
            }
        }
        if steps.iter().any(|s| matches!(s, Step::Send(b) if String::from_utf8_lossy(b).contains("connection: close")))
        {
            break;
        }
    }
    seen.lock().unwrap().hung_up += 1;
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Some(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn http() -> Http {
    Http::new(HttpOptions::new(&Limits::default()))
}

/// The deltas of a response, and how it ended.
async fn collect(endpoint: &Endpoint, limits: Limits) -> (Vec<Delta>, Result<(), Failure>) {
    let mut response = respond(&http(), endpoint, r#"{"stream":true}"#, Arc::new(limits));
    let mut deltas = Vec::new();
    while let Some(event) = response.next().await {
        match event {
            Event::FirstByte { .. } | Event::Slow { .. } => {}
            Event::Deltas { event, .. } => deltas.extend(event.deltas),
            Event::Ended { .. } => return (deltas, Ok(())),
            Event::Failed(failure) => return (deltas, Err(*failure)),
        }
    }
    panic!("a response must end with Ended or Failed");
}

async fn failure(steps: Vec<Step>) -> Failure {
    let server = Server::start(steps).await;
    let (_, ended) = collect(&server.endpoint(), Limits::default()).await;
    let mut failure = ended.unwrap_err();
    failure.fault.message = failure.fault.message.replace(&server.address, "HOST");
    assert!(failure.fault.hint.is_some(), "{failure:?}");
    assert!(!format!("{failure:?}").contains("sk-canary"), "{failure:?}");
    failure
}

fn text_of(deltas: &[Delta]) -> String {
    deltas.iter().map(|delta| if let Delta::Text(text) = delta { text.as_str() } else { "" }).collect()
}

#[tokio::test]
async fn a_stream_arrives_as_it_was_sent_and_the_request_is_what_it_should_be() {
    let fixture = include_str!("../fixtures/sse/04-openai-parallel.sse");
    let server = Server::start(vec![send(SSE), send(fixture)]).await;
    let (deltas, ended) = collect(&server.endpoint(), Limits::default()).await;
    assert_eq!(ended, Ok(()));
    let mut decoder = Decoder::new(Api::Chat);
    let data = fixture.lines().filter_map(|line| line.strip_prefix("data: "));
    let expect: Vec<Delta> = data.flat_map(|data| decoder.event(data).deltas).collect();
    assert_eq!(deltas, expect);
    let request = server.requests().remove(0).to_lowercase();
    assert!(request.starts_with("post /v1/chat/completions http/1.1\r\n"), "{request}");
    for header in ["authorization: bearer sk-canary", "accept-encoding: identity", "content-type: application/json"] {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{header}: {request}");
    }
    assert!(request.ends_with(r#"{"stream":true}"#));
}

#[tokio::test]
async fn refusals_before_the_stream_are_told_with_what_to_do() {
    let json = "content-type: application/json\r\n";
    let refused = failure(reply("401 Unauthorized", json, r#"{"error":{"message":"bad key sk-…"}}"#)).await;
    assert_eq!(refused.fault.message, "HOST refused the key from $KEY (401).");
    assert_eq!((refused.fault.kind, refused.again, refused.data), (FaultKind::Auth, false, false));

    let path = failure(reply("404 Not Found", "content-type: text/plain\r\n", "404 page not found")).await;
    assert!(path.fault.message.starts_with("HOST has nothing at /v1/chat/completions (404)"), "{}", path.fault);

    let headers = "content-type: application/json\r\nretry-after: 20\r\nx-should-retry: true\r\n";
    let rate = failure(reply("429 Too Many Requests", headers, r#"{"error":{"message":"Slow down"}}"#)).await;
    assert_eq!(rate.fault.retry, Retry::Later(Some(20_000)));
    assert_eq!((rate.retry_after, rate.should_retry), (Some(Duration::from_secs(20)), Some(true)));
    assert!(rate.fault.hint.unwrap().contains("20 s"));

    let broken = failure(reply("500 Internal Server Error", json, r#"{"error":{"message":"oops"}}"#)).await;
    assert_eq!(broken.fault.message, "HOST failed (500): oops.");
    assert!(broken.again);

    let html = "content-type: text/html\r\n";
    let gateway = failure(reply("502 Bad Gateway", html, "<html><h1>Bad gateway</h1></html>")).await;
    assert_eq!((gateway.fault.message.as_str(), gateway.again), ("HOST failed (502).", true));
    let site = failure(reply("404 Not Found", html, "<html>nothing here</html>")).await;
    assert_eq!(site.fault.kind, FaultKind::Protocol);
    let empty = failure(reply("500 Internal Server Error", "", "")).await;
    assert_eq!(empty.fault.message, "HOST failed (500).");
    // More than is read of a refusal must not hold it up.
    let huge = failure(reply("400 Bad Request", "", vec![b'x'; 300 << 10])).await;
    assert!(huge.fault.message.len() < 500, "{}", huge.fault.message.len());
}

#[tokio::test]
async fn answers_that_are_no_stream_are_taken_for_what_they_are() {
    let json = "content-type: application/json\r\n";
    for (fixture, expect) in [
        (include_str!("../fixtures/sse/71-http200-json-completion.sse"), 0),
        (include_str!("../fixtures/sse/69-http200-json-error.sse"), 1),
    ] {
        let server = Server::start(reply("200 OK", json, fixture)).await;
        let (deltas, ended) = collect(&server.endpoint(), Limits::default()).await;
        assert_eq!(ended, Ok(()));
        assert!(!deltas.is_empty());
        assert_eq!(deltas.iter().filter(|d| matches!(d, Delta::Error(_))).count(), expect, "{deltas:?}");
    }
    let page = failure(reply("200 OK", "content-type: text/html\r\n", "<!doctype html><title>Sign in</title>")).await;
    assert_eq!(page.fault.kind, FaultKind::Protocol);
    assert!(page.fault.message.contains("web page"), "{}", page.fault);
}

#[tokio::test]
async fn a_cut_stream_tells_that_something_had_come() {
    let cut = failure(vec![
        send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"),
        send(format!("{:x}\r\n{HI}\r\n", HI.len())),
    ])
    .await;
    assert_eq!((cut.fault.kind, cut.data, cut.again), (FaultKind::Truncated, true, true));
    assert!(cut.fault.message.starts_with("The stream from HOST broke"), "{}", cut.fault);
    let nothing = failure(vec![send("connection: close")]).await;
    assert_eq!((nothing.fault.kind, nothing.data), (FaultKind::Network, false), "{}", nothing.fault);
}

#[tokio::test]
async fn a_server_that_stays_silent_is_warned_of_and_given_up() {
    let server = Server::start(vec![Step::Hang]).await;
    let limits = Limits {
        first_byte_warning: Duration::from_millis(50),
        first_byte: Duration::from_millis(1500),
        ..Limits::default()
    };
    // Built beforehand: that alone takes longer than the warning on a busy machine.
    let http = http();
    http.ready().await.unwrap();
    let mut response = respond(&http, &server.endpoint(), "{}", Arc::new(limits));
    assert!(matches!(response.next().await, Some(Event::Slow { .. })));
    let Some(Event::Failed(failure)) = response.next().await else { panic!("must fail") };
    assert_eq!(failure.fault.kind, FaultKind::Limit);
    assert!(failure.fault.message.ends_with("(limit first_byte)."), "{}", failure.fault);
    assert_eq!(response.next().await, None);
    server.hung_up(1).await;
}

#[tokio::test]
async fn keep_alives_alone_are_no_progress() {
    let server = Server::start(vec![send(SSE), send(": ping\n\n"), Step::Hang]).await;
    let limits = Limits { data_event: Duration::from_millis(40), ..Limits::default() };
    let (_, ended) = collect(&server.endpoint(), limits).await;
    let failure = ended.unwrap_err();
    assert!(failure.fault.message.contains("(limit data_event)"), "{}", failure.fault);
}

#[tokio::test]
async fn an_over_long_line_ends_the_response_and_names_the_limit() {
    let server = Server::start(vec![send(SSE), send(HI), send("data: "), send(vec![b'x'; 9000]), Step::Hang]).await;
    let (deltas, ended) = collect(&server.endpoint(), Limits { line: 4096, ..Limits::default() }).await;
    let failure = ended.unwrap_err();
    assert!(failure.fault.message.ends_with("is larger than 4 KiB (limit line)."), "{}", failure.fault);
    assert_eq!(text_of(&deltas), "hi");
    server.hung_up(1).await;
}

#[tokio::test]
async fn dropping_a_response_ends_its_connection() {
    let server = Server::start(vec![send(SSE), send(HI), Step::Hang]).await;
    let mut response = respond(&http(), &server.endpoint(), "{}", Arc::new(Limits::default()));
    while !matches!(response.next().await, Some(Event::Deltas { .. })) {}
    drop(response);
    server.hung_up(1).await;
}

#[tokio::test]
async fn a_connection_serves_the_next_round_too() {
    let chunked = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let body = format!("{HI}{DONE}");
    let steps = vec![send(chunked), send(format!("{:x}\r\n{body}\r\n", body.len())), send("0\r\n\r\n")];
    let server = Server::start(steps).await;
    let http = http();
    for _ in 0..3 {
        let mut response = respond(&http, &server.endpoint(), "{}", Arc::new(Limits::default()));
        let mut ended = false;
        while let Some(event) = response.next().await {
            ended = matches!(event, Event::Ended { .. });
        }
        assert!(ended);
    }
    assert_eq!((server.requests().len(), server.seen.lock().unwrap().connections), (3, 1));
}

#[tokio::test]
async fn a_key_never_follows_a_redirect_to_another_origin() {
    let elsewhere = Server::start(vec![send(SSE), send(HI), send(DONE)]).await;
    let location = format!("location: http://{}/v1/chat/completions\r\n", elsewhere.address);
    let moved = failure(reply("307 Temporary Redirect", &location, "")).await;
    assert_eq!(moved.fault.kind, FaultKind::Protocol);
    assert!(moved.fault.message.contains(&elsewhere.address), "{}", moved.fault);
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn compressed_answers_are_read_all_the_same() {
    const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\x49\x2c\x49\xb4\x52\xa8\x56\x4a\xce\xc8\xcf\x4c\x4e\x2d\x56\xb2\x8a\xae\x56\xca\xcc\x4b\x49\xad\x50\xb2\x32\xd0\x51\x4a\x49\xcd\x29\x49\x54\xb2\x02\x4a\xe7\xe7\x95\xa4\xe6\x95\x28\x59\x29\x15\x24\x26\x67\xa7\xa6\x28\xd5\xd6\xc6\xd6\x72\x71\xa5\x80\x75\x47\xbb\xf8\xfb\xb9\xc6\x72\x71\x01\x00\xc2\x88\x9f\xc6\x4c\x00\x00\x00";
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n";
    let server = Server::start(vec![send(head), send(GZIP)]).await;
    let (deltas, ended) = collect(&server.endpoint(), Limits::default()).await;
    assert_eq!((text_of(&deltas).as_str(), ended), ("packed", Ok(())));
}

async fn fault_at(base: &str) -> Fault {
    let (_, ended) = collect(&Endpoint::new(base, Api::Chat).unwrap(), Limits::default()).await;
    let failure = ended.unwrap_err();
    assert_eq!((failure.fault.kind, failure.status), (FaultKind::Network, None));
    failure.fault
}

#[tokio::test]
async fn what_cannot_be_reached_is_named_with_its_reason() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let refused = fault_at(&format!("http://{address}/v1")).await;
    assert_eq!(refused.message, format!("Nothing listens at {address} (connection refused)."));
    let dns = fault_at("http://no-such-host.invalid/v1").await;
    assert_eq!(dns.message, "No address is known for no-such-host.invalid.");
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
            let _ = stream.read(&mut [0; 4096]).await;
        }
    });
    let tls = fault_at(&format!("https://{address}/v1")).await;
    assert!(tls.message.starts_with(&format!("The TLS connection to {address} failed")), "{tls}");
    assert!(tls.hint.unwrap().contains("http://"));
}

#[tokio::test]
async fn localhost_is_found_on_either_address() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        if TcpListener::bind(address).await.is_err() {
            continue;
        }
        let server = Server::on(address, vec![send(SSE), send(HI), send(DONE)]).await;
        let port = server.address.rsplit_once(':').unwrap().1;
        let endpoint = Endpoint::new(&format!("http://localhost:{port}/v1"), Api::Chat).unwrap();
        let (deltas, ended) = collect(&endpoint, Limits::default()).await;
        assert_eq!((text_of(&deltas).as_str(), ended), ("hi", Ok(())), "{address}");
    }
}

#[tokio::test]
async fn a_proxy_sees_neither_loopback_nor_a_key_over_plain_http() {
    let proxy = Server::start(reply("502 Bad Gateway", "", "")).await;
    let direct = Server::start(vec![send(SSE), send(HI), send(DONE)]).await;
    let options =
        HttpOptions { proxy: Some(format!("http://{}", proxy.address)), ..HttpOptions::new(&Limits::default()) };
    let http = Http::new(options);
    let mut response = respond(&http, &direct.endpoint(), "{}", Arc::new(Limits::default()));
    while response.next().await.is_some() {}
    assert_eq!((proxy.requests().len(), direct.requests().len()), (0, 1));

    let far = Endpoint::new("http://model.invalid/v1", Api::Chat).unwrap().key(Secret::new("sk-canary"), "$KEY");
    let mut response = respond(&http, &far, "{}", Arc::new(Limits::default()));
    while response.next().await.is_some() {}
    let seen = proxy.requests().remove(0);
    assert!(seen.starts_with("POST http://model.invalid/v1/chat/completions") && !seen.contains("sk-canary"), "{seen}");

    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let options = HttpOptions { proxy: Some(format!("http://ada:pw@{gone}")), ..HttpOptions::new(&Limits::default()) };
    let mut response = respond(&Http::new(options), &far, "{}", Arc::new(Limits::default()));
    let Some(Event::Failed(failure)) = response.next().await else { panic!("must fail") };
    let named = format!("through the proxy http://{gone} from the configuration");
    assert!(failure.fault.message.contains(&named), "{}", failure.fault);
}

#[tokio::test]
async fn models_are_listed_or_it_is_said_why_not() {
    let list = r#"{"object":"list","data":[{"id":"a","context_length":8192},{"id":"b"}]}"#;
    let server = Server::start(reply("200 OK", "", list)).await;
    let found = models(&http(), &server.endpoint()).await.unwrap();
    assert_eq!(found.iter().map(|m| (m.id.as_str(), m.context)).collect::<Vec<_>>(), [("a", Some(8192)), ("b", None)]);
    assert!(server.requests()[0].starts_with("GET /v1/models HTTP/1.1\r\n"));

    for (steps, kind, says) in [
        (reply("401 Unauthorized", "", ""), FaultKind::Auth, "refused the key from $KEY"),
        (reply("404 Not Found", "", "no"), FaultKind::Provider, "offers no list of models (404)"),
        (reply("200 OK", "", r#"{"hello":1}"#), FaultKind::Protocol, "no list of models"),
        (reply("200 OK", "", "<html>"), FaultKind::Protocol, "no list of models"),
    ] {
        let server = Server::start(steps).await;
        let fault = models(&http(), &server.endpoint()).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.contains(says) && fault.hint.is_some(), "{fault}");
    }
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_with_key_and_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await.unwrap();
            let answer = match request.starts_with("POST /v1/") {
                true => "HTTP/1.1 308 Permanent Redirect\r\nlocation: /v2/chat\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
                false => format!("{SSE}{HI}{DONE}"),
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
            seen.push(request);
        }
        seen
    });
    let endpoint = Endpoint::new(&base, Api::Chat).unwrap().key(Secret::new("sk-canary"), "$KEY");
    let (deltas, ended) = collect(&endpoint, Limits::default()).await;
    assert_eq!((text_of(&deltas).as_str(), ended), ("hi", Ok(())));
    let seen = served.await.unwrap();
    assert!(
        seen[1].starts_with("POST /v2/chat ")
            && seen[1].contains("sk-canary")
            && seen[1].ends_with(r#"{"stream":true}"#)
    );
}

const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/ca.pem");

/// An endpoint behind TLS, with a certificate that only `CA` vouches for. Answers one request.
fn behind_tls() -> String {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use std::io::{Read, Write};
    let chain =
        CertificateDer::pem_slice_iter(include_bytes!("../fixtures/tls/server.pem")).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../fixtures/tls/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("https://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut tls = rustls::StreamOwned::new(rustls::ServerConnection::new(config).unwrap(), stream);
        let mut request = Vec::new();
        while !request.ends_with(br#"{"stream":true}"#) {
            let mut bytes = [0; 4096];
            // A client that does not trust it goes away.
            let Ok(read @ 1..) = tls.read(&mut bytes) else { return };
            request.extend_from_slice(&bytes[..read]);
        }
        let _ = tls.write_all(format!("{SSE}{HI}{DONE}").as_bytes());
        tls.conn.send_close_notify();
        let _ = tls.flush();
    });
    base
}

#[tokio::test]
async fn a_certificate_is_trusted_by_the_bundle_of_the_profile_and_only_by_it() {
    let ask = async |ca_file: Option<&str>| {
        let options = HttpOptions { ca_file: ca_file.map(Into::into), ..HttpOptions::new(&Limits::default()) };
        let endpoint = Endpoint::new(&behind_tls(), Api::Chat).unwrap();
        let mut response = respond(&Http::new(options), &endpoint, r#"{"stream":true}"#, Arc::new(Limits::default()));
        let mut text = String::new();
        while let Some(event) = response.next().await {
            match event {
                Event::Deltas { event, .. } => text += &text_of(&event.deltas),
                Event::Failed(failure) => return Err(failure.fault),
                Event::FirstByte { .. } | Event::Slow { .. } | Event::Ended { .. } => {}
            }
        }
        Ok(text)
    };
    assert_eq!(ask(Some(CA)).await, Ok("hi".to_owned()));
    let stranger = ask(None).await.unwrap_err();
    assert!(stranger.message.starts_with("The TLS connection to 127.0.0.1:"), "{stranger}");
    let missing = ask(Some("/nowhere/ca.pem")).await.unwrap_err();
    assert!(missing.message.starts_with("The CA file /nowhere/ca.pem cannot be read"), "{missing}");
}

#[tokio::test]
async fn the_headers_of_a_profile_go_with_every_request() {
    let server = Server::start(vec![send(SSE), send(HI), send(DONE)]).await;
    let endpoint = server.endpoint().header("X-Team", Secret::new("blue")).unwrap();
    let (_, ended) = collect(&endpoint, Limits::default()).await;
    assert_eq!(ended, Ok(()));
    assert!(server.requests()[0].to_lowercase().contains("\r\nx-team: blue\r\n"), "{}", server.requests()[0]);
}
