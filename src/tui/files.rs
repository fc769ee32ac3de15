//! Files of the working folder: to be named in the composer, attached, written.

use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine as _;

use crate::chat::{Content, Fault, FaultKind, Limits, Part, Reader, ToolOutcome, image_kind, payloads};

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
    if let Some(mime) = image_kind(&bytes) {
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

/// Writes a result to new files in `folder`, never over another: its text, and each picture or sound as what it is.
/// Says where.
pub(super) fn save_result(folder: &Path, name: &str, outcome: &ToolOutcome) -> Result<String, Fault> {
    let result = outcome.result();
    let payloads = result.as_ref().map(payloads).unwrap_or_default();
    let has_words = result.as_ref().is_none_or(|result| Content::of(result, Reader::Person).has_words());
    let mut written = Vec::new();
    for payload in &payloads {
        written.push(save(folder, name, payload.extension, &payload.bytes)?);
    }
    if has_words || written.is_empty() {
        written.push(save(folder, name, "txt", outcome.readable().as_bytes())?);
    }
    let first = written.first().map(|path| path.display().to_string()).unwrap_or_default();
    Ok(match written.len() {
        1 => first,
        several => format!("{first} and {} more beside it", several - 1),
    })
}

/// Writes a resource to a new file in `folder`, named after the end of its address. Says where.
pub(super) fn save_resource(folder: &Path, uri: &str, mime: Option<&str>, bytes: &[u8]) -> Result<String, Fault> {
    let end = uri.rsplit('/').next().unwrap_or_default();
    let plain: String = end.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(80).collect();
    let plain = plain.trim_start_matches('.');
    let (stem, extension) = match plain.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && !extension.is_empty() => (stem, extension),
        _ if mime == Some("application/pdf") => (plain, "pdf"),
        _ => (plain, "bin"),
    };
    let stem = if stem.is_empty() { "resource" } else { stem };
    save(folder, stem, extension, bytes).map(|path| path.display().to_string())
}

/// Writes bytes to a new file in `folder`: never over another.
pub(super) fn save(folder: &Path, stem: &str, extension: &str, bytes: &[u8]) -> Result<PathBuf, Fault> {
    let stem = stem.replace(['/', '\\'], "-");
    for number in 0..1000 {
        let path = match number {
            0 => folder.join(format!("{stem}.{extension}")),
            _ => folder.join(format!("{stem}-{number}.{extension}")),
        };
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            // What was said to a tool, or by one, is its person's alone.
            options.mode(0o600);
        }
        match options.open(&path) {
            Ok(mut file) => {
                let written = file.write_all(bytes);
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
        let first = save(folder.path(), "fs-read", "txt", b"one").unwrap();
        let second = save(folder.path(), "fs-read", "txt", b"two").unwrap();
        assert_ne!(first, second);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_to_string(first).unwrap(), "one");
        let named = |uri| save_resource(folder.path(), uri, None, b"x").unwrap();
        assert!(named("demo://a/report.pdf").ends_with("report.pdf"));
        assert!(named("demo://a/../../..").ends_with("resource.bin"));
        let outside = save(folder.path(), "../../x", "txt", b"three").unwrap();
        assert!(outside.starts_with(folder.path()));
    }

    #[test]
    fn pictures_and_sounds_of_a_result_are_saved_as_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let png = "iVBORw0KGgo=";
        let raw = serde_json::json!({"content": [
            {"type": "text", "text": "Here it is:"},
            {"type": "image", "data": png, "mimeType": "image/x-lie"},
            {"type": "audio", "data": "UklGRgAAAABXQVZF", "mimeType": "audio/wav"},
        ]});
        let outcome = ToolOutcome {
            full: Some(raw.to_string()),
            full_is_result: true,
            ..ToolOutcome::unsent(crate::chat::OutcomeKind::Done, "told")
        };
        let said = save_result(folder.path(), "cam-shot", &outcome).unwrap();
        assert!(said.ends_with("cam-shot.png and 2 more beside it"), "{said}");
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(read("cam-shot.png"), b"\x89PNG\r\n\x1a\n");
        assert_eq!(read("cam-shot.wav"), b"RIFF\0\0\0\0WAVE");
        assert!(String::from_utf8(read("cam-shot.txt")).unwrap().starts_with("Here it is:\n[image: image/png"));
        let text = ToolOutcome::unsent(crate::chat::OutcomeKind::Done, "words");
        assert!(save_result(folder.path(), "fs-read", &text).unwrap().ends_with("fs-read.txt"));
    }
}
