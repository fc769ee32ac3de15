//! What is done around a run: models and favourites, the doctor, the timeline as a terminal shows it.

use millrace::chat::{Change, Durability, Marked};
use millrace::store::{OpenMode, Store};

use super::*;

fn models(ids: &[&str]) -> Provider {
    let list = json!({"data": ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()}).to_string();
    let reply = || Reply::plain("200 OK", "application/json", "", &list);
    Provider::start(vec![reply(), reply(), reply(), reply()])
}

fn base_url(provider: &Provider) -> String {
    format!("http://127.0.0.1:{}/v1", provider.port)
}

fn mark(home: &Home, base_url: &str, model: &str) {
    let path = home.path("m/data/millrace.db");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let learnt = Change::Learnt {
        base_url: base_url.to_owned(),
        model: model.to_owned(),
        key: Marked::FAVOURITE.to_owned(),
        value: "true".to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&path, OpenMode::Write).unwrap();
        store.apply(vec![learnt], Durability::Synced).await.unwrap();
        store.close().await.unwrap();
    });
}

#[test]
fn favourites_are_listed_wherever_they_are_and_their_absence_is_said() {
    let home = Home::new();
    // There is no default endpoint, and none is needed.
    let told = done(home.command(&["models", "--favourites"]).output().unwrap(), 0);
    assert!(told.out.is_empty() && told.err.contains("No favourites"), "{}", told.err);
    assert_eq!(done(home.command(&["models", "--favourites", "--json"]).output().unwrap(), 0).out, "[]\n");
    let provider = models(&["small", "large"]);
    let text = format!("[profiles.local]\nbase_url = {:?}\n", base_url(&provider));
    home.file("m/config/config.toml", &text);
    mark(&home, &base_url(&provider), "large");
    assert_eq!(done(home.command(&["models", "--favourites"]).output().unwrap(), 0).out, "large\n");
    // One of an endpoint that is in no profile any more is still one.
    mark(&home, "https://gone.example/v1", "old");
    let told = done(home.command(&["models", "--favourites"]).output().unwrap(), 0);
    assert_eq!(told.out, "local\tlarge\nhttps://gone.example/v1\told\n");
    assert_eq!(done(home.command(&["models", "--favourites", "-p", "local"]).output().unwrap(), 0).out, "large\n");
}

#[test]
fn a_profile_that_is_not_chosen_is_named_by_the_doctor_and_by_a_run() {
    let home = Home::new();
    let told = done(home.command(&["doctor"]).output().unwrap(), 0);
    assert!(told.out.contains("none is configured") && !told.out.contains("api.openai.com"), "{}", told.out);
    home.file("m/config/config.toml", "[profiles.local]\nbase_url = \"http://127.0.0.1:9/v1\"\n");
    let told = done(home.command(&["doctor"]).output().unwrap(), 0);
    let choose = "Choose your profile: -p local, or for good: millrace config set profile local";
    assert!(told.out.contains("none of the profiles is chosen") && told.out.contains(choose), "{}", told.out);
    assert!(done(home.command(&["run", "hello"]).output().unwrap(), 4).err.contains(choose));
}

#[cfg(unix)]
#[test]
fn a_timeline_is_as_wide_as_its_terminal() {
    let home = Home::new();
    let servers = home.servers(None);
    let provider =
        Provider::start(vec![Reply::calls(&[("demo__list_files", "{}")]), Reply::text("An answer that is there.")]);
    let args = ["--mcp", servers.to_str().unwrap(), "--approve", "all", "a question"];
    done(home.run(&provider, &args).output().unwrap(), 0);
    let (code, shown) = in_a_terminal(home.command(&["timeline"]), &[]);
    let widths = || shown.lines().map(|line| line.trim_end().chars().count());
    assert_eq!(code, 0, "{shown}");
    assert!(widths().max().unwrap() <= 80 && widths().max().unwrap() > 70, "{shown}");
}

#[test]
fn an_answer_that_was_cut_by_its_length_is_called_so() {
    let home = Home::new();
    let provider = Provider::start(vec![Reply::sse(vec![say("half an answ"), usage(), finish("length")])]);
    done(home.run(&provider, &["a question"]).output().unwrap(), 5);
    let told = |args: &[&str]| done(home.command(args).output().unwrap(), 0).out;
    assert!(told(&["history", "list"]).contains("   cut short"), "{}", told(&["history", "list"]));
    assert!(told(&["history", "show", "last"]).contains("half an answ\n┃ (cut by the length limit)"));
    assert!(told(&["history", "export", "last"]).contains("half an answ\n\n*(cut by the length limit)*"));
}
