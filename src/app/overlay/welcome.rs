//! The first five minutes: a model to talk to, and servers that other clients know.

#[derive(Clone, Debug, Default)]
pub struct Welcome {
    pub selected: usize,
    pub rows: Vec<WelcomeRow>,
    /// The usual ports: whether they answered. None: not yet.
    pub ports: Vec<(LocalKind, Option<bool>)>,
    pub imports: Vec<ImportSource>,
    /// A choice is being tried.
    pub busy: bool,
    pub fault: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WelcomeRow {
    Local(LocalServer),
    OpenAi,
    Address,
    Demo,
    Servers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalKind {
    Ollama,
    LmStudio,
    LlamaCpp,
    Vllm,
}

impl LocalKind {
    pub const ALL: [Self; 4] = [Self::Ollama, Self::LmStudio, Self::LlamaCpp, Self::Vllm];

    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Ollama => 11434,
            Self::LmStudio => 1234,
            Self::LlamaCpp => 8080,
            Self::Vllm => 8000,
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ollama => "Ollama",
            Self::LmStudio => "LM Studio",
            Self::LlamaCpp => "llama.cpp",
            Self::Vllm => "vLLM",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalServer {
    pub kind: LocalKind,
    pub base_url: String,
    pub models: Vec<String>,
}

/// Servers that another client has configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportSource {
    /// `Claude Desktop`.
    pub client: String,
    pub path: String,
    pub servers: Vec<String>,
}

/// A connection that a person chose.
#[derive(Clone, PartialEq, Eq)]
pub enum Connection {
    Local(LocalServer),
    /// `key` is a secret: it goes to the keyring or the configuration and nowhere else.
    Key {
        base_url: String,
        key: String,
    },
    Address {
        base_url: String,
    },
    Demo,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(server) => f.debug_tuple("Local").field(server).finish(),
            Self::Key { base_url, .. } => f.debug_struct("Key").field("base_url", base_url).finish_non_exhaustive(),
            Self::Address { base_url } => f.debug_struct("Address").field("base_url", base_url).finish(),
            Self::Demo => f.write_str("Demo"),
        }
    }
}
