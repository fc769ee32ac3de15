//! Small files that this program keeps for itself: pasted keys, trusted project files, consents to start servers. All
//! are replaced whole, for this user alone (0600).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table, value};

use super::file::read_text;
use super::{Paths, Secret};

/// Replaces `path` with `text` in one step, readable by this user alone; a link is followed, so that a file kept
/// elsewhere stays there.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = path.parent().unwrap_or(Path::new("."));
    Paths::make(folder)?;
    // tempfile makes its files 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

fn read(path: &Path) -> io::Result<DocumentMut> {
    match read_text(path) {
        // The parser's own message would quote the file.
        Ok(text) => text
            .parse()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{} is not TOML", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(DocumentMut::new()),
        Err(error) => Err(error),
    }
}

/// Keys that were pasted, by the origin of their endpoint (`secrets.toml`).
#[derive(Clone, Debug, Default)]
pub struct SavedKeys {
    keys: BTreeMap<String, Secret>,
}

impl SavedKeys {
    /// Refuses a file that others on this machine can read.
    pub fn load(paths: &Paths) -> io::Result<Self> {
        let path = paths.secrets_file();
        #[cfg(unix)]
        if let Ok(meta) = std::fs::metadata(&path) {
            use std::os::unix::fs::PermissionsExt as _;
            if meta.permissions().mode() & 0o077 != 0 {
                let why = format!("{0} can be read by others on this computer: chmod 600 {0}", paths.show(&path));
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
        }
        let document = read(&path)?;
        let keys = document
            .iter()
            .filter_map(|(origin, item)| Some((origin.to_owned(), Secret::new(item.get("key")?.as_str()?))))
            .collect();
        Ok(Self { keys })
    }

    #[must_use]
    pub fn get(&self, origin: &str) -> Option<&Secret> {
        self.keys.get(origin)
    }

    #[must_use]
    pub fn origins(&self) -> BTreeSet<String> {
        self.keys.keys().cloned().collect()
    }

    /// Keeps a key for an origin (`https://api.openai.com`), or forgets it.
    pub fn put(&mut self, paths: &Paths, origin: &str, key: Option<Secret>) -> io::Result<()> {
        let mut document = read(&paths.secrets_file())?;
        match &key {
            Some(key) => {
                let mut table = Table::new();
                table.insert("key", value(key.expose()));
                document.insert(origin, Item::Table(table));
            }
            None => {
                document.remove(origin);
            }
        }
        write_private(&paths.secrets_file(), &document.to_string())?;
        match key {
            Some(key) => self.keys.insert(origin.to_owned(), key),
            None => self.keys.remove(origin),
        };
        Ok(())
    }
}

/// Project files that their user trusted: canonical path and SHA-256 of the content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    files: BTreeMap<String, String>,
}

impl Trusted {
    pub fn load(paths: &Paths) -> io::Result<Self> {
        let document = read(&paths.trust_file())?;
        let files =
            document.iter().filter_map(|(path, item)| Some((path.to_owned(), item.as_str()?.to_owned()))).collect();
        Ok(Self { files })
    }

    /// The hash under which the file was trusted.
    #[must_use]
    pub fn hash(&self, canonical: &Path) -> Option<&str> {
        self.files.get(canonical.to_str()?).map(String::as_str)
    }

    /// Trusts a file as it is now (its hash), or no longer.
    pub fn set(&mut self, paths: &Paths, canonical: &Path, hash: Option<&str>) -> io::Result<()> {
        let name =
            canonical.to_str().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"))?;
        let mut document = read(&paths.trust_file())?;
        match hash {
            Some(hash) => {
                document.insert(name, value(hash));
                self.files.insert(name.to_owned(), hash.to_owned());
            }
            None => {
                document.remove(name);
                self.files.remove(name);
            }
        }
        write_private(&paths.trust_file(), &document.to_string())
    }
}

/// Server entries whose exact command a person has seen and allowed to start: file, and name with hash of the entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consents {
    given: BTreeSet<(PathBuf, String)>,
}

impl Consents {
    pub fn load(paths: &Paths) -> io::Result<Self> {
        let document = read(&paths.consent_file())?;
        let mut given = BTreeSet::new();
        for (file, item) in document.iter() {
            let hashes = item.as_array().into_iter().flatten().filter_map(toml_edit::Value::as_str);
            given.extend(hashes.map(|hash| (PathBuf::from(file), hash.to_owned())));
        }
        Ok(Self { given })
    }

    #[must_use]
    pub fn has(&self, file: &Path, entry_hash: &str) -> bool {
        self.given.contains(&(file.to_path_buf(), entry_hash.to_owned()))
    }

    /// Remembers a consent. `entry_hash` is [`super::ServerEntry::entry_hash`]: another command is another entry.
    pub fn give(&mut self, paths: &Paths, file: &Path, entry_hash: &str) -> io::Result<()> {
        let name = file.to_str().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"))?;
        // Another process may have written since.
        let mut now = Self::load(paths)?;
        now.given.insert((file.to_path_buf(), entry_hash.to_owned()));
        let mut document = DocumentMut::new();
        for (file, hash) in &now.given {
            let Some(file) = file.to_str() else { continue };
            let list = document.entry(file).or_insert(value(toml_edit::Array::new()));
            if let Some(list) = list.as_array_mut() {
                list.push(hash.as_str());
            }
        }
        debug_assert!(document.contains_key(name));
        write_private(&paths.consent_file(), &document.to_string())?;
        *self = now;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let mut keys = SavedKeys::load(&paths).unwrap();
        keys.put(&paths, "https://api.openai.com", Some(Secret::new("sk-\"odd\\"))).unwrap();
        keys.put(&paths, "http://localhost:1", Some(Secret::new("x"))).unwrap();
        keys.put(&paths, "http://localhost:1", None).unwrap();
        let again = SavedKeys::load(&paths).unwrap();
        assert_eq!(again.get("https://api.openai.com").unwrap().expose(), "sk-\"odd\\");
        assert_eq!(again.origins().len(), 1);

        let mut trusted = Trusted::load(&paths).unwrap();
        trusted.set(&paths, Path::new("/a b/.millrace.toml"), Some("00")).unwrap();
        assert_eq!(Trusted::load(&paths).unwrap().hash(Path::new("/a b/.millrace.toml")), Some("00"));
        trusted.set(&paths, Path::new("/a b/.millrace.toml"), None).unwrap();
        assert_eq!(Trusted::load(&paths).unwrap(), Trusted::default());

        let mut consents = Consents::load(&paths).unwrap();
        consents.give(&paths, Path::new("/p"), "files:aa").unwrap();
        consents.give(&paths, Path::new("/p"), "files:bb").unwrap();
        let again = Consents::load(&paths).unwrap();
        assert_eq!(again, consents);
        assert!(again.has(Path::new("/p"), "files:aa") && !again.has(Path::new("/q"), "files:aa"));
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        SavedKeys::default().put(&paths, "https://x", Some(Secret::new("k"))).unwrap();
        let file = paths.secrets_file();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = SavedKeys::load(&paths).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}
