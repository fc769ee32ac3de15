//! `millrace timeline`: the rounds and calls of a turn as the screen draws them, in text, and as JSON.

use std::io::Write;
use std::path::Path;

use crate::store::{OpenMode, Store};
use crate::ui::{Theme, timeline};

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// A prefix of an id, or `last`; None: the last.
    pub id: Option<String>,
    pub json: bool,
    /// Columns of the drawing.
    pub width: usize,
}

/// Prints it; returns the exit code.
pub async fn run(ask: &Ask, store: &Path, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    match show(ask, store, out).await {
        Ok(code) => code,
        Err(error) => super::history::tell(&error, err),
    }
}

async fn show(ask: &Ask, path: &Path, out: &mut dyn Write) -> Result<u8, super::history::Failure> {
    let store = Store::open(path, OpenMode::Write).or_else(|_| Store::open(path, OpenMode::Read))?;
    let id = store.resolve(ask.id.as_deref().unwrap_or("last"), None).await?;
    let summary = store.summary(&id).await?;
    let Some(turn) = store.turn(&id, None).await? else {
        let why = format!("{:?} has no turn that ran here: there is nothing to draw", summary.title);
        return Err(super::history::Failure::Usage(why));
    };
    if ask.json {
        let mut object = turn.json();
        object["conversation"] = id.as_str().into();
        object["title"] = summary.title.into();
        writeln!(out, "{object}")?;
    } else {
        for line in timeline(&turn, &summary.title, &Theme::dark(), ask.width) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(0)
}
