//! `millrace history delete` and `restore`: conversations away, for good where that is asked for, and back.

use serde_json::json;

use crate::headless::escape;
use crate::store::{Store, StoreError};

use super::history::{Failure, Terminal, line, say};

/// What is deleted, and how surely.
#[derive(Clone, Debug)]
pub struct Removal {
    pub id: String,
    /// Not to be asked.
    pub yes: bool,
    /// Without the 30 days, and without a trace.
    pub now: bool,
}

pub(super) async fn delete(
    store: &Store,
    ask: &Removal,
    as_json: bool,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let id = match store.resolve(&ask.id, None).await {
        // What was deleted before can still be erased.
        Err(StoreError::NotFound(_)) if ask.now => store.resolve_deleted(&ask.id).await?,
        resolved => resolved?,
    };
    let row = store.summary(&id).await?;
    if !ask.yes {
        if !terminal.answers {
            return Err(Failure::Usage("nobody is here to ask: delete with --yes".into()));
        }
        let (verb, end) = if ask.now { ("Erase", " for good") } else { ("Delete", "") };
        write!(terminal.err, "{verb} \"{}\" ({} messages){end}? [y/N] ", line(&row.title), row.messages)?;
        terminal.err.flush()?;
        let mut reply = String::new();
        terminal.input.read_line(&mut reply)?;
        if !matches!(reply.trim(), "y" | "Y" | "yes") {
            writeln!(terminal.err, "Nothing was deleted.")?;
            return Ok(());
        }
    }
    if !ask.now {
        store.delete(std::slice::from_ref(&id)).await?;
        if as_json {
            terminal.out.write_all(&escape::line(&json!({"id": id.as_str(), "deleted": true})))?;
            return Ok(());
        }
        let short = id.as_str().get(..13).unwrap_or(id.as_str()).to_owned();
        say(terminal, &format!("Deleted: {}", row.title))?;
        return say(terminal, &format!("Kept for 30 days: millrace history restore {short}"));
    }
    let erased = store.erase(std::slice::from_ref(&id)).await?;
    if as_json {
        let told = json!({
            "id": id.as_str(), "deleted": true, "erased": true, "copies": erased.copies, "log_is_read": erased.log_is_read,
            "damaged": erased.damaged,
        });
        terminal.out.write_all(&escape::line(&told))?;
        return Ok(());
    }
    say(terminal, &format!("Erased: {}", row.title))?;
    for remark in erased.remarks() {
        say(terminal, &remark)?;
    }
    Ok(())
}

pub(super) async fn restore(
    store: &Store,
    name: &str,
    as_json: bool,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let id = store.resolve_deleted(name).await?;
    store.undelete(std::slice::from_ref(&id)).await?;
    let row = store.summary(&id).await?;
    if as_json {
        terminal.out.write_all(&escape::line(&super::history::row_json(&row)))?;
        return Ok(());
    }
    say(terminal, &format!("Restored: {}", row.title))
}
