//! What stands on this computer's disk where a call would read or write: what a review shows beside its arguments.

/// What stands at a path.
#[derive(Clone, Debug, PartialEq)]
pub enum OnDisk {
    Text(String),
    /// Its folder is there, it is not.
    Absent,
    /// No text, too large, or not to be read.
    Unreadable,
}

/// Where a path of a call's arguments leads, links followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPlace {
    /// In one of the folders that its server is told of; which.
    InRoot(String),
    OutsideRoots,
    /// Its server is told of no folders, and it is in the one that millrace was started in.
    InFolder(String),
    OutsideFolder(String),
    /// `~`: what that is, its server says.
    Home,
    /// It leaves the folder that it is relative to, whichever that is.
    Climbs,
}

impl PathPlace {
    /// Whether a person should look twice.
    #[must_use]
    pub fn warns(&self) -> bool {
        match self {
            Self::InRoot(_) | Self::InFolder(_) => false,
            Self::OutsideRoots | Self::OutsideFolder(_) | Self::Home | Self::Climbs => true,
        }
    }

    /// In words, as short as they may be: with the folder's name, without, and in one word or two. Raw.
    #[must_use]
    pub fn words(&self) -> [String; 3] {
        let all = |text: &str| [text.to_owned(), text.to_owned(), text.to_owned()];
        match self {
            Self::InRoot(root) => [format!("inside root {root}"), "inside root".into(), "in root".into()],
            Self::OutsideRoots => {
                ["outside every root of its server".into(), "outside its roots".into(), "not in root".into()]
            }
            Self::InFolder(folder) => [format!("inside this folder, {folder}"), "in this folder".into(), "here".into()],
            Self::OutsideFolder(folder) => {
                [format!("outside this folder, {folder}"), "outside this folder".into(), "not here".into()]
            }
            Self::Home => all("a home folder"),
            Self::Climbs => all("leaves its folder"),
        }
    }
}
