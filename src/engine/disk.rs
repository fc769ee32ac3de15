//! A look at this computer's disk for a review: what stands where a call would write, and where a path leads.
//!
//! # Invariants
//! - Nothing is written, no pipe and no device is opened, and no more is read than was asked for.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::chat::{OnDisk, PathPlace};

/// What stands at a path: text of at most `most` bytes. Pipes and devices are not opened: they may never end.
#[must_use]
pub fn standing(path: &Path, most: u64) -> OnDisk {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() <= most => match std::fs::read_to_string(path) {
            Ok(text) if !text.contains('\0') => OnDisk::Text(text),
            Ok(_) | Err(_) => OnDisk::Unreadable,
        },
        Ok(_) => OnDisk::Unreadable,
        Err(error) if error.kind() == ErrorKind::NotFound && path.parent().is_some_and(Path::is_dir) => OnDisk::Absent,
        Err(_) => OnDisk::Unreadable,
    }
}

/// Where an absolute path leads, with every link of it followed: in one of the `roots` (`file:` addresses), or, where
/// there are none, in `folder`.
#[must_use]
pub fn place(path: &Path, roots: &[String], folder: &Path) -> PathPlace {
    let target = resolved(path);
    let within = |folder: &Path| target.as_ref().is_some_and(|target| target.starts_with(folder));
    if roots.is_empty() {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let name = folder.display().to_string();
        return if within(&folder) { PathPlace::InFolder(name) } else { PathPlace::OutsideFolder(name) };
    }
    let paths = roots.iter().filter_map(|root| url::Url::parse(root).ok()?.to_file_path().ok());
    for root in paths {
        if within(&root.canonicalize().unwrap_or_else(|_| root.clone())) {
            return PathPlace::InRoot(root.display().to_string());
        }
    }
    PathPlace::OutsideRoots
}

/// The path without links, as far as it exists. None where what does not exist yet goes back up, or a link leads
/// nowhere: then nobody can say where that is.
fn resolved(path: &Path) -> Option<PathBuf> {
    let mut missing: Vec<OsString> = Vec::new();
    let mut known = path.to_owned();
    loop {
        match known.canonicalize() {
            Ok(mut whole) => {
                whole.extend(missing.into_iter().rev());
                return Some(whole);
            }
            Err(_) if known.is_symlink() => return None,
            Err(_) => match known.components().next_back()? {
                Component::Normal(name) => missing.push(name.to_owned()),
                Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => return None,
            },
        }
        if !known.pop() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_where_a_call_would_write_is_text_nothing_or_not_for_showing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a.rs"), "fn a() {}\n").unwrap();
        std::fs::write(at("b.bin"), [0, 159, 146, 150]).unwrap();
        assert_eq!(standing(&at("a.rs"), 100), OnDisk::Text("fn a() {}\n".into()));
        assert_eq!(standing(&at("a.rs"), 3), OnDisk::Unreadable);
        assert_eq!(standing(&at("b.bin"), 100), OnDisk::Unreadable);
        assert_eq!(standing(&at("none.rs"), 100), OnDisk::Absent);
        assert_eq!(standing(&at("no/folder.rs"), 100), OnDisk::Unreadable);
        assert_eq!(standing(folder.path(), 1 << 20), OnDisk::Unreadable);
        assert_eq!(standing(Path::new("/dev/zero"), 1 << 20), OnDisk::Unreadable);
    }

    #[cfg(unix)]
    #[test]
    fn a_path_is_where_its_links_lead() {
        let outer = tempfile::tempdir().unwrap();
        let (root, other) = (outer.path().join("root"), outer.path().join("other"));
        for folder in [&root, &other] {
            std::fs::create_dir(folder).unwrap();
        }
        std::os::unix::fs::symlink(&other, root.join("out")).unwrap();
        std::os::unix::fs::symlink(outer.path().join("nowhere"), root.join("dangling")).unwrap();
        let uri = url::Url::from_file_path(&root).unwrap().to_string();
        let place = |path: &Path| place(path, std::slice::from_ref(&uri), outer.path());
        let inside = PathPlace::InRoot(root.display().to_string());
        assert_eq!(place(&root.join("new/deep/a.rs")), inside);
        assert_eq!(place(&root), inside);
        for outside in ["out/a.rs", "dangling", "dangling/a", "../other/a", "new/../../other", "../rootless"] {
            assert_eq!(place(&root.join(outside)), PathPlace::OutsideRoots, "{outside}");
        }
        let here = |path: &Path| super::place(path, &[], &root);
        let name = root.canonicalize().unwrap().display().to_string();
        assert_eq!(here(&root.join("a")), PathPlace::InFolder(name.clone()));
        assert_eq!(here(&other), PathPlace::OutsideFolder(name));
    }
}
