//! What the footer names: only keys that work now.

/// One key of the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// `^T`, `enter`, `j/k`.
    pub key: String,
    /// `tools`.
    pub label: &'static str,
}

impl Hint {
    #[must_use]
    pub fn new(key: impl Into<String>, label: &'static str) -> Self {
        Self { key: key.into(), label }
    }
}

impl super::State {
    /// The keys that work in the present focus, most telling first; a narrow screen drops from the end. The last one
    /// is what esc does, drawn at the right.
    #[must_use]
    pub fn hints(&self) -> Vec<Hint> {
        vec![Hint::new("enter", "send"), Hint::new("esc", "stop")]
    }
}
