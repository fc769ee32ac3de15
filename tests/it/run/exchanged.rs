//! Data exports of other programs through the built program: imported, found, told, not imported twice, gone on with.

use super::*;

fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import").join(name)
}

fn import(home: &Home, path: &Path, more: &[&str], code: i32) -> Value {
    let args = [&["history", "import", path.to_str().unwrap(), "--json"], more].concat();
    let told = done(home.command(&args).output().unwrap(), code);
    if code == 0 { serde_json::from_str(&told.out).unwrap() } else { told.err.into() }
}

/// An archive of a folder, as its program hands it out.
fn archive(folder: &Path, to: &Path) {
    let mut archive = zip::ZipWriter::new(std::fs::File::create(to).unwrap());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        archive.start_file(format!("export/{name}"), zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut archive, &std::fs::read(&path).unwrap()).unwrap();
    }
    archive.finish().unwrap();
}

fn reasons(told: &Value) -> Vec<String> {
    let skipped = told["skipped"].as_array().unwrap();
    skipped.iter().map(|of| format!("{}: {}", of["title"].as_str().unwrap(), of["reason"].as_str().unwrap())).collect()
}

#[test]
fn an_archive_is_imported_once_with_its_branches_and_gone_on_with() {
    let home = Home::new();
    let file = home.path("data.bin");
    archive(&fixtures("chatgpt"), &file);
    let planned = import(&home, &file, &["--dry-run"], 0);
    let told = import(&home, &file, &[], 0);
    assert_eq!(planned["imported"].as_array().unwrap().len(), told["imported"].as_array().unwrap().len());
    let rows = told["imported"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{told:#}");
    assert_eq!((&rows[0]["title"], &rows[0]["source"]), (&"Mean and median".into(), &"chatgpt".into()));
    assert_eq!((&rows[0]["model"], &rows[0]["created"]), (&"gpt-4o".into(), &1_717_236_000_500_u64.into()));
    assert_eq!((&rows[0]["calls"], &rows[0]["pinned"]), (&2.into(), &false.into()));
    assert!(reasons(&told).contains(&"Only a shell: it has no messages".to_owned()), "{told:#}");
    assert_eq!(told["left_out"]["media"], 2);
    // Again: nothing; by name of the folder, too; beside the first where that is asked for.
    let again = import(&home, &fixtures("chatgpt"), &[], 0);
    assert!(again["imported"].as_array().unwrap().is_empty());
    assert!(reasons(&again).contains(&"Mean and median: imported before".to_owned()), "{again:#}");
    assert_eq!(import(&home, &file, &["--again"], 0)["imported"].as_array().unwrap().len(), 2);
    // The whole of it, out and into another store, is the same.
    let id = rows[0]["id"].as_str().unwrap();
    let (first, second) = (home.path("a.json"), home.path("b.json"));
    let whole = |home: &Home, id: &str, to: &Path| {
        let args = ["history", "export", id, "--all-branches", "-o", to.to_str().unwrap()];
        done(home.command(&args).output().unwrap(), 0);
        serde_json::from_str::<Value>(&std::fs::read_to_string(to).unwrap()).unwrap()
    };
    let exported = whole(&home, id, &first);
    assert_eq!((&exported["version"], exported["aside"].as_array().unwrap().len()), (&2.into(), 3));
    let elsewhere = Home::new();
    assert_eq!(import(&elsewhere, &first, &[], 0)["imported_as_new_id"], false);
    // All of it, but for where it says that it came from: anybody could have written that.
    let mut expected = exported.clone();
    assert!(expected["extra"]["imported"].is_object());
    expected["extra"] = json!({});
    assert_eq!(whole(&elsewhere, id, &second), expected);
    let one_of_them = home.command(&["history", "export", id, "--all-branches", "--format", "html"]).output().unwrap();
    assert!(done(one_of_them, 2).err.contains("--all-branches goes with --format json"));
    // It goes on: all of what was shown is told to the model, each call with its outcome.
    let provider = Provider::start(vec![Reply::text("The mode is missing.")]);
    let told = done(elsewhere.run(&provider, &[&format!("--resume={id}"), "And now?"]).output().unwrap(), 0);
    assert_eq!(told.out, "The mode is missing.\n");
    let said = provider.told(0);
    let roles: Vec<&str> = said.iter().map(|(role, _)| role.as_str()).collect();
    let expect = ["user", "assistant", "tool", "assistant", "user", "assistant", "tool", "assistant", "user"];
    assert_eq!(roles, expect, "{said:#?}");
    let found = done(elsewhere.command(&["history", "search", "median"]).output().unwrap(), 0);
    assert!(found.out.contains("Mean and median"), "{}", found.out);
}

#[test]
fn of_a_hostile_file_each_part_says_its_limit_and_the_rest_is_taken() {
    let home = Home::new();
    let good = |id: u32, text: &str| {
        format!("{{\"uuid\":\"{id}\",\"chat_messages\":[{{\"sender\":\"human\",\"text\":{}}}]}}", Value::from(text))
    };
    let escape = good(1, "\u{1b}]0;owned\u{7}\u{202e}first");
    let list = format!("[{escape},{{\"chat_messages\":[}}]}},{},{}]", good(2, &"x".repeat(5000)), good(3, "third"));
    let file = home.file("list.txt", &list);
    home.file("m/config/config.toml", "[limits]\nimport = \"4 KiB\"\nimport_files = 3\nimport_ratio = 10\n");
    let told = import(&home, &file, &[], 0);
    assert_eq!(told["imported"].as_array().unwrap().len(), 2, "{told:#}");
    let reasons = reasons(&told);
    assert!(reasons[0].contains("it is not JSON") && reasons[1].contains("(limit import)"), "{reasons:?}");
    let shown = done(home.command(&["history", "list"]).output().unwrap(), 0).out;
    assert!(shown.contains("first"), "{shown}");
    // Packed a thousandfold; more files than are looked at; an archive that is none; nothing in it at all.
    let tight = home.path("tight.zip");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&tight).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for n in 0..5 {
        archive.start_file(format!("../../{n}.json"), options).unwrap();
        let text = if n == 0 { format!("[{}]", " ".repeat(6 << 20)) } else { format!("[{}]", good(10 + n, "packed")) };
        std::io::Write::write_all(&mut archive, text.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    let told = import(&home, &tight, &[], 0);
    assert_eq!(told["imported"].as_array().unwrap().len(), 2);
    let why = told["skipped"].to_string();
    assert!(why.contains("(limit import_ratio)") && why.contains("(limit import_files)"), "{why}");
    assert!(!home.path("0.json").exists());
    let broken = home.file("x.zip", "PK\u{3}\u{4}nothing");
    assert!(import(&home, &broken, &[], 2).as_str().unwrap().contains("the archive cannot be read"));
    let other = home.file("other.json", "[{\"a\":1}]");
    assert!(import(&home, &other, &[], 2).as_str().unwrap().contains("it holds no conversations"));
    assert!(import(&home, &home.path("not there"), &[], 2).as_str().unwrap().contains("cannot be imported"));
}

#[test]
fn the_table_says_what_came_and_what_did_not() {
    let home = Home::new();
    let told = done(home.command(&["history", "import", fixtures("claude").to_str().unwrap()]).output().unwrap(), 0);
    assert!(told.out.contains("A poem about mills   Claude"), "{}", told.out);
    assert!(told.out.contains("left out    Empty") && told.out.contains("it has no messages"), "{}", told.out);
    assert!(told.out.contains("users.json: it holds no conversations"), "{}", told.out);
    assert!(told.err.contains("Imported 2 conversations; 2 left out"), "{}", told.err);
    assert!(told.err.contains("1 attached file"), "{}", told.err);
}

#[test]
fn a_share_file_leaves_out_what_it_says_and_no_more() {
    let home = Home::new();
    let servers = home.servers(None);
    let place = home.path("notes/secret-plan.txt");
    let arguments = json!({"path": place, "content": "a quiet word"}).to_string();
    let provider = Provider::start(vec![
        Reply::calls(&[("demo__write_file", &arguments)]),
        Reply::text(&format!("Written to {}, adalovelace.", place.display())),
    ]);
    let args = ["--mcp", servers.to_str().unwrap(), "--approve", "all", "-s", "Speak softly", "write it"];
    done(home.run(&provider, &args).output().unwrap(), 0);
    let export = |more: &[&str], code: i32| {
        let mut command = home.command(&[&["history", "export", "last"], more].concat());
        done(command.env("USER", "adalovelace").output().unwrap(), code)
    };
    for format in ["markdown", "html"] {
        let told = export(&["--share", "--format", format], 0);
        for hidden in ["a quiet word", "Speak softly", "adalovelace", home.0.path().to_str().unwrap()] {
            assert!(!told.out.contains(hidden), "{hidden}: {}", told.out);
        }
        assert!(told.out.contains("secret-plan.txt, [user].") && told.out.contains("[left out: "), "{}", told.out);
        assert!(
            told.err.contains("Left out: the arguments of 1 call, 1 result, the system prompt, 2 paths"),
            "{}",
            told.err
        );
        assert!(told.out.contains("Left out: the arguments of 1 call"), "{}", told.out);
    }
    let told = export(&["--share", "--with-arguments", "--with-results", "--with-system"], 0);
    assert!(told.out.contains("a quiet word") && told.out.contains("Speak softly"), "{}", told.out);
    assert!(!told.out.contains("adalovelace"), "{}", told.out);
    assert!(export(&["--share", "--format", "json"], 2).err.contains("--share is Markdown or HTML"));
    assert!(export(&["--with-results"], 2).err.contains("--share"));
}
