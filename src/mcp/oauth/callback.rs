//! The place on this machine where the browser comes back to (RFC 8252 7.3).
//!
//! # Invariants
//! - It listens on 127.0.0.1 alone, for one sign-in, and ends with the first answer that counts.
//! - What a request says is never said back.
//! - Requests that are not the answer end nothing: browsers ask for icons, and open connections in advance.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::error::SignInError;
use super::flow::{Code, Flow};

const PATH: &str = "/callback";
/// Longest head of a request, in bytes.
const HEAD_MAX: usize = 32 * 1024;
/// How long one request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECTIONS: usize = 16;
/// After so many answers that were none, somebody is guessing.
const WRONG_MAX: usize = 50;

pub(super) struct Callback {
    listener: TcpListener,
    port: u16,
}

impl Callback {
    /// Listens; on `preferred` where that is free, else on any port unless it is `fixed`.
    pub(super) async fn bind(preferred: Option<u16>, fixed: bool) -> std::io::Result<Self> {
        let bind = |port: u16| TcpListener::bind(("127.0.0.1", port));
        let listener = match preferred {
            Some(port) => match bind(port).await {
                Ok(listener) => listener,
                Err(error) if fixed => return Err(error),
                Err(_) => bind(0).await?,
            },
            None => bind(0).await?,
        };
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn redirect(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Waits for the answer. Cancel-safe: nothing is lost that was the answer.
    ///
    /// # Errors
    /// The issuer's refusal, or too many wrong answers.
    pub(super) async fn answer(&self, flow: &Flow) -> Result<Code, SignInError> {
        let mut open = FuturesUnordered::new();
        let mut wrong = 0;
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if open.len() < CONNECTIONS => match accepted {
                    Ok((stream, _)) => open.push(self.serve(stream, flow)),
                    // A connection that broke at once; out of descriptors, waiting is all that helps.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                Some(heard) = open.next() => match heard {
                    Some(Ok(code)) => return Ok(code),
                    Some(Err(error)) if !error.is_of_the_answer() => return Err(error),
                    Some(Err(_)) => {
                        wrong += 1;
                        if wrong >= WRONG_MAX {
                            return Err(SignInError::TooManyAnswers);
                        }
                    }
                    None => {}
                },
            }
        }
    }

    /// One request. None: it had nothing to do with a sign-in.
    async fn serve(&self, mut stream: TcpStream, flow: &Flow) -> Option<Result<Code, SignInError>> {
        let head = tokio::time::timeout(PATIENCE, head(&mut stream)).await.ok()??;
        let heard = self.query(&head).map(|query| flow.receive(query));
        let page = match &heard {
            Some(Ok(_)) => page("200 OK", "That worked so far.", "You can close this page and go back to millrace."),
            Some(Err(SignInError::Refused(_))) => {
                page("200 OK", "The sign-in was refused.", "millrace tells why. You can close this page.")
            }
            Some(Err(_)) => page(
                "400 Bad Request",
                "This does not belong to the sign-in that millrace waits for.",
                "Close this page, and begin again in millrace.",
            ),
            None => page("404 Not Found", "There is nothing here.", "millrace waits for a sign-in at another address."),
        };
        let _ = tokio::time::timeout(PATIENCE, async {
            stream.write_all(page.as_bytes()).await?;
            stream.shutdown().await
        })
        .await;
        heard
    }

    /// What follows `?`, where a browser asks for our page under our name.
    fn query<'a>(&self, head: &'a str) -> Option<&'a str> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let host = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("host").then(|| value.trim())
        })?;
        // A page of another name that resolves to this machine has nothing to ask here.
        if method != "GET" || host != format!("127.0.0.1:{}", self.port) {
            return None;
        }
        target.strip_prefix(PATH)?.strip_prefix('?')
    }
}

/// Reads to the end of the head.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut piece).await.ok()?;
        if read == 0 || head.len() + read > HEAD_MAX {
            return None;
        }
        head.extend_from_slice(&piece[..read]);
    }
    String::from_utf8(head).ok()
}

fn page(status: &str, title: &str, text: &str) -> String {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>millrace</title>\
         <body style=\"font:16px sans-serif;margin:4em auto;max-width:32em\"><h1>{title}</h1><p>{text}</p></body></html>"
    );
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
