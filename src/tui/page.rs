//! Opening a page in the person's browser.
//!
//! # Invariants
//! - Only http and https, and only by a program's own arguments: no shell reads the address.

/// Whether a browser could show it: there is a screen, and it is the person's own. `set` tells whether a variable of
/// the environment has a value.
#[must_use]
pub fn can_open(set: impl Fn(&str) -> bool) -> bool {
    if set("SSH_CONNECTION") {
        return false;
    }
    // Without a screen the openers of Linux and BSD would start a browser in the terminal, over this program.
    cfg!(any(target_os = "macos", windows)) || set("DISPLAY") || set("WAYLAND_DISPLAY") || set("WSL_DISTRO_NAME")
}

/// Opens it.
///
/// # Errors
/// In words for a person.
pub fn open(url: &str) -> Result<(), String> {
    let parsed = url::Url::parse(url).map_err(|error| error.to_string())?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err("only http and https addresses are opened".to_owned());
    }
    open::that_detached(parsed.as_str()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_are_opened() {
        for bad in ["file:///etc/passwd", "javascript:alert(1)", "--help", "", "mailto:a@b", "https://"] {
            assert!(open(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_browser_needs_the_persons_own_screen() {
        assert!(!can_open(|name| matches!(name, "DISPLAY" | "SSH_CONNECTION")));
        assert_eq!(can_open(|_| false), cfg!(any(target_os = "macos", windows)));
        assert!(can_open(|name| name == "WAYLAND_DISPLAY"));
    }
}
