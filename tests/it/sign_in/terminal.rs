//! `millrace mcp login` and `logout`, and the chat screen, as a person at a terminal meets them.

use std::path::Path;
use std::process::Command;

use super::world::World;
use super::{Duration, files};
use crate::tui::Terminal;

fn millrace(home: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_millrace"))
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("MILLRACE_HOME", home)
        .current_dir(home)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn configured(home: &Path, world: &World) {
    let folder = home.join("config");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!("[servers.tracker]\nurl = \"{}\"\n\n[servers.tracker.sign_in]\nport = PORT\n", world.server);
    // A free port, so that the redirect is known here.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    std::fs::write(folder.join("config.toml"), text.replace("PORT", &port.to_string())).unwrap();
}

/// The address of the page on a terminal wide enough to show it in one line.
fn page(terminal: &Terminal) -> String {
    let screen = terminal.screen();
    let at = screen.find("/authorize?").unwrap();
    let start = screen[..at].rfind("http://").unwrap();
    screen[start..].split_whitespace().next().unwrap().to_owned()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_over_ssh_uses_the_server_and_signs_out() {
    let world = World::new(|memory| memory.challenge_scope = Some("echo:use")).await;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().to_owned();
    configured(&path, &world);

    // Without a person nothing is signed in to.
    let at = path.clone();
    let (code, _, stderr) = blocking(move || millrace(&at, &["mcp", "login", "tracker"])).await;
    assert_eq!(code, 2);
    assert!(stderr.contains("needs a person at a terminal"), "{stderr}");
    let at = path.clone();
    let (code, _, stderr) = blocking(move || millrace(&at, &["mcp", "test", "tracker"])).await;
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("Sign in: millrace mcp login tracker"), "{stderr}");

    let at = path.display().to_string();
    let env = [("MILLRACE_HOME", at.clone()), ("SSH_CONNECTION", "1 2 3 4".into()), ("DISPLAY", ":0".into())];
    let terminal = blocking(move || {
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let terminal = crate::tui::open(&["mcp", "login", "tracker"], (1000, 40), &env);
        terminal.wait_for("paste it here and press enter");
        terminal
    })
    .await;
    let screen = terminal.screen();
    for what in ["Sign in to \"tracker\"", "There is no screen here", "asks for  echo:use", &world.issuer] {
        assert!(screen.contains(what), "{what}:\n{screen}");
    }
    let answer = world.browse(&page(&terminal)).await;
    let wrong = answer.replace("state=", "state=x");
    let (status, bytes) = blocking(move || {
        let mut terminal = terminal;
        terminal.type_in(&format!("{wrong}\r"));
        terminal.wait_for("That was not it");
        terminal.type_in(&format!("{answer}\r"));
        terminal.wait_for("Try it: millrace mcp test tracker");
        terminal.ended()
    })
    .await;
    assert_eq!(status.exit_code(), 0);
    assert!(!String::from_utf8_lossy(&bytes).contains("canary-access"));

    let at = path.clone();
    let (code, stdout, stderr) = blocking(move || millrace(&at, &["mcp", "test", "tracker"])).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("tracker") && !stdout.contains("canary"), "{stdout}");
    let at = path.clone();
    let (_, stdout, _) = blocking(move || millrace(&at, &["mcp", "list"])).await;
    assert!(
        stdout.contains(&format!("signed in with {}", world.issuer)) && stdout.contains("for echo:use"),
        "{stdout}"
    );
    let at = path.clone();
    let (_, stdout, _) = blocking(move || millrace(&at, &["mcp", "list", "--json"])).await;
    assert!(stdout.contains("\"renews\": true") && !stdout.contains("canary"), "{stdout}");

    let at = path.clone();
    let (code, stdout, _) = blocking(move || millrace(&at, &["mcp", "logout", "tracker"])).await;
    assert_eq!((code, stdout), (0, format!("tracker: signed out; {} was told.\n", world.issuer)));
    assert!(!files(&path).contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_from_the_list_of_servers() {
    let world = World::new(|_| ()).await;
    let home = tempfile::tempdir().unwrap();
    configured(home.path(), &world);
    // A model that is never asked.
    let at = home.path().display().to_string();
    let terminal = blocking(move || {
        let env = [
            ("MILLRACE_HOME", at.as_str()),
            ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1"),
            ("MILLRACE_MODEL", "none"),
            ("SSH_CONNECTION", "1 2 3 4"),
        ];
        let mut terminal = crate::tui::open(&[], (1000, 40), &env);
        terminal.type_in("\x0f");
        terminal.wait_for("needs sign-in");
        terminal.type_in("\r");
        terminal.wait_for("/authorize?");
        std::thread::sleep(Duration::from_millis(500));
        terminal.type_in("o");
        terminal.wait_for("there is no screen here");
        terminal
    })
    .await;
    let answer = world.browse(&page(&terminal)).await;
    blocking(move || {
        let mut terminal = terminal;
        // As a terminal hands over a paste.
        terminal.type_in(&format!("\x1b[200~{answer}\x1b[201~"));
        terminal.wait_for("enter hands it over");
        assert!(!terminal.screen().contains("canary-code"));
        terminal.type_in("\r");
        terminal.wait_for("You are signed in to tracker");
        terminal.type_in("\x1b");
        terminal.wait_for("signed in with");
        terminal.type_in("\x1b\x03\x03\x03");
        terminal.ended()
    })
    .await;
    assert_eq!(world.memory().asked.len(), 1);
    assert!(world.memory().heard.iter().any(|(token, _)| token.as_deref() == Some("canary-access-1")));
}
