//! Sign-ins on disk: one file per issuer and server entry; its secrets in the keyring where there is one.
//!
//! # Invariants
//! - A file is whole or not there, and only its owner can read it.
//! - A sign-in with another issuer replaces the one before; nothing of one issuer is ever read for another.
//! - What is forgotten is gone from keyring and file; where it may not be, that is an error.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::chat::{KeptIn, SignedIn};
use crate::config::{Paths, write_private};

use super::grant::{Grant, Record, Secrets};
use super::keyring::Keyring;

/// How long another process may hold a sign-in, while it renews it.
const LOCK: Duration = Duration::from_secs(25);
const FILE_MAX: u64 = 256 * 1024;

/// All sign-ins of this user. Everything here blocks.
#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
    keyring: Keyring,
}

/// A grant and where its secrets are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub grant: Grant,
    pub kept: KeptIn,
}

impl Store {
    pub(super) fn new(folder: PathBuf, keyring: Keyring) -> Self {
        Self { folder, keyring }
    }

    /// What is kept for a server entry.
    ///
    /// # Errors
    /// In words for a person, where it is there and cannot be read.
    pub(super) fn load(&self, entry: &str) -> Result<Option<Kept>, String> {
        for path in self.files(entry)? {
            let Some(record) = self.record(&path)? else { continue };
            if record.entry != entry {
                continue;
            }
            let account = account(&path);
            let (secrets, kept) = match record.secrets.clone() {
                Some(secrets) => (secrets, KeptIn::File),
                None => match self.keyring.get(&account) {
                    Ok(Some(text)) => (serde_json::from_str(&text).unwrap_or_default(), KeptIn::Keyring),
                    Ok(None) => (Secrets::default(), KeptIn::Keyring),
                    Err(why) => return Err(format!("its token is in the keyring, which cannot be asked: {why}")),
                },
            };
            return match record.grant(secrets) {
                Some(grant) => Ok(Some(Kept { grant, kept })),
                None => Err(format!("{} is not a sign-in of this version", path.display())),
            };
        }
        Ok(None)
    }

    /// What lists show of it, without asking the keyring.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub(super) fn look(&self, entry: &str) -> Result<Option<SignedIn>, String> {
        for path in self.files(entry)? {
            if let Some(record) = self.record(&path)?.filter(|record| record.entry == entry) {
                return Ok(record.signed_in());
            }
        }
        Ok(None)
    }

    /// Keeps a grant in place of whatever was kept for its entry. Also says why the keyring was not used, if it was to
    /// be.
    ///
    /// # Errors
    /// In words for a person.
    pub(super) fn save(&self, grant: &Grant) -> Result<(KeptIn, Option<String>), String> {
        let path = self.path(&grant.entry, &grant.issuer);
        let secrets = Secrets::of(grant);
        let text = serde_json::to_string(&secrets).map_err(|error| error.to_string())?;
        let mut why = None;
        let in_keyring = !secrets.is_empty()
            && self.keyring != Keyring::None
            && self.keyring.put(&account(&path), &text).map_err(|error| why = Some(error)).is_ok();
        let (kept, secrets) = match in_keyring {
            true => (KeptIn::Keyring, None),
            false => (KeptIn::File, Some(secrets)),
        };
        write_private(&path, &Record::of(grant, secrets).text()).map_err(|error| self.of_io(error))?;
        for old in self.files(&grant.entry)?.into_iter().filter(|old| *old != path) {
            self.remove_one(&old)?;
        }
        Ok((kept, why))
    }

    /// Forgets all that is kept for an entry; whether there was anything.
    ///
    /// # Errors
    /// Where something may be left.
    pub(super) fn remove(&self, entry: &str) -> Result<bool, String> {
        let files = self.files(entry)?;
        for path in &files {
            self.remove_one(path)?;
        }
        let _ = std::fs::remove_file(self.folder.join(format!("{}.lock", digest(entry))));
        Ok(!files.is_empty())
    }

    /// Held while a sign-in is renewed: another process must not spend the same refresh token.
    ///
    /// # Errors
    /// Where another holds it for too long, or the folder cannot be used.
    pub(super) fn lock(&self, entry: &str) -> Result<File, String> {
        Paths::make(&self.folder).map_err(|error| self.of_io(error))?;
        let path = self.folder.join(format!("{}.lock", digest(entry)));
        let file = File::options().create(true).truncate(false).write(true).open(path).map_err(|e| self.of_io(e))?;
        let until = Instant::now() + LOCK;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(std::fs::TryLockError::WouldBlock) => return Err("another millrace holds it".to_owned()),
                Err(std::fs::TryLockError::Error(error)) => return Err(self.of_io(error)),
            }
        }
    }

    fn remove_one(&self, path: &std::path::Path) -> Result<(), String> {
        // The keyring first: the file is what leads to it.
        let in_file = matches!(self.record(path), Ok(Some(Record { secrets: Some(_), .. })));
        match self.keyring.remove(&account(path)) {
            Err(why) if !in_file => return Err(format!("its token may still be in the keyring: {why}")),
            Ok(()) | Err(_) => {}
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.of_io(error)),
            _ => Ok(()),
        }
    }

    fn record(&self, path: &std::path::Path) -> Result<Option<Record>, String> {
        use std::io::Read as _;
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.of_io(error)),
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = file.metadata().map_err(|error| self.of_io(error))?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(format!("{0} can be read by others on this computer: chmod 600 {0}", path.display()));
            }
        }
        let mut text = String::new();
        file.take(FILE_MAX).read_to_string(&mut text).map_err(|error| self.of_io(error))?;
        // The parser's own words would quote it.
        Record::read(&text).map(Some).map_err(|_| format!("{} is broken; remove it", path.display()))
    }

    fn files(&self, entry: &str) -> Result<Vec<PathBuf>, String> {
        let prefix = format!("{}-", digest(entry));
        let listing = match std::fs::read_dir(&self.folder) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.of_io(error)),
        };
        let mut files: Vec<PathBuf> = listing
            .filter_map(Result::ok)
            .filter(|file| file.file_name().to_str().is_some_and(|n| n.starts_with(&prefix) && n.ends_with(".json")))
            .map(|file| file.path())
            .collect();
        files.sort();
        Ok(files)
    }

    fn path(&self, entry: &str, issuer: &str) -> PathBuf {
        self.folder.join(format!("{}-{}.json", digest(entry), digest(issuer)))
    }

    fn of_io(&self, error: io::Error) -> String {
        format!("{}: {error}", self.folder.display())
    }
}

fn account(path: &std::path::Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ClientKind;
    use crate::config::Secret;
    use crate::mcp::oauth::client::{Client, Proof};
    use url::Url;

    pub(in crate::mcp::oauth) fn grant(entry: &str, issuer: &str, token: &str) -> Grant {
        Grant {
            entry: entry.into(),
            origin: "https://mcp.example".into(),
            issuer: issuer.into(),
            token: Url::parse("https://as.example/token").unwrap(),
            revoke: None,
            resource: "https://mcp.example/mcp".into(),
            scopes: vec!["a".into()],
            client: Client {
                id: "c".into(),
                secret: Some(Secret::new("client-secret")),
                proof: Proof::Post,
                kind: ClientKind::Registered,
                port: Some(4711),
                ends_s: None,
            },
            access: Some(Secret::new(token)),
            refresh: Some(Secret::new("refresh-1")),
            until_s: Some(9),
        }
    }

    fn names(folder: &std::path::Path) -> usize {
        std::fs::read_dir(folder).map(|files| files.filter_map(Result::ok).count()).unwrap_or(0)
    }

    #[test]
    fn entries_and_issuers_are_kept_apart() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("sign-in"), Keyring::None);
        assert_eq!(store.load("one:1"), Ok(None));
        for (entry, token) in [("one:1", "t1"), ("two:2", "t2")] {
            assert_eq!(store.save(&grant(entry, "https://as.example", token)), Ok((KeptIn::File, None)));
        }
        let of = |entry: &str| store.load(entry).unwrap().map(|kept| kept.grant);
        assert_eq!(of("one:1"), Some(grant("one:1", "https://as.example", "t1")));
        assert_eq!(of("two:2"), Some(grant("two:2", "https://as.example", "t2")));
        // Another issuer takes the place of the first.
        store.save(&grant("one:1", "https://other.example", "t3")).unwrap();
        assert_eq!(of("one:1"), Some(grant("one:1", "https://other.example", "t3")));
        assert_eq!(names(&folder.path().join("sign-in")), 2);
        assert_eq!((store.remove("one:1"), store.remove("one:1")), (Ok(true), Ok(false)));
        assert_eq!(of("two:2"), Some(grant("two:2", "https://as.example", "t2")));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_not_believed() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().into(), Keyring::None);
        store.save(&grant("one:1", "https://as.example", "canary")).unwrap();
        let path = store.files("one:1").unwrap().remove(0);
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(store.load("one:1").unwrap_err().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "{\"access\": \"canary\"").unwrap();
        let error = store.load("one:1").unwrap_err();
        assert!(error.ends_with("is broken; remove it") && !error.contains("canary"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn with_a_keyring_the_file_holds_no_secret_and_without_it_says_why() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("secret-tool");
        let script = "#!/bin/sh\nfor last; do :; done\nf='FOLDER'/kept-$last\ncase $1 in store) cat > \"$f\" ;; lookup) [ -f \"$f\" ] && cat \"$f\" ;; clear) rm -f \"$f\" ;; esac\n";
        std::fs::write(&program, script.replace("FOLDER", &folder.path().display().to_string())).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let place = folder.path().join("sign-in");
        let store = Store::new(place.clone(), Keyring::SecretTool(program.clone()));
        let grant = grant("one:1", "https://as.example", "canary");
        assert_eq!(store.save(&grant), Ok((KeptIn::Keyring, None)));
        assert_eq!(store.load("one:1"), Ok(Some(Kept { grant: grant.clone(), kept: KeptIn::Keyring })));
        let text = std::fs::read_to_string(store.files("one:1").unwrap().remove(0)).unwrap();
        assert!(!text.contains("canary") && !text.contains("refresh-1") && !text.contains("client-secret"), "{text}");
        // The keyring goes away.
        std::fs::write(&program, "#!/bin/sh\necho no bus >&2; exit 1\n").unwrap();
        assert!(store.load("one:1").unwrap_err().contains("no bus"));
        assert!(store.remove("one:1").unwrap_err().contains("may still be in the keyring"));
        assert_eq!(store.save(&grant), Ok((KeptIn::File, Some("no bus".into()))));
        assert_eq!(store.load("one:1"), Ok(Some(Kept { grant, kept: KeptIn::File })));
        assert_eq!(store.remove("one:1"), Ok(true));
        assert_eq!(names(&place), 0);
    }

    #[test]
    fn one_process_at_a_time_renews() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().into(), Keyring::None);
        let held = store.lock("one:1").unwrap();
        let other = std::thread::spawn({
            let store = store.clone();
            move || store.lock("one:1").map(|_| ())
        });
        drop(held);
        assert_eq!(other.join().unwrap(), Ok(()));
    }
}
