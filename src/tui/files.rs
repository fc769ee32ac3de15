//! Files of the working folder: to be named in the composer, attached, written.

use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine as _;

use crate::chat::{Fault, FaultKind, Limits, Part};

/// Rows offered for an `@`.
const OFFERED: usize = 50;
/// Files looked at for them: a home folder must not hold up a completion.
const LOOKED_AT: usize = 20_000;
/// A text file larger than this is not put into a message, bytes.
const MOST_TEXT: u64 = 1_000_000;

/// Paths below `folder` that fit `query`, best first, by the rules of `.gitignore`.
pub(super) fn find(folder: &Path, query: &str) -> Vec<String> {
    use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
    use nucleo_matcher::{Config, Matcher, Utf32Str};
    let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
    let pattern = Pattern::parse(query, CaseMatching::Smart, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut found: Vec<(u32, String)> = Vec::new();
    let files = ignore::WalkBuilder::new(folder).require_git(false).build().flatten().take(LOOKED_AT);
    for entry in files.filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file())) {
        let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        // A name with blanks or controls cannot stand as one word in a message.
        let Some(path) = path.to_str().filter(|path| !path.chars().any(|c| c.is_whitespace() || c.is_control())) else {
            continue;
        };
        let score = if query.is_empty() {
            Some(u32::MAX - u32::try_from(path.len()).unwrap_or(u32::MAX))
        } else {
            pattern.score(Utf32Str::new(path, &mut buffer), &mut matcher)
        };
        if let Some(score) = score {
            found.push((score, path.to_owned()));
        }
    }
    found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    found.truncate(OFFERED);
    found.into_iter().map(|(_, path)| path).collect()
}

/// Reads a file as a part of a message: an image by its magic bytes, else text.
pub(super) fn attach(folder: &Path, path: &str, limits: &Limits) -> Result<Part, Fault> {
    let full = folder.join(path);
    let fault = |why: String| Fault::new(FaultKind::Usage, format!("{path} was not attached: {why}"));
    let length = std::fs::metadata(&full).map_err(|error| fault(error.to_string()))?.len();
    if length > limits.image.max(MOST_TEXT) {
        return Err(fault(format!("it has {length} bytes, more than fits a message")));
    }
    let bytes = std::fs::read(&full).map_err(|error| fault(error.to_string()))?;
    let name = path.to_owned();
    if let Some(mime) = image(&bytes) {
        let data = base64::engine::general_purpose::STANDARD.encode(&bytes);
        return Ok(Part::Image { name, mime: mime.to_owned(), data });
    }
    if length > MOST_TEXT {
        return Err(fault(format!("it has {length} bytes of text, more than fits a message")));
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(Part::File { name, text }),
        Ok(_) | Err(_) => Err(fault("it is neither text nor an image".into())),
    }
}

fn image(bytes: &[u8]) -> Option<&'static str> {
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    if begins(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if begins(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if begins(b"GIF87a") || begins(b"GIF89a") {
        Some("image/gif")
    } else if begins(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else {
        None
    }
}

/// Writes a text to a new file in `folder`: never over another.
pub(super) fn save(folder: &Path, name: &str, text: &str) -> Result<PathBuf, Fault> {
    let name =
        Path::new(name).file_name().map_or_else(|| "millrace.txt".into(), |name| name.to_string_lossy().into_owned());
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name.as_str(), "txt"));
    for number in 0..1000 {
        let path = match number {
            0 => folder.join(format!("{stem}.{extension}")),
            _ => folder.join(format!("{stem}-{number}.{extension}")),
        };
        match std::fs::File::create_new(&path) {
            Ok(mut file) => {
                let written = file.write_all(text.as_bytes());
                return written.map(|()| path).map_err(|error| not_written(&error.to_string()));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(not_written(&error.to_string())),
        }
    }
    Err(not_written("a thousand files of that name are there"))
}

fn not_written(why: &str) -> Fault {
    Fault::new(FaultKind::Internal, format!("the file was not written: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_attached_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("src")).unwrap();
        std::fs::write(folder.path().join("src/retry.rs"), "fn x() {}").unwrap();
        std::fs::write(folder.path().join("bad.bin"), [0, 159, 146]).unwrap();
        std::fs::write(folder.path().join("a b.txt"), "blank").unwrap();
        assert_eq!(find(folder.path(), "retr"), ["src/retry.rs"]);
        assert_eq!(find(folder.path(), "").len(), 2);
        let limits = Limits::default();
        let part = attach(folder.path(), "src/retry.rs", &limits).unwrap();
        assert_eq!(part, Part::File { name: "src/retry.rs".into(), text: "fn x() {}".into() });
        assert!(attach(folder.path(), "bad.bin", &limits).unwrap_err().message.contains("neither text nor an image"));
        assert!(attach(folder.path(), "none", &limits).is_err());
        let first = save(folder.path(), "fs-read.txt", "one").unwrap();
        let second = save(folder.path(), "fs-read.txt", "two").unwrap();
        assert_ne!(first, second);
        assert_eq!(std::fs::read_to_string(first).unwrap(), "one");
        let outside = save(folder.path(), "../../x.txt", "three").unwrap();
        assert!(outside.starts_with(folder.path()));
    }
}
