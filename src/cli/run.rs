//! What `millrace run` asks: prompt, attached files, the form of the answer. Starting the engine is the caller's.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use base64::Engine as _;

use crate::chat::{Approve, Fault, FaultKind, Limits, Part, TurnId};
use crate::headless::{Options, Output, Questions};

use super::args::{self, LogArgs, OutputArgs, SessionArgs};

/// Attached text is sent whole: more than this is a mistake.
const TEXT_MOST: u64 = 4 << 20;

/// The user's message: the words of the command line, standard input where it is no terminal, the attached files.
///
/// # Errors
/// `Usage` where there is nothing to ask, or a file cannot be read or sent.
pub fn message(args: &SessionArgs, limits: &Limits) -> Result<Vec<Part>, Fault> {
    given(args, limits)?.ok_or_else(|| {
        Fault::new(FaultKind::Usage, "There is nothing to ask.")
            .hint("Give a prompt: `millrace run \"…\"`, or pipe one in. `millrace` opens the chat screen.")
    })
}

/// As [`message`]; None where there is nothing to ask.
///
/// # Errors
/// `Usage` where a file cannot be read or sent.
pub fn given(args: &SessionArgs, limits: &Limits) -> Result<Option<Vec<Part>>, Fault> {
    let stdin = io::stdin();
    let piped = if stdin.is_terminal() { None } else { Some(read_text(stdin.lock(), "standard input")?) };
    let mut parts = args.ask.files.iter().map(|path| attached(path, limits)).collect::<Result<Vec<_>, _>>()?;
    parts.extend(prompt(&args.prompt, piped.as_deref()).map(Part::text));
    Ok(Some(parts).filter(|parts| !parts.is_empty()))
}

/// What `-f` attaches.
///
/// # Errors
/// `Usage` where a file cannot be read or is neither text nor an image.
pub fn attachments(args: &SessionArgs, limits: &Limits) -> Result<Vec<Part>, Fault> {
    args.ask.files.iter().map(|path| attached(path, limits)).collect()
}

/// Words, then what was piped in, a blank line between them.
fn prompt(words: &[String], piped: Option<&str>) -> Option<String> {
    let words = words.join(" ");
    let piped = piped.map(str::trim_end).filter(|text| !text.trim().is_empty());
    match (words.trim().is_empty(), piped) {
        (true, None) => None,
        (true, Some(piped)) => Some(piped.to_owned()),
        (false, None) => Some(words),
        (false, Some(piped)) => Some(format!("{words}\n\n{piped}")),
    }
}

fn read_text(from: impl Read, name: &str) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    from.take(TEXT_MOST + 1).read_to_end(&mut bytes).map_err(|error| unreadable(name, &error.to_string()))?;
    if bytes.len() as u64 > TEXT_MOST {
        return Err(unreadable(name, "it is larger than 4 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| unreadable(name, "it is not UTF-8 text"))
}

fn unreadable(name: &str, why: &str) -> Fault {
    Fault::new(FaultKind::Usage, format!("{name} cannot be sent: {why}."))
        .hint("Text in UTF-8 and PNG, JPEG, GIF and WebP images can be.")
}

/// A file as a part: an image by its first bytes, whatever its name says; else text.
///
/// # Errors
/// `Usage` where it cannot be read, is too large, or is neither.
pub fn attached(path: &Path, limits: &Limits) -> Result<Part, Fault> {
    let shown = path.display().to_string();
    let name = path.file_name().map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
    let fault = |error: io::Error| unreadable(&shown, &error.to_string());
    // A pipe or a device would never end.
    if !std::fs::metadata(path).map_err(fault)?.is_file() {
        return Err(unreadable(&shown, "it is not a file"));
    }
    let mut file = File::open(path).map_err(fault)?;
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(16).read_to_end(&mut start).map_err(fault)?;
    let Some(mime) = image_type(&start) else {
        return Ok(Part::File { name, text: read_text(start.chain(file), &shown)? });
    };
    let mut bytes = Vec::new();
    start.chain(file).take(limits.image.saturating_add(1)).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() as u64 > limits.image {
        return Err(unreadable(&shown, &format!("it is larger than {} MiB (limit image)", limits.image >> 20)));
    }
    let data = base64::engine::general_purpose::STANDARD.encode(&bytes);
    Ok(Part::Image { name, mime: mime.to_owned(), data })
}

fn image_type(start: &[u8]) -> Option<&'static str> {
    match start {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// How the turn is written.
#[must_use]
pub fn options(args: &SessionArgs, turn: TurnId) -> Options {
    options_of(&args.output, &args.log, turn)
}

/// The same, of the options that it depends on.
#[must_use]
pub fn options_of(output: &OutputArgs, log: &LogArgs, turn: TurnId) -> Options {
    Options {
        turn,
        output: match output.form() {
            None | Some(args::Output::Text) => Output::Text,
            Some(args::Output::Json) => Output::Json,
            Some(args::Output::Ndjson) => Output::Ndjson,
        },
        extract: output.extract,
        verbose: log.verbose > 0,
        quiet: log.quiet,
        prices: None,
        stdout_terminal: io::stdout().is_terminal(),
        stderr_terminal: io::stderr().is_terminal(),
    }
}

/// Who answers in a run without a screen, and where they are asked.
///
/// # Errors
/// `Usage` for `ask` where nobody is there to be asked.
pub fn approve(chosen: Option<Approve>) -> Result<(Approve, Option<Questions>), Fault> {
    match chosen {
        None => Ok((Approve::ReadOnly, None)),
        Some(Approve::Ask) => match Questions::open() {
            Some(questions) => Ok((Approve::Ask, Some(questions))),
            None => Err(Fault::new(FaultKind::Usage, "`--approve ask` needs a terminal to ask at.")
                .hint("Use --approve read-only, all or none, or allow single tools with --allow SERVER/TOOL.")),
        },
        Some(other) => Ok((other, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_what_is_piped_in_make_the_prompt() {
        let check = |words: &[&str], piped: Option<&str>, expect: Option<&str>| {
            let words: Vec<_> = words.iter().map(|w| (*w).to_owned()).collect();
            assert_eq!(prompt(&words, piped).as_deref(), expect);
        };
        check(&["review", "this"], Some("diff\n"), Some("review this\n\ndiff"));
        check(&[], Some("  only this\n"), Some("  only this"));
        check(&["just words"], Some(" \n"), Some("just words"));
        check(&["just words"], None, Some("just words"));
        check(&[" "], Some(""), None);
        check(&[], None, None);
    }

    #[test]
    fn files_are_told_by_their_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            attached(&path, &Limits { image: 32, ..Limits::default() })
        };
        let text = Part::File { name: "a.png".into(), text: "no image, as it happens\n".into() };
        assert_eq!(file("a.png", b"no image, as it happens\n"), Ok(text));
        let Ok(Part::Image { mime, data, .. }) = file("b.txt", b"\x89PNG\r\n\x1a\nrest") else { panic!("an image") };
        assert_eq!((mime.as_str(), data.as_str()), ("image/png", "iVBORw0KGgpyZXN0"));
        for (name, bytes, says) in
            [("c.bin", &b"\xff\xfe\0"[..], "not UTF-8"), ("d.gif", &[&b"GIF89a"[..], &[0; 64]].concat(), "limit image")]
        {
            let fault = file(name, bytes).unwrap_err();
            assert!(fault.kind == FaultKind::Usage && fault.message.contains(says), "{fault}");
        }
        assert!(attached(folder.path(), &Limits::default()).unwrap_err().message.contains("not a file"));
        assert!(attached(&folder.path().join("none"), &Limits::default()).is_err());
    }
}
