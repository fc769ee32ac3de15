//! `.millrace.toml`: a project's own settings. Until its user trusted this very content it is not read, only hashed.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::draft::{self, ServerDraft};
use super::file::{ConfigError, read_text, rules};
use super::node::{self, Node};
use super::problem::{Findings, Severity};
use super::saved::Trusted;
use super::{Source, UiSettings, spec};

pub const FILE_NAME: &str = ".millrace.toml";

/// What a trusted project file says.
#[derive(Clone, Debug, Default)]
pub struct Project {
    pub path: PathBuf,
    pub model: Option<String>,
    pub temperature: Option<f64>,
    pub role: Option<String>,
    /// Rules that are added to the user's own denials.
    pub deny: Vec<String>,
    pub servers: Vec<ServerDraft>,
    ui: Option<Node>,
}

impl Project {
    /// Lays the project's display settings over the user's.
    pub fn draw_over(&self, ui: &mut UiSettings) {
        if let Some(node) = &self.ui {
            ui.apply(node);
        }
    }
}

/// The project file of a folder.
#[derive(Clone, Debug)]
pub enum ProjectState {
    None,
    /// There is one, and its user has not trusted it; `changed`: was trusted with another content.
    Untrusted {
        path: PathBuf,
        hash: String,
        changed: bool,
    },
    Trusted(Box<Project>),
}

/// Looks for a project file in `folder` and above it, up to but without `home`, and reads it if it is trusted.
pub fn find(folder: &Path, home: Option<&Path>, trusted: &Trusted) -> Result<ProjectState, ConfigError> {
    for at in folder.ancestors() {
        if at != folder && home == Some(at) {
            break;
        }
        let path = at.join(FILE_NAME);
        if path.is_file() {
            return open(&path, trusted);
        }
    }
    Ok(ProjectState::None)
}

fn open(path: &Path, trusted: &Trusted) -> Result<ProjectState, ConfigError> {
    let io = |error| ConfigError::Io { path: path.to_path_buf(), error };
    let path = path.canonicalize().map_err(io)?;
    // Hash and meaning come from one reading: the file may change between two.
    let text = read_text(&path).map_err(io)?;
    let hash = super::hex(&Sha256::digest(text.as_bytes()));
    match trusted.hash(&path) {
        Some(known) if known == hash => Ok(ProjectState::Trusted(Box::new(parse(&path, &text)?))),
        known => Ok(ProjectState::Untrusted { changed: known.is_some(), path, hash }),
    }
}

/// Reads the text of a project file.
pub fn parse(path: &Path, text: &str) -> Result<Project, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Findings::new(path.to_path_buf(), text);
    let tree = Node::toml(&mut found);
    let tree = node::check(tree, spec::PROJECT, "", &mut found);
    let mut project = Project {
        path: path.to_path_buf(),
        model: tree.text("model"),
        temperature: tree.number("temperature"),
        role: tree.text("role"),
        deny: tree.get("policy").map(|node| rules(node, "deny", &mut found)).unwrap_or_default(),
        servers: Vec::new(),
        ui: tree.get("ui").cloned(),
    };
    for (name, node) in tree.get("servers").map(Node::entries).unwrap_or_default() {
        project.servers.extend(draft::checked(name, node, Source::Project(path.to_path_buf()), &mut found));
    }
    // A proposal runs in its project's folder, wherever below it millrace was started.
    let folder = path.parent().map(|p| p.display().to_string());
    for server in &mut project.servers {
        if let draft::DraftTransport::Stdio { cwd, .. } = &mut server.how {
            cwd.clone_from(&folder);
        }
    }
    if found.problems.iter().any(|p| p.severity == Severity::Error) {
        return Err(ConfigError::Bad { problems: found.problems });
    }
    Ok(project)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Paths;

    #[test]
    fn a_file_is_read_only_as_it_was_trusted() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(&root.path().join("m"));
        let folder = root.path().join("p/deep/er");
        std::fs::create_dir_all(&folder).unwrap();
        let file = root.path().join("p").join(FILE_NAME);
        let mut trusted = Trusted::default();
        let state = |trusted: &Trusted| find(&folder, None, trusted).unwrap();
        assert!(matches!(state(&trusted), ProjectState::None));
        // Nonsense, and yet no error: nobody has read it.
        std::fs::write(&file, "%%%").unwrap();
        assert!(matches!(state(&trusted), ProjectState::Untrusted { changed: false, .. }));
        std::fs::write(&file, "model = \"m\"\n[servers.s]\ncommand = \"x\"\n").unwrap();
        let ProjectState::Untrusted { path, hash, .. } = state(&trusted) else { panic!() };
        trusted.set(&paths, &path, Some(&hash)).unwrap();
        let ProjectState::Trusted(project) = state(&trusted) else { panic!() };
        assert_eq!((project.model.as_deref(), project.servers.len()), (Some("m"), 1));
        std::fs::write(&file, "model = \"n\"\n").unwrap();
        assert!(matches!(state(&trusted), ProjectState::Untrusted { changed: true, .. }));
    }

    #[test]
    fn a_project_cannot_widen_anything() {
        for bad in [
            "base_url = \"https://evil\"",
            "profile = \"x\"",
            "system = \"x\"",
            "[profiles.x]\nbase_url = \"https://evil\"",
            "[keys]\n\"review.once\" = \"z\"",
            "[policy]\nallow = [\"*/*\"]",
            "[policy]\ndefault = \"allow\"",
            "[policy]\nafter_untrusted = \"allow\"",
            "[limits]\nrounds = 1000",
            "[store]\nsave = false",
            "[servers.x]\ncommand = \"x\"\ntrust = true",
            "[servers.x]\ncommand = \"x\"\npolicy = \"allow\"",
            "[servers.x]\ncommand = \"x\"\npolicies = { a = \"allow\" }",
            "[servers.x]\ncommand = \"x\"\nask_first = false",
            "[roles]\nx = \"y\"",
        ] {
            assert!(parse(Path::new(FILE_NAME), bad).is_err(), "{bad}");
        }
        parse(Path::new(FILE_NAME), "[policy]\ndeny = [\"*/rm*\"]\n[ui]\ntheme = \"light\"").unwrap();
    }
}
