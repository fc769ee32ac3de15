//! How large the terminal on standard output is.

/// Its columns and rows, where it tells them.
#[cfg(unix)]
pub(super) fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// The same, as the environment says.
#[cfg(not(unix))]
pub(super) fn size() -> Option<(u16, u16)> {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    Some((number("COLUMNS")?, number("LINES")?))
}
