//! What an import says when it is done: a table for people, an object for scripts.

use serde_json::{Value, json};

use super::{Entry, Report};
use crate::cli::history::{Failure, Terminal, line, row_json, say, time};

/// Rows of a kind that a terminal is told; a pipe is told all.
const ROWS: usize = 30;

pub(super) fn table(report: &Report, dry_run: bool, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let most = if terminal.drawn { ROWS } else { usize::MAX };
    let word = if dry_run { "would come" } else { "imported" };
    let mut told = 0;
    for entry in &report.entries {
        if let Entry::Imported { row, source, .. } = entry {
            told += 1;
            if told <= most {
                let (at, title) = (time(row.updated), titled(&row.title));
                say(terminal, &format!("{word:<10}  {at}  {:>4}  {title}   {}", row.messages, source.name()))?;
            }
        }
    }
    if told > most {
        let hint = if dry_run { "" } else { ": millrace history" };
        say(terminal, &format!("            and {} more{hint}", told - most))?;
    }
    let mut skipped = 0;
    for entry in &report.entries {
        if let Entry::Skipped { file, item, title, why, known } = entry {
            skipped += 1;
            if skipped <= most {
                let word = if known.is_some() { "known" } else { "left out" };
                let what = [titled(title), place(file, *item)];
                let what: Vec<String> = what.into_iter().filter(|said| !said.is_empty()).collect();
                let what = if what.is_empty() { "one without a title".to_owned() } else { what.join("   ") };
                say(terminal, &format!("{word:<10}  {what}: {}", line(why)))?;
            }
        }
    }
    if skipped > most {
        say(terminal, &format!("            and {} more; --json tells all", skipped - most))?;
    }
    let (known, failed) = (report.known(), skipped - report.known());
    let mut said = vec![match (told, dry_run) {
        (0, _) => "Nothing new to import".to_owned(),
        (1, false) => "Imported 1 conversation".to_owned(),
        (1, true) => "1 conversation would be imported".to_owned(),
        (n, false) => format!("Imported {n} conversations"),
        (n, true) => format!("{n} conversations would be imported"),
    }];
    if known > 0 {
        said.push(format!("{known} known"));
    }
    if failed > 0 {
        said.push(format!("{failed} left out"));
    }
    match report.other_files {
        0 => {}
        1 => said.push("1 file of another kind".to_owned()),
        n => said.push(format!("{n} files of other kinds")),
    }
    writeln!(terminal.err, "{}; {} read.", said.join("; "), size(report.bytes))?;
    if !report.left.is_nothing() {
        writeln!(terminal.err, "Not taken over: {}.", report.left.words())?;
    }
    Ok(())
}

fn titled(title: &str) -> String {
    line(title).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn place(file: &str, item: Option<u64>) -> String {
    match item {
        Some(item) => format!("{}, object {item}", line(file)),
        None => line(file),
    }
}

pub(super) fn json(report: &Report, dry_run: bool) -> Value {
    let mut imported = Vec::new();
    let mut skipped = Vec::new();
    for entry in &report.entries {
        match entry {
            Entry::Imported { row, source, origin, left, new_id } => {
                let mut object = row_json(row);
                object["source"] = source.word().into();
                object["source_id"] = origin.as_ref().map(|from| from.id.as_str()).into();
                object["imported_as_new_id"] = (*new_id).into();
                object["left_out"] = left_json(left);
                imported.push(object);
            }
            Entry::Skipped { file, item, title, why, known } => skipped.push(json!({
                "file": Some(file).filter(|file| !file.is_empty()),
                "item": item,
                "title": title,
                "reason": why,
                "known_as": known.as_ref().map(|id| id.as_str()),
            })),
        }
    }
    json!({
        "dry_run": dry_run,
        "imported": imported,
        "skipped": skipped,
        "left_out": left_json(&report.left),
        "other_files": report.other_files,
        "bytes": report.bytes,
    })
}

fn left_json(left: &crate::export::import::Left) -> Value {
    json!({"media": left.media, "files": left.files, "hidden": left.hidden, "unread": left.unread})
}

pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
