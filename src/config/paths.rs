//! Where things are: configuration, data, state and cache folders (crate `directories`, or all under `MILLRACE_HOME`).

use std::io;
use std::path::{Path, PathBuf};

/// The folders and files of this program. Nothing is created until it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    pub config: PathBuf,
    pub data: PathBuf,
    pub state: PathBuf,
    pub cache: PathBuf,
    /// The user's home folder, where the system tells one: for `~` in texts and for finding other clients' files.
    pub home: Option<PathBuf>,
}

impl Paths {
    /// With `millrace_home` (the value of `MILLRACE_HOME`) everything is below that folder; an empty or relative one
    /// is refused, since it would mean another place in every folder. Otherwise the system's usual places.
    pub fn new(millrace_home: Option<&str>) -> Result<Self, PathsError> {
        let home = directories::BaseDirs::new().map(|base| base.home_dir().to_path_buf());
        if let Some(root) = millrace_home {
            let root = Path::new(root);
            if !root.is_absolute() {
                return Err(PathsError::Relative);
            }
            let mut paths = Self { home, ..Self::below(root) };
            // A config.toml laid straight into the folder is what its user meant.
            if !paths.config_file().exists() && root.join("config.toml").exists() {
                paths.config = root.to_path_buf();
            }
            return Ok(paths);
        }
        let dirs = directories::ProjectDirs::from("", "", "millrace").ok_or(PathsError::NoHome)?;
        Ok(Self {
            config: dirs.config_dir().to_path_buf(),
            data: dirs.data_dir().to_path_buf(),
            state: dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_path_buf(),
            cache: dirs.cache_dir().to_path_buf(),
            home,
        })
    }

    /// All folders below `root`, without a look at the system.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self {
            config: root.join("config"),
            data: root.join("data"),
            state: root.join("state"),
            cache: root.join("cache"),
            home: None,
        }
    }

    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// One Markdown file for each role.
    #[must_use]
    pub fn roles(&self) -> PathBuf {
        self.config.join("roles")
    }

    /// Keys that were pasted, by the origin of their endpoint; 0600.
    #[must_use]
    pub fn secrets_file(&self) -> PathBuf {
        self.config.join("secrets.toml")
    }

    #[must_use]
    pub fn trust_file(&self) -> PathBuf {
        self.state.join("trust.toml")
    }

    #[must_use]
    pub fn consent_file(&self) -> PathBuf {
        self.state.join("consent.toml")
    }

    #[must_use]
    pub fn store_file(&self) -> PathBuf {
        self.data.join("millrace.db")
    }

    /// Makes `folder` and its parents, for this user alone (0700 where the system has modes), and hands it back.
    pub fn make(folder: &Path) -> io::Result<&Path> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        builder.create(folder)?;
        Ok(folder)
    }

    /// Sign-ins to servers, one file each; 0600.
    #[must_use]
    pub fn sign_ins(&self) -> PathBuf {
        self.data.join("sign-in")
    }

    /// `path` as people read it: with `~` for the home folder.
    #[must_use]
    pub fn show(&self, path: &Path) -> String {
        if let Some(home) = &self.home
            && let Ok(rest) = path.strip_prefix(home)
            && !rest.as_os_str().is_empty()
        {
            return format!("~{}{}", std::path::MAIN_SEPARATOR, rest.display());
        }
        path.display().to_string()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    #[error("MILLRACE_HOME must be an absolute path")]
    Relative,
    #[error("this user has no home folder; set MILLRACE_HOME to a folder of your own")]
    NoHome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_variable_moves_everything() {
        let paths = Paths::new(Some("/tmp/x")).unwrap();
        assert_eq!(paths.config_file(), Path::new("/tmp/x/config/config.toml"));
        assert_eq!(paths.store_file(), Path::new("/tmp/x/data/millrace.db"));
        assert_eq!(paths.trust_file(), Path::new("/tmp/x/state/trust.toml"));
        assert!(paths.cache.starts_with("/tmp/x"));
        assert!(Paths::new(Some("")).is_err());
        assert!(Paths::new(Some("x")).is_err());
    }

    #[test]
    fn a_file_laid_straight_into_the_folder_is_found() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("config.toml"), "").unwrap();
        let paths = Paths::new(root.path().to_str()).unwrap();
        assert_eq!(paths.config_file(), root.path().join("config.toml"));
        assert_eq!(paths.data, root.path().join("data"));
    }

    #[test]
    fn the_home_folder_is_written_short() {
        let paths = Paths { home: Some("/home/ada".into()), ..Paths::below(Path::new("/home/ada/m")) };
        assert_eq!(paths.show(&paths.config_file()), "~/m/config/config.toml");
        assert_eq!(paths.show(Path::new("/etc/x")), "/etc/x");
        assert_eq!(paths.show(Path::new("/home/ada")), "/home/ada");
    }

    #[cfg(unix)]
    #[test]
    fn folders_are_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(&root.path().join("new"));
        Paths::make(&paths.config).unwrap();
        assert_eq!(std::fs::metadata(&paths.config).unwrap().permissions().mode() & 0o777, 0o700);
        Paths::make(&paths.config).unwrap();
    }
}
