//! Commands that fetch a package each time they start, and say no version: what runs tomorrow is not what was looked at
//! today.

use std::path::{Path, PathBuf};

use crate::config::{DraftTransport, ServerDraft};

/// A package without a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpinned {
    /// `npx`, `uvx`, `docker`.
    pub runner: &'static str,
    pub package: String,
    /// Which argument names it.
    pub at: usize,
}

impl Unpinned {
    /// The argument that names this version.
    #[must_use]
    pub fn with(&self, version: &str) -> String {
        match self.runner {
            "docker" => format!("{}:{version}", self.package),
            _ => format!("{}@{version}", self.package),
        }
    }

    /// Names this version in the entry.
    pub fn pin(&self, draft: &mut ServerDraft, version: &str) {
        if let DraftTransport::Stdio { args, .. } = &mut draft.how
            && let Some(arg) = args.get_mut(self.at)
        {
            *arg = self.with(version);
        }
    }
}

/// The package that an entry fetches without a version, if it does.
#[must_use]
pub fn unpinned(draft: &ServerDraft) -> Option<Unpinned> {
    let DraftTransport::Stdio { command, args, .. } = &draft.how else { return None };
    let program = command.rsplit(['/', '\\']).next().unwrap_or(command);
    let program = program.strip_suffix(".cmd").or_else(|| program.strip_suffix(".exe")).unwrap_or(program);
    let words: &[&str] = match program {
        "npx" | "bunx" | "uvx" => &[],
        "pnpm" | "yarn" => &["dlx"],
        "npm" => &["exec"],
        "pipx" => &["run"],
        "docker" | "podman" => &["run"],
        _ => return None,
    };
    let mut at = 0;
    for word in words {
        if args.get(at).map(String::as_str) != Some(*word) {
            return None;
        }
        at += 1;
    }
    let runner = match program {
        "uvx" | "pipx" => "uvx",
        "docker" | "podman" => "docker",
        _ => "npx",
    };
    let (at, package) = named(runner, args, at)?;
    if package.contains("${") || package.starts_with(['.', '/']) || package.contains("://") {
        return None;
    }
    let bare = match runner {
        "docker" => image(package)?,
        "uvx" => {
            package.strip_suffix("@latest").or_else(|| (!package.contains(['@', '=', '<', '>'])).then_some(package))?
        }
        _ => {
            let scope = usize::from(package.starts_with('@'));
            match package[scope..].split_once('@') {
                None => package,
                Some((name, "latest" | "next" | "")) => &package[..scope + name.len()],
                Some(_) => return None,
            }
        }
    };
    Some(Unpinned { runner, package: bare.to_owned(), at })
}

/// The version of a package that its runner has fetched last, where it keeps it: of `npx` below `~/.npm/_npx`, of `uvx`
/// below `~/.cache/uv`. What other clients start has been fetched already.
#[must_use]
pub fn installed(unpinned: &Unpinned, home: &Path) -> Option<String> {
    match unpinned.runner {
        "npx" => {
            let found = newest(&home.join(".npm/_npx"), |folder| {
                Some(folder.join("node_modules").join(&unpinned.package).join("package.json"))
                    .filter(|path| path.is_file())
            })?;
            let text = std::fs::read_to_string(found).ok()?;
            let version = serde_json::from_str::<serde_json::Value>(&text).ok()?.get("version")?.as_str()?.to_owned();
            plain(&version).then_some(version)
        }
        "uvx" => {
            let package = unpinned.package.split('[').next().unwrap_or_default();
            let wanted = format!("{}-", package.replace(['-', '.'], "_").to_ascii_lowercase());
            let found = newest(&home.join(".cache/uv/archive-v0"), |folder| {
                let lib = std::fs::read_dir(folder.join("lib")).ok()?;
                let site = lib.flatten().map(|python| python.path().join("site-packages"));
                // A wheel that is unpacked lies in its folder as it is, an environment has it below lib.
                site.chain([folder.to_path_buf()]).find_map(|site| {
                    std::fs::read_dir(site).ok()?.flatten().map(|entry| entry.path()).find(|path| {
                        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
                        name.starts_with(&wanted) && name.ends_with(".dist-info")
                    })
                })
            })?;
            let name = found.file_name()?.to_str()?.strip_suffix(".dist-info")?.to_owned();
            let version = name.get(wanted.len()..)?.to_owned();
            plain(&version).then_some(version)
        }
        _ => None,
    }
}

fn plain(version: &str) -> bool {
    !version.is_empty()
        && version.len() < 64
        && version.chars().all(|c| c.is_ascii_alphanumeric() || ".-+_!".contains(c))
}

/// What `look` finds in the folder below `root` that was changed last. At most a few thousand are looked at.
fn newest(root: &Path, look: impl Fn(&Path) -> Option<PathBuf>) -> Option<PathBuf> {
    let folders = std::fs::read_dir(root).ok()?.flatten().take(5_000).map(|entry| entry.path());
    let found = folders.filter_map(|folder| look(&folder));
    found.max_by_key(|path| path.metadata().and_then(|meta| meta.modified()).ok())
}

/// The argument that names the package: the first that is neither an option nor an option's value.
fn named<'a>(runner: &str, args: &'a [String], from: usize) -> Option<(usize, &'a str)> {
    let takes_value: &[&str] = match runner {
        "docker" => &[
            "-e",
            "--env",
            "-v",
            "--volume",
            "--mount",
            "--name",
            "-p",
            "--publish",
            "--network",
            "-w",
            "--workdir",
            "-u",
            "--user",
            "--env-file",
            "--entrypoint",
            "-m",
            "--memory",
            "--platform",
            "--add-host",
            "-l",
            "--label",
        ],
        "uvx" => &["--with", "--python", "-p", "--index-url", "--index", "--spec", "-i"],
        _ => &["-c", "--call", "--registry", "--node-options"],
    };
    // These name the package themselves.
    let names: &[&str] = match runner {
        "uvx" => &["--from"],
        "npx" => &["-p", "--package"],
        _ => &[],
    };
    let mut at = from;
    while let Some(arg) = args.get(at) {
        if names.contains(&arg.as_str()) {
            return Some((at + 1, args.get(at + 1)?));
        }
        if let Some((flag, _)) = arg.split_once('=')
            && names.contains(&flag)
        {
            // Written in one word: it would have to be taken apart to be pinned.
            return None;
        }
        if !arg.starts_with('-') {
            return Some((at, arg));
        }
        at += if takes_value.contains(&arg.as_str()) { 2 } else { 1 };
    }
    None
}

/// An image without a tag, or with the one that moves; None: it is pinned.
fn image(text: &str) -> Option<&str> {
    if text.contains('@') {
        return None;
    }
    let name = text.rsplit('/').next().unwrap_or(text);
    match name.split_once(':') {
        None => Some(text),
        Some((_, "latest")) => text.strip_suffix(":latest"),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn of(line: &str) -> Option<(String, usize, String)> {
        let mut words = line.split(' ').map(str::to_owned);
        let how = DraftTransport::Stdio {
            command: words.next().unwrap_or_default(),
            args: words.collect(),
            env: [].into(),
            cwd: None,
        };
        let found = unpinned(&ServerDraft::new("x", how, Source::Program))?;
        let pinned = found.with("1.2");
        Some((found.package, found.at, pinned))
    }

    #[test]
    fn what_has_no_version_is_found() {
        for (line, package, at, pinned) in [
            ("npx -y @a/b /home", "@a/b", 1, "@a/b@1.2"),
            ("npx @a/b@latest", "@a/b", 0, "@a/b@1.2"),
            ("/usr/bin/npx --yes b", "b", 1, "b@1.2"),
            ("npx.cmd -p b bin", "b", 1, "b@1.2"),
            ("uvx mcp-server-git --repository .", "mcp-server-git", 0, "mcp-server-git@1.2"),
            ("uvx --from mcp-git run", "mcp-git", 1, "mcp-git@1.2"),
            ("docker run -i --rm -e TOKEN ghcr.io/a/b", "ghcr.io/a/b", 5, "ghcr.io/a/b:1.2"),
            ("docker run -i a:latest", "a", 2, "a:1.2"),
            ("pnpm dlx b", "b", 1, "b@1.2"),
            ("bunx b", "b", 0, "b@1.2"),
        ] {
            assert_eq!(of(line), Some((package.to_owned(), at, pinned.to_owned())), "{line}");
        }
        for line in [
            "npx -y @a/b@1.0.0",
            "npx -y ./local",
            "npx -y git+https://x/y",
            "npx ${env:PKG}",
            "uvx a==1",
            "uvx a@2",
            "uvx --from=a b",
            "docker run a:1",
            "docker run localhost:5000/a:2",
            "docker compose up",
            "docker run a@sha256:00",
            "node x.js",
            "npx",
            "npx -y",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
    #[test]
    fn the_version_that_was_fetched_last_is_found() {
        let home = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = home.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let of = |runner, package: &str| installed(&Unpinned { runner, package: package.into(), at: 0 }, home.path());
        assert_eq!(of("npx", "@a/b"), None);
        write(".npm/_npx/0f/node_modules/@a/b/package.json", r#"{"version": "2026.8.31"}"#);
        write(".npm/_npx/1f/node_modules/c/package.json", r#"{"version": "1 && rm"}"#);
        write(".cache/uv/archive-v0/x/lib/python3.12/site-packages/mcp_git-0.6.2.dist-info/METADATA", "");
        assert_eq!(of("npx", "@a/b").as_deref(), Some("2026.8.31"));
        assert_eq!(of("npx", "c"), None, "that is no version");
        assert_eq!(of("uvx", "mcp-git").as_deref(), Some("0.6.2"));
        assert_eq!(of("docker", "x"), None);
    }
}
