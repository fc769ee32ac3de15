//! The picture that the clipboard holds, asked of each system's own tools.

use std::process::{Command, Stdio};

use base64::Engine as _;

use super::clipboard::Surroundings;
use crate::chat::{Fault, FaultKind, Limits, Part, image_kind};

/// The picture that the clipboard holds, as a part of a message.
///
/// Asked of the system's own tools: they know X11, Wayland, macOS and Windows, and hand over the encoded picture.
pub(super) fn picture(around: Surroundings, limits: &Limits) -> Result<Part, Fault> {
    let fault = |why: &str, hint: &str| Fault::new(FaultKind::Usage, why).hint(hint);
    if around.ssh() {
        return Err(fault(
            "over ssh the clipboard is another machine's",
            "Save the picture here and attach it with @.",
        ));
    }
    let mut tried = Vec::new();
    for (program, arguments) in picture_tools() {
        let most = limits.image.saturating_mul(2).saturating_add(1024);
        match bytes_of(program, arguments, most) {
            Some(bytes) => {
                let bytes = unwrapped(bytes);
                let Some(mime) = image_kind(&bytes) else { continue };
                if bytes.len() as u64 > limits.image {
                    let why = format!("the clipboard's picture has {} bytes, more than the limit image", bytes.len());
                    return Err(Fault::new(FaultKind::Usage, why));
                }
                let data = base64::engine::general_purpose::STANDARD.encode(&bytes);
                return Ok(Part::Image { name: "clipboard".into(), mime: mime.to_owned(), data });
            }
            None => tried.push(*program),
        }
    }
    let missing: Vec<&str> = tried.into_iter().filter(|program| which::which(program).is_err()).collect();
    if missing.len() == picture_tools().len() {
        let hint = format!("Install {}, or attach a file with @.", missing.join(" or "));
        return Err(fault("no tool is here that reads pictures from the clipboard", &hint));
    }
    Err(fault("the clipboard holds no picture", "Text is pasted with the terminal's own key."))
}

#[cfg(target_os = "macos")]
fn picture_tools() -> &'static [(&'static str, &'static [&'static str])] {
    &[("pngpaste", &["-"]), ("osascript", &["-e", "get the clipboard as «class PNGf»"])]
}

#[cfg(windows)]
fn picture_tools() -> &'static [(&'static str, &'static [&'static str])] {
    &[(
        "powershell",
        &[
            "-NoProfile",
            "-Command",
            "$i = Get-Clipboard -Format Image; if ($i) { $m = New-Object IO.MemoryStream; $i.Save($m, 'Png'); \
             [Convert]::ToBase64String($m.ToArray()) }",
        ],
    )]
}

#[cfg(not(any(target_os = "macos", windows)))]
fn picture_tools() -> &'static [(&'static str, &'static [&'static str])] {
    &[
        ("wl-paste", &["--no-newline", "--type", "image/png"]),
        ("xclip", &["-selection", "clipboard", "-t", "image/png", "-o"]),
    ]
}

/// What a tool writes, at most `most` bytes of it. None where it is not there, fails, or does not end in time.
fn bytes_of(program: &str, arguments: &[&str], most: u64) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let out = child.stdout.take()?;
    let (sender, read) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let result = out.take(most).read_to_end(&mut bytes);
        let _ = sender.send(result.map(|_| bytes));
    });
    let bytes = read.recv_timeout(PATIENCE);
    let _ = child.kill();
    let _ = child.wait();
    bytes.ok()?.ok().filter(|bytes| !bytes.is_empty())
}

/// How long a tool may take to hand over a picture.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// The picture itself: macOS writes `«data PNGf89504E…»`, PowerShell base64.
fn unwrapped(bytes: Vec<u8>) -> Vec<u8> {
    if image_kind(&bytes).is_some() {
        return bytes;
    }
    let Ok(text) = std::str::from_utf8(&bytes) else { return bytes };
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("«data PNGf").and_then(|rest| rest.strip_suffix('»')) {
        let pairs = hex.as_bytes().chunks_exact(2);
        return pairs
            .filter_map(|pair| std::str::from_utf8(pair).ok())
            .filter_map(|pair| u8::from_str_radix(pair, 16).ok())
            .collect();
    }
    base64::engine::general_purpose::STANDARD.decode(text).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_found_in_what_the_tools_write() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        let hex: String = png.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(unwrapped(png.clone()), png);
        assert_eq!(unwrapped(format!("«data PNGf{hex}»\n").into_bytes()), png);
        let coded = base64::engine::general_purpose::STANDARD.encode(&png);
        assert_eq!(unwrapped(format!("{coded}\r\n").into_bytes()), png);
        assert_eq!(unwrapped(b"no picture!".to_vec()), b"no picture!");
    }
}
