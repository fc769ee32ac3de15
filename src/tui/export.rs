//! A conversation written to a new file of the working folder, never over another.

use std::path::{Path, PathBuf};

use super::files;
use crate::app::ExportForm;
use crate::chat::{Conversation, Fault, FaultKind, Tree};
use crate::export::{self, Redactor, Share, escape};

/// Characters of a title that name the file.
const NAME: usize = 40;

/// Says where, and what was left out. Known secrets are.
pub(super) fn write(
    folder: &Path,
    form: ExportForm,
    conversation: Conversation,
    secrets: &[&Redactor],
    share: &Share,
) -> Result<String, Fault> {
    let mut tree = Tree::from(conversation);
    for redactor in secrets {
        tree = redactor.tree(&tree);
    }
    let shown = tree.shown;
    let name = name(&shown);
    let saved = |name: &str, ending: &str, text: String| files::save(folder, name, ending, text.as_bytes());
    let told = |path: PathBuf| path.display().to_string();
    match form {
        ExportForm::Markdown => saved(&name, "md", export::markdown(&shown)).map(told),
        ExportForm::Html => saved(&name, "html", export::html(&shown)).map(told),
        ExportForm::Json => {
            let text = export::json(&shown).map_err(|error| {
                Fault::new(FaultKind::Internal, format!("The conversation was not written: {error}"))
            })?;
            saved(&name, "json", format!("{}\n", escape::document(&text))).map(told)
        }
        ExportForm::Share => {
            let (shared, held) = share.clone().and(&shown.summary.folder).apply(&shown);
            let note = held.words();
            let path = saved(&self::name(&shared), "html", export::noted_html(&shared, &note))?;
            Ok(format!("{}. {note}", told(path)))
        }
    }
}

fn name(conversation: &Conversation) -> String {
    let clean = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let name: String = conversation.summary.title.chars().map(clean).take(NAME).collect();
    if name.is_empty() { "conversation".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_a_new_file_and_holds_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let redactor = Redactor::new(["sk-hunter2-hunter2"]);
        let item = br#"{"uuid":"1","name":"A/b ../c","chat_messages":[{"sender":"human","text":"sk-hunter2-hunter2 in /home/ada"}]}"#;
        let imported = export::import::read(item).remove(0).unwrap();
        let share = Share::new(Some("/home/ada"), [], None);
        for (form, ending) in [
            (ExportForm::Markdown, "md"),
            (ExportForm::Html, "html"),
            (ExportForm::Json, "json"),
            (ExportForm::Share, "html"),
            (ExportForm::Share, "html"),
        ] {
            let told = write(folder.path(), form, imported.tree.shown.clone(), &[&redactor], &share).unwrap();
            assert!(told.contains("A-b----c") && told.contains(&format!(".{ending}")), "{told}");
            assert_eq!(told.contains("1 path or name"), form == ExportForm::Share, "{told}");
        }
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 5);
        for file in files {
            assert!(!std::fs::read_to_string(file).unwrap().contains("hunter2"));
        }
    }
}
