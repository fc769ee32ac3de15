//! Wire names: what the model calls a tool.

use sha2::{Digest, Sha256};

use crate::chat::ToolRef;

use super::definition::hex;

/// The longest name that every provider takes.
const LONGEST: usize = 64;

/// `server__tool` where both parts are clean and the whole is short enough; else its clean beginning and a hash of the
/// original pair. Deterministic, so that a saved conversation still names the same tools.
#[must_use]
pub fn wire_name(tool: &ToolRef) -> String {
    let server = tool.server.as_str();
    let name = &*tool.tool;
    let plain = format!("{server}__{name}");
    let clean = |part: &str| !part.is_empty() && part.bytes().all(is_clean);
    // A server's own name holds no `__` and does not end in `_`, so with these rules the first `__` is the seam.
    if clean(server) && clean(name) && plain.len() <= LONGEST && !name.contains("__") && !name.starts_with('_') {
        return plain;
    }
    let mut hasher = Sha256::new();
    hasher.update(server.as_bytes());
    hasher.update([0]);
    hasher.update(name.as_bytes());
    let digest = hex(&hasher.finalize());
    let prefix: String =
        plain.chars().map(|c| if u8::try_from(c).is_ok_and(is_clean) { c } else { '_' }).take(LONGEST - 11).collect();
    format!("{prefix}_{}", &digest[..10])
}

fn is_clean(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}
