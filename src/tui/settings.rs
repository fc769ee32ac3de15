//! The configuration file, read and changed key by key: comments, order and blank lines stay.

use std::collections::BTreeMap;
use std::path::Path;

use crate::chat::{Fault, FaultKind};
use crate::config::{Edit, settings};

/// What the file says of the keys that a list can show, as TOML.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>, Fault> {
    let edit = open(path)?;
    Ok(settings().into_iter().filter_map(|info| Some((info.key.clone(), edit.get(&info.key)?))).collect())
}

/// Sets a key to a value written as TOML, or takes it away. A file that would be wrong with it is not written.
///
/// # Errors
/// What keeps it from being written.
pub(super) fn write(path: Option<&Path>, key: &str, value: Option<&str>) -> Result<(), Fault> {
    let Some(path) = path else {
        return Err(Fault::new(FaultKind::Config, "The demo writes no configuration."));
    };
    let mut edit = open(path)?;
    match value {
        Some(value) => edit.set(key, value).map_err(|error| failed(&error.to_string()))?,
        None => drop(edit.remove(key)),
    }
    edit.save().map(drop).map_err(|error| failed(&error.to_string()))
}

fn open(path: &Path) -> Result<Edit, Fault> {
    Edit::open(path).map_err(|error| failed(&error.to_string()))
}

/// In one line: it stands below a list.
fn failed(why: &str) -> Fault {
    let told: Vec<&str> = why.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Fault::new(FaultKind::Config, told.join(" ")).hint("/config opens the file.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_keeps_what_stood_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "# mine\nmodel = \"m\"  # the good one\n\n[ui]\n# dark at night\ntheme = \"dark\"\n")
            .unwrap();
        assert_eq!(read(&path).unwrap()["ui.theme"], "\"dark\"");
        write(Some(&path), "ui.theme", Some("\"light\"")).unwrap();
        write(Some(&path), "limits.rounds", Some("7")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        for kept in ["# mine", "# the good one", "# dark at night", "theme = \"light\"", "rounds = 7"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        write(Some(&path), "ui.theme", None).unwrap();
        assert!(!read(&path).unwrap().contains_key("ui.theme"));
    }

    #[test]
    fn what_would_be_wrong_is_not_written_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let fault = write(Some(&path), "limits.rounds", Some("\"many\"")).unwrap_err();
        assert!(fault.message.contains("rounds"), "{}", fault.message);
        assert!(!path.exists());
        assert!(write(None, "ui.theme", None).is_err());
    }
}
