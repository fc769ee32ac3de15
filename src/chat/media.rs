//! Pictures, sounds and other bytes inside a tool's result: what they are by their first bytes, whatever they are called.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

/// As liberal as what servers write: padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// Of a payload, what is decoded to tell what it is: characters of base64.
const HEAD: usize = 256 * 1024;
/// The largest width or height that is believed, pixels.
const LARGEST_SIDE: usize = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    Image,
    Audio,
    /// An embedded resource of any kind.
    Resource,
}

/// One binary block of a result, without its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    pub kind: MediaKind,
    /// As the server calls it; raw.
    pub mime: Option<String>,
    /// Of a resource; raw.
    pub uri: Option<String>,
    /// Decoded.
    pub bytes: u64,
    /// What its first bytes say it is; None where they say nothing.
    pub found: Option<&'static str>,
    /// Width and height of an image, pixels.
    pub size: Option<(usize, usize)>,
    /// Length of a sound where its header tells, seconds.
    pub seconds: Option<f64>,
}

impl Media {
    /// Reads a content block and its payload as it came; None where it holds no bytes.
    #[must_use]
    pub fn of(block: &Value) -> Option<(Self, &str)> {
        let block = block.as_object()?;
        let word = |map: &Map<String, Value>, name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
        let (kind, holder, payload) = match block.get("type").and_then(Value::as_str)? {
            "image" => (MediaKind::Image, block, "data"),
            "audio" => (MediaKind::Audio, block, "data"),
            "resource" => (MediaKind::Resource, block.get("resource")?.as_object()?, "blob"),
            _ => return None,
        };
        if kind == MediaKind::Resource && holder.get("text").is_some_and(Value::is_string) {
            return None;
        }
        let data = holder.get(payload).and_then(Value::as_str).unwrap_or_default().trim();
        let head = from_base64(&data[..data.floor_char_boundary(HEAD)]).unwrap_or_default();
        let known = data.trim_end_matches('=').len() as u64;
        let image = image_kind(&head);
        let size = imagesize::blob_size(&head).ok().map(|size| (size.width, size.height));
        let media = Self {
            kind,
            mime: word(holder, "mimeType"),
            uri: word(holder, "uri"),
            bytes: known / 4 * 3 + (known % 4).saturating_sub(1),
            found: image.or_else(|| other_kind(&head)),
            size: size.filter(|(width, height)| image.is_some() && *width.max(height) <= LARGEST_SIDE),
            seconds: wave_seconds(&head, known / 4 * 3),
        };
        Some((media, data))
    }

    /// The ending of a file that holds it.
    #[must_use]
    pub fn extension(&self) -> &'static str {
        match self.found.or(self.mime.as_deref()).unwrap_or_default() {
            "image/png" => "png",
            "image/jpeg" | "image/jpg" => "jpg",
            "image/gif" => "gif",
            "image/webp" => "webp",
            "image/svg+xml" => "svg",
            "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
            "audio/mpeg" | "audio/mp3" => "mp3",
            "audio/ogg" => "ogg",
            "audio/flac" => "flac",
            "application/pdf" => "pdf",
            "application/zip" => "zip",
            "application/gzip" => "gz",
            "application/json" => "json",
            "text/html" => "html",
            "text/csv" => "csv",
            "text/markdown" => "md",
            mime if mime.starts_with("text/") => "txt",
            _ => "bin",
        }
    }
}

/// What stands for it in a text: `[image: image/png, 640×480, 81 KiB, not shown here]`.
impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            MediaKind::Image => "image",
            MediaKind::Audio => "audio",
            MediaKind::Resource => "resource",
        };
        write!(f, "[{kind}")?;
        if let Some(uri) = &self.uri {
            write!(f, " {}", short(uri))?;
        }
        match (self.found, self.mime.as_deref()) {
            (Some(found), Some(said)) if !same_kind(found, said) => {
                write!(f, ": {found} (said to be {})", short(said))?;
            }
            (Some(found), _) => write!(f, ": {found}")?,
            (None, Some(said)) => write!(f, ": {}", short(said))?,
            (None, None) => f.write_str(": of unknown type")?,
        }
        if let Some((width, height)) = self.size {
            write!(f, ", {width}×{height}")?;
        }
        if let Some(seconds) = self.seconds {
            write!(f, ", {seconds:.1} s")?;
        }
        write!(f, ", {}, not shown here]", size(self.bytes))
    }
}

/// The bytes of a payload; None where it is no base64.
#[must_use]
pub fn from_base64(data: &str) -> Option<Vec<u8>> {
    let standard = |c: char| match c {
        '-' => '+',
        '_' => '/',
        other => other,
    };
    // Written over several lines, or in the alphabet of addresses: what it means is plain.
    match data.bytes().any(|byte| matches!(byte, b'-' | b'_') || byte.is_ascii_whitespace()) {
        true => {
            let clean: String = data.chars().filter(|c| !c.is_ascii_whitespace()).map(standard).collect();
            BASE64.decode(clean).ok()
        }
        false => BASE64.decode(data).ok(),
    }
}

/// The kind of an image that models take, by its first bytes.
#[must_use]
pub fn image_kind(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// What a picture in base64 is by its first bytes, and its width and height in pixels.
#[must_use]
pub fn picture_head(data: &str) -> Option<(&'static str, (usize, usize))> {
    let head = from_base64(&data[..data.floor_char_boundary(HEAD)])?;
    let size = imagesize::blob_size(&head).ok()?;
    let side = size.width.max(size.height);
    image_kind(&head).filter(|_| side <= LARGEST_SIDE).map(|kind| (kind, (size.width, size.height)))
}

fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some("audio/wav"),
        [b'I', b'D', b'3', ..] | [0xff, 0xfb | 0xf3 | 0xf2, ..] => Some("audio/mpeg"),
        [b'O', b'g', b'g', b'S', ..] => Some("audio/ogg"),
        [b'f', b'L', b'a', b'C', ..] => Some("audio/flac"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("application/pdf"),
        [b'P', b'K', 3, 4, ..] => Some("application/zip"),
        [0x1f, 0x8b, ..] => Some("application/gzip"),
        _ => None,
    }
}

fn same_kind(found: &str, said: &str) -> bool {
    let bare = |mime: &str| {
        let mime = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match mime.as_str() {
            "image/jpg" => "image/jpeg".to_owned(),
            "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "audio/wav".to_owned(),
            "audio/mp3" => "audio/mpeg".to_owned(),
            "application/x-gzip" => "application/gzip".to_owned(),
            _ => mime,
        }
    };
    bare(found) == bare(said)
}

/// How long a WAVE sound lasts: its bytes, by the rate that its header gives.
fn wave_seconds(head: &[u8], bytes: u64) -> Option<f64> {
    if other_kind(head) != Some("audio/wav") || head.get(12..16)? != b"fmt " {
        return None;
    }
    let rate = u32::from_le_bytes(head.get(28..32)?.try_into().ok()?);
    (rate > 0).then(|| bytes.saturating_sub(44) as f64 / f64::from(rate))
}

/// A word of somebody else's inside a placeholder: one line, of a placeholder's length.
pub(super) fn short(text: &str) -> String {
    let line: String = text.chars().take(500).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(500).is_some() { format!("{line}…") } else { line }
}

pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The head of a picture of 640 by 480.
    fn png() -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(640u32.to_be_bytes());
        bytes.extend(480u32.to_be_bytes());
        bytes.extend([8, 6, 0, 0, 0]);
        bytes
    }

    fn told(block: Value) -> String {
        Media::of(&block).map(|(media, _)| media.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_it_is_comes_from_its_bytes() {
        let data = BASE64.encode(png());
        let image = json!({"type": "image", "mimeType": "image/png", "data": data});
        assert_eq!(told(image), "[image: image/png, 640×480, 29 bytes, not shown here]");
        let lie = json!({"type": "image", "mimeType": "image/jpeg", "data": data});
        assert_eq!(told(lie.clone()), "[image: image/png (said to be image/jpeg), 640×480, 29 bytes, not shown here]");
        assert_eq!(Media::of(&lie).unwrap().0.extension(), "png");
        let mut wave = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        wave.extend(8000u32.to_le_bytes());
        wave.extend(8000u32.to_le_bytes());
        wave.extend([0; 12 + 16_000]);
        let sound = json!({"type": "audio", "mimeType": "audio/x-wav", "data": BASE64.encode(wave)});
        assert_eq!(told(sound), "[audio: audio/wav, 2.0 s, 16 KiB, not shown here]");
        let blob = json!({"type": "resource", "resource": {"uri": "x:b\u{1b}", "blob": "JVBERi0xLjc="}});
        assert_eq!(told(blob), "[resource x:b : application/pdf, 8 bytes, not shown here]");
        assert_eq!(told(json!({"type": "image"})), "[image: of unknown type, 0 bytes, not shown here]");
        assert!(Media::of(&json!({"type": "resource", "resource": {"uri": "x:t", "text": "t"}})).is_none());
    }

    #[test]
    fn base64_is_read_as_servers_write_it() {
        let bytes: Vec<u8> = (0..=255).collect();
        let plain = BASE64.encode(&bytes);
        let folded: String =
            plain.as_bytes().chunks(60).map(|l| format!("{}\r\n", str::from_utf8(l).unwrap())).collect();
        let url = plain.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned();
        for text in [&plain, &folded, &url] {
            assert_eq!(from_base64(text).as_deref(), Some(&bytes[..]));
        }
        assert_eq!(from_base64("not base64!"), None);
    }
}
