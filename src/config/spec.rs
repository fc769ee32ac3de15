//! The one table of keys: names, kinds, defaults, words for people. It drives the checks, the JSON Schema and the
//! documented example, so that none of them can drift from the others.

/// One key of a table.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// As TOML text; empty: there is none.
    pub default: &'static str,
    /// What the documented example shows where there is no default.
    pub sample: &'static str,
    pub doc: &'static str,
}

/// What may stand at a key.
#[derive(Debug)]
pub enum Kind {
    Text,
    /// Text that is never printed.
    Secret,
    Bool,
    Int {
        min: i64,
        max: i64,
    },
    Number {
        min: f64,
        max: f64,
    },
    Duration,
    Size,
    Words(&'static [&'static str]),
    Texts,
    /// A program and its arguments: at least one text.
    Argv,
    /// Names to texts; the values may be secrets.
    TextMap {
        secret: bool,
    },
    WordMap(&'static [&'static str]),
    /// Names to texts, or to tables of these keys.
    TextsOrTables(&'static [Key]),
    /// Names to any value, handed on as JSON.
    Any,
    /// Names of commands to a key or a list of keys.
    Bindings,
    Table(&'static [Key]),
    /// `[table.NAME]`, any number of them.
    Tables {
        of: &'static [Key],
        rule: NameRule,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    Any,
    /// `[a-z0-9][a-z0-9_-]{0,31}`, without `__`, not ending in `_`.
    Server,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default, sample: "", doc }
}

const fn sample(name: &'static str, kind: Kind, sample: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default: "", sample, doc }
}

/// A hundred years.
pub(super) const MOST_DAYS: i64 = 36_500;

const POLICY: &[&str] = &["allow", "ask", "deny"];
const DISPATCH: &[&str] = &["close", "finish"];
const TOKENS: Kind = Kind::Int { min: 1, max: 100_000_000 };
const ANY_NUMBER: Kind = Kind::Int { min: 1, max: 1_000_000 };
const PRICE: Kind = Kind::Number { min: 0.0, max: 1e6 };
const TEMPERATURE: Kind = Kind::Number { min: 0.0, max: 2.0 };

/// `config.toml`
pub const CONFIG: &[Key] = &[
    sample(
        "profile",
        Kind::Text,
        "\"openai\"",
        "The [profiles.NAME] used when -p and MILLRACE_PROFILE do not name one. While a profile is chosen, OPENAI_BASE_URL and OPENAI_API_KEY do not apply.",
    ),
    sample(
        "model",
        Kind::Text,
        "\"gpt-4o-mini\"",
        "The model, where neither -m, the profile, MILLRACE_MODEL nor a trusted project file names one.",
    ),
    sample("temperature", TEMPERATURE, "0.7", "Sent only when given, here or in the profile."),
    sample("system", Kind::Text, "\"Answer briefly.\"", "The system prompt."),
    sample(
        "role",
        Kind::Text,
        "\"reviewer\"",
        "A name of [roles], or of a file in roles/ beside this one: its system prompt, and what it says of model, tools and parameters where nothing that goes before it does.",
    ),
    key(
        "dispatch",
        Kind::Words(DISPATCH),
        "\"close\"",
        "When an allowed tool call is sent: at its closing brace, while the model still writes, or at the finish of the stream.",
    ),
    key(
        "profiles",
        Kind::Tables { of: PROFILE, rule: NameRule::Any },
        "",
        "Endpoints. A profile's key and headers go to its own base_url and nowhere else.",
    ),
    key(
        "servers",
        Kind::Tables { of: SERVER, rule: NameRule::Server },
        "",
        "MCP servers. A child process gets PATH, HOME, locale, temp and what `env` names, nothing else. ${env:NAME} and ${env:NAME:-default} are filled in; an unset one without default disables the server.",
    ),
    key("tools", Kind::Table(TOOLS), "", "Too many tools: what the model is offered at once."),
    key("chat", Kind::Table(CHAT), "", "Long conversations."),
    key("policy", Kind::Table(POLICY_KEYS), "", "Who may do what."),
    key("limits", Kind::Table(LIMITS), "", "Every limit. One that acts says so."),
    key("ui", Kind::Table(UI), "", "How the screen is drawn."),
    key(
        "keys",
        Kind::Bindings,
        "",
        "Commands to a key or a list of keys; an empty list takes the key away. Enter and space can never approve.",
    ),
    key(
        "roles",
        Kind::TextsOrTables(ROLE),
        "",
        "System prompts by name, for `role`, --role and /role: a text, or a table with what goes with it. Also as files: roles/NAME.md beside this one, the same keys as TOML between two lines +++, below them the prompt.",
    ),
    key("store", Kind::Table(STORE), "", "What is kept."),
];

pub const PROFILE: &[Key] = &[
    sample(
        "base_url",
        Kind::Text,
        "\"https://api.openai.com/v1\"",
        "Up to and with /v1. Without it: https://api.openai.com/v1.",
    ),
    sample("api_key_env", Kind::Text, "\"OPENAI_API_KEY\"", "The environment variable that holds the key."),
    sample(
        "api_key_command",
        Kind::Argv,
        "[\"pass\", \"show\", \"openai\"]",
        "A program that prints the key: no shell, 10 s, its output is never shown.",
    ),
    sample(
        "api_key",
        Kind::Secret,
        "\"…\"",
        "The key itself. Works, with a warning: the other two keep it out of this file.",
    ),
    sample("model", Kind::Text, "\"gpt-4o-mini\"", "The model."),
    key("api", Kind::Words(&["chat", "responses"]), "\"chat\"", "The wire: Chat Completions or Responses."),
    sample(
        "headers",
        Kind::TextMap { secret: true },
        "{ X-Title = \"millrace\" }",
        "Sent with every request to base_url.",
    ),
    sample("temperature", TEMPERATURE, "0.7", "Sent only when given."),
    sample("max_output_tokens", Kind::Int { min: 1, max: 10_000_000 }, "4096", "Sent only when given."),
    sample("reasoning_effort", Kind::Text, "\"medium\"", "Sent only when given; the word is the endpoint's own."),
    sample("params", Kind::Any, "{ top_p = 0.9 }", "Further fields of the request body."),
    sample("system", Kind::Text, "\"Answer briefly.\"", "The system prompt."),
    sample("role", Kind::Text, "\"reviewer\"", "A name of [roles]."),
    sample("dispatch", Kind::Words(DISPATCH), "\"finish\"", "For this endpoint."),
    sample(
        "tools",
        Kind::Texts,
        "[\"files/*\", \"git/read_*\"]",
        "Globs of server/tool that the model is offered with this profile; without it, all. Others can be switched on for a conversation.",
    ),
    sample("find_tools", Kind::Words(FIND), "\"never\"", "For this profile; without it, [tools] find."),
    key(
        "auth",
        Kind::Words(&["bearer", "api-key"]),
        "\"bearer\"",
        "How the key is sent: as Authorization: Bearer, or as api-key (Azure's keys; its Entra tokens are bearer).",
    ),
    sample(
        "context",
        Kind::Int { min: 256, max: 1_000_000_000 },
        "131072",
        "Tokens that fit the model's context. Without it: as /models says.",
    ),
    sample(
        "vision",
        Kind::Bool,
        "true",
        "The model sees images, so those in tool results are shown to it. Without it: as /models says.",
    ),
    sample(
        "proxy",
        Kind::Secret,
        "\"http://proxy.example:3128\"",
        "For everything but this computer and $NO_PROXY. Without it: $HTTPS_PROXY, $HTTP_PROXY, $ALL_PROXY.",
    ),
    sample(
        "ca_file",
        Kind::Text,
        "\"/etc/ssl/company.pem\"",
        "PEM certificates that are trusted beside the platform's.",
    ),
    sample("price_input", PRICE, "2.5", "What a million tokens of input cost: with it, costs are told."),
    sample("price_output", PRICE, "10.0", "What a million tokens of output cost, reasoning included."),
    sample("price_cached", PRICE, "1.25", "What a million tokens of cached input cost; without it, as other input."),
];

/// `[roles.NAME]`. The prompt comes first: in a file of its own it is what stands below the keys.
pub const ROLE: &[Key] = &[
    sample("system", Kind::Text, "\"You review code. Name the worst defect first.\"", "The system prompt."),
    sample("model", Kind::Text, "\"gpt-4o\"", "The model."),
    sample(
        "tools",
        Kind::Texts,
        "[\"files/read_*\", \"git/*\"]",
        "Globs of server/tool that the model is offered in this role, in place of the profile's; an empty list: none.",
    ),
    sample("temperature", TEMPERATURE, "0.2", "Sent only when given."),
    sample("max_output_tokens", Kind::Int { min: 1, max: 10_000_000 }, "4096", "Sent only when given."),
    sample("reasoning_effort", Kind::Text, "\"high\"", "Sent only when given; the word is the endpoint's own."),
    sample("params", Kind::Any, "{ top_p = 0.9 }", "Further fields of the request body."),
];

/// `roles/NAME.md`, between the lines `+++`.
pub const ROLE_FILE: &[Key] = ROLE.split_at(1).1;

pub const SERVER: &[Key] = &[
    sample("command", Kind::Text, "\"npx\"", "A program that speaks MCP over stdin and stdout."),
    sample(
        "args",
        Kind::Texts,
        "[\"-y\", \"@modelcontextprotocol/server-filesystem\", \".\"]",
        "Its arguments. No secrets here: other users of the machine can see them.",
    ),
    sample("env", Kind::TextMap { secret: true }, "{ LOG = \"${env:LOG:-warn}\" }", "Its environment."),
    sample("cwd", Kind::Text, "\"/srv/files\"", "Its working folder; without it, where millrace was started."),
    sample(
        "url",
        Kind::Text,
        "\"http://localhost:8000/v1/mcp\"",
        "Instead of command: an address. No secrets here either.",
    ),
    sample(
        "headers",
        Kind::TextMap { secret: true },
        "{ Authorization = \"Bearer ${env:WEATHER_TOKEN}\" }",
        "Sent with every request to url.",
    ),
    sample(
        "transport",
        Kind::Words(TRANSPORTS),
        "\"http\"",
        "Where url is given: \"http\" (Streamable HTTP, falling back to HTTP+SSE as the specification says), \"sse\", or \"simple-rpc\" (bare JSON-RPC: list_tools, call_tool).",
    ),
    key(
        "sign_in",
        Kind::Table(SIGN_IN),
        "",
        "Where it asks for a sign-in (`millrace mcp login NAME`); most servers need none of this.",
    ),
    key("compat", Kind::Table(SERVER_COMPAT), "", "For a server that departs from its transport's form."),
    key("tools", Kind::Table(SERVER_TOOLS), "", "Which of its tools the model is offered at all."),
    key(
        "instructions",
        Kind::Bool,
        "true",
        "Tell the model what it says of its own use, marked as its claim. On the screen: ctrl+o, w.",
    ),
    key(
        "watch",
        Kind::Bool,
        "true",
        "Have it tell when a resource that you attached changes, where it can. Nothing is sent to the model by that.",
    ),
    key("trust", Kind::Bool, "false", "Believe what it says about its tools (read-only, open world)."),
    sample("policy", Kind::Words(POLICY), "\"ask\"", "For its tools; without it, [policy] default."),
    sample("policies", Kind::WordMap(POLICY), "{ \"read_*\" = \"allow\" }", "Per tool, or glob of tools."),
    sample("dispatch", Kind::Words(DISPATCH), "\"close\"", "For its tools."),
    sample("dispatches", Kind::WordMap(DISPATCH), "{ \"write_file\" = \"finish\" }", "Per tool, or glob of tools."),
    sample(
        "era",
        Kind::Words(ERAS),
        "\"legacy\"",
        "How it is greeted: \"modern\" (2026-07-28) or \"legacy\" (before). Without it that is found out once, and remembered.",
    ),
    sample(
        "log_level",
        Kind::Words(LOG_LEVELS),
        "\"warning\"",
        "The least severe log messages that it is asked for; without it, it sends what it likes, or nothing. On the screen: ctrl+o, l.",
    ),
    sample(
        "roots",
        Kind::Texts,
        "[\".\"]",
        "Folders that it may be told to work in when it asks; without it, it is told of none. Gives it no access by itself.",
    ),
    key(
        "roots_ask",
        Kind::Bool,
        "true",
        "You decide each time; in scripts it is told of none. With false it is told whenever it asks.",
    ),
    key(
        "sampling",
        Kind::Bool,
        "false",
        "Let it ask for answers of your model, at your cost. You see each request, decide, and see the answer before it goes back.",
    ),
    sample("sampling_tokens", TOKENS, "20000", "Instead of [limits] sampling_tokens."),
    sample("start_timeout", Kind::Duration, "\"30 s\"", "Instead of [limits] server_start."),
    sample("call_timeout", Kind::Duration, "\"30 min\"", "Instead of [limits] call."),
    key("disabled", Kind::Bool, "false", "Keep the entry, do not use it."),
    key(
        "ask_first",
        Kind::Bool,
        "false",
        "Show the command and ask before its first start. Imported servers carry it.",
    ),
];

const LOG_LEVELS: &[&str] = &["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

pub const TRANSPORTS: &[&str] = &["stdio", "http", "sse", "simple-rpc"];

const SIGN_IN: &[Key] = &[
    sample("client_id", Kind::Text, "\"millrace-at-home\"", "A client that you registered with the issuer by hand."),
    sample("client_secret_env", Kind::Text, "\"TRACKER_SECRET\"", "The environment variable that holds its secret."),
    sample(
        "client_secret_command",
        Kind::Argv,
        "[\"pass\", \"show\", \"tracker\"]",
        "A program that prints its secret: no shell, 10 s, its output is never shown.",
    ),
    sample(
        "client_metadata_url",
        Kind::Text,
        "\"https://example.com/millrace.json\"",
        "The address of your client metadata document: used as the client's id where the issuer supports that.",
    ),
    sample("issuer", Kind::Text, "\"https://login.example.com\"", "The only issuer that is accepted."),
    sample("scopes", Kind::Texts, "[\"issues:read\"]", "What to ask for instead of what the server names."),
    sample(
        "port",
        Kind::Int { min: 1, max: 65_535 },
        "8765",
        "Where the browser comes back to on this machine, where the issuer wants it fixed. Without it: a free port.",
    ),
    key(
        "assume_pkce",
        Kind::Bool,
        "false",
        "Go on where the issuer does not say that it protects the sign-in with PKCE (S256).",
    ),
];
pub const ERAS: &[&str] = &["legacy", "modern"];

const SERVER_COMPAT: &[Key] =
    &[sample("jsonrpc", Kind::Bool, "true", "With \"simple-rpc\": send \"jsonrpc\": \"2.0\" too.")];

const CHAT: &[Key] = &[
    key(
        "compact",
        Kind::Words(&["ask", "auto", "off"]),
        "\"ask\"",
        "When the context is short. \"ask\": a line says so, and /compact lets the model summarise what is older; \"auto\": that happens by itself before the next message leaves, in millrace run too; \"off\": nothing. The messages stay in the conversation in any case; large results of earlier turns are sent as a name that the model can read on under, unless it is \"off\".",
    ),
    key(
        "compact_at",
        Kind::Number { min: 0.1, max: 1.0 },
        "0.8",
        "From which share of the context on it is short, where its size is known.",
    ),
    key("compact_keep", Kind::Int { min: 1, max: 1000 }, "2", "How many of the last turns a summary leaves whole."),
    key(
        "titles",
        Kind::Words(TITLES),
        "\"first-line\"",
        "How conversations that you have not named are called in lists. \"model\": by a title that the model makes after the first answer on the screen, in the background, with a request of its own that is counted in /usage; never of what is not saved. It costs tokens, so you have to wish for it.",
    ),
    sample(
        "title_model",
        Kind::Text,
        "\"qwen3-4b\"",
        "A smaller model that makes the titles of what the endpoint answers with which millrace starts; without it, and for another endpoint, the one that answered.",
    ),
];

pub const TITLES: &[&str] = &["first-line", "model"];

const FIND: &[&str] = &["auto", "always", "never"];

const TOOLS: &[Key] = &[
    key(
        "find",
        Kind::Words(FIND),
        "\"auto\"",
        "When the model is given find_tools, with which it searches, instead of every definition. \"auto\": with 20 tools or more whose definitions would take too much of its context. On the screen f switches it for a conversation.",
    ),
    key(
        "find_share",
        Kind::Number { min: 0.0, max: 100.0 },
        "10",
        "\"auto\": how much of the context definitions may take, percent. A context that nobody has told counts as 128000 tokens.",
    ),
    key(
        "find_tokens",
        Kind::Int { min: 0, max: 10_000_000 },
        "0",
        "\"auto\": more than this many tokens of definitions, whatever the context, instead of the share; about four bytes are one. 0: the share.",
    ),
];

const SERVER_TOOLS: &[Key] =
    &[sample("allow", Kind::Texts, "[\"read_*\", \"list_*\"]", "Globs of tool names; without it, all.")];

const POLICY_KEYS: &[Key] = &[
    key("default", Kind::Words(POLICY), "\"ask\"", "For tools that nothing else speaks of."),
    key(
        "after_untrusted",
        Kind::Words(&["ask", "allow"]),
        "\"ask\"",
        "After content of an untrusted or open-world tool came in: an allowed call on another server that is not known to be read-only asks once more.",
    ),
    key("allow", Kind::Texts, "[]", "Globs of server/tool that need no asking."),
    key("deny", Kind::Texts, "[]", "Globs of server/tool that never run. Deny wins."),
];

const UI: &[Key] = &[
    key(
        "theme",
        Kind::Text,
        "\"auto\"",
        "\"auto\" (dark or light, as the terminal's ground is), \"dark\", \"light\", \"high-contrast\", \"ansi\", or the name of a theme of your own: themes/NAME.toml beside this file.",
    ),
    key("glyphs", Kind::Words(&["auto", "unicode", "ascii"]), "\"auto\"", "What states and lines are drawn with."),
    key(
        "links",
        Kind::Words(&["auto", "on", "off"]),
        "\"auto\"",
        "Web addresses are links of the terminal (OSC 8); \"auto\": where it is not known to stumble over them.",
    ),
    key(
        "images",
        Kind::Words(&["off", "on"]),
        "\"off\"",
        "Draw attached pictures, and those of unfolded results: PNG, in kitty and Ghostty. Elsewhere a line stands for them.",
    ),
    key(
        "notify",
        Kind::Words(&["auto", "osc9", "osc777", "osc99", "bell", "off"]),
        "\"auto\"",
        "How you are called while you look at another window: as a notification in one of the three forms that terminals know, by the bell, or not at all; \"auto\": as the terminal is known to show it.",
    ),
    key(
        "notify_details",
        Kind::Bool,
        "false",
        "Notifications may quote the titles of conversations and what an endpoint said. Without it they name tools and servers alone.",
    ),
    key("motion", Kind::Bool, "true", "Clocks that run by tenths of a second. Without it they tell whole seconds."),
    key(
        "editing",
        Kind::Words(&["readline", "vi"]),
        "\"readline\"",
        "The keys of the composer; with \"vi\" esc leaves inserting, and esc again is esc.",
    ),
    key("screen", Kind::Words(&["full", "inline", "plain"]), "\"full\"", "As --inline and --plain."),
    key("mouse", Kind::Bool, "true", "Wheel and clicks; f2 switches."),
    key("panel", Kind::Bool, "true", "The tool panel beside the chat, where there is room; f3 switches."),
    key("reasoning", Kind::Bool, "false", "Show reasoning unfolded."),
];

/// `themes/NAME.toml`.
pub const THEME: &[Key] = &[
    key(
        "base",
        Kind::Words(&["dark", "light", "high-contrast", "ansi"]),
        "\"dark\"",
        "What it does not name is as there.",
    ),
    key("inks", Kind::Table(INKS), "", "Colours and weights: \"bold #5fafff on black\"."),
];

const INKS: &[Key] = &[
    sample("text", Kind::Text, "\"cyan\"", "What is read."),
    sample("dim", Kind::Text, "\"cyan\"", "Metadata, rules, hints."),
    sample("accent", Kind::Text, "\"cyan\"", "The person, headings, keys."),
    sample("second", Kind::Text, "\"cyan\"", "The model."),
    sample("good", Kind::Text, "\"cyan\"", "Done."),
    sample("bad", Kind::Text, "\"cyan\"", "Failed."),
    sample("warn", Kind::Text, "\"cyan\"", "Wants attention."),
    sample("code", Kind::Text, "\"cyan\"", "Inline code and plain code blocks."),
    sample("link", Kind::Text, "\"cyan\"", "Links."),
    sample("keyword", Kind::Text, "\"cyan\"", "In code."),
    sample("literal", Kind::Text, "\"cyan\"", "In code."),
    sample("number", Kind::Text, "\"cyan\"", "In code."),
    sample("comment", Kind::Text, "\"cyan\"", "In code."),
    sample("function", Kind::Text, "\"cyan\"", "In code."),
    sample("type", Kind::Text, "\"cyan\"", "In code."),
    sample("match", Kind::Text, "\"cyan\"", "A found word."),
    sample("selection", Kind::Text, "\"cyan\"", "The row that is chosen."),
];

const STORE: &[Key] = &[
    key("save", Kind::Bool, "true", "Keep conversations. Without it every chat is as with --no-save."),
    key(
        "keep_days",
        Kind::Int { min: 0, max: MOST_DAYS },
        "0",
        "Erase, without a trace, conversations that have not changed for so many days, and prompts and drafts of that age, when the chat screen starts. What is pinned or open stays. 0: keep all for ever.",
    ),
    key(
        "keep_days_in",
        Kind::Any,
        "{}",
        "The same for conversations of a folder and what is below it, instead: { \"~/src/secret\" = 7, \"~/notes\" = 0 }.",
    ),
    key(
        "keyring",
        Kind::Bool,
        "true",
        "Keep tokens of sign-ins in the system's keyring where there is one; else in a file that only you can read. With MILLRACE_HOME: always there.",
    ),
];

pub const LIMITS: &[Key] = &[
    key("connect", Kind::Duration, "\"10 s\"", "Connecting to the endpoint."),
    key("first_byte", Kind::Duration, "\"10 min\"", "Until the endpoint answers at all."),
    key("first_byte_warning", Kind::Duration, "\"30 s\"", "When to say that it has not answered yet."),
    key("any_byte", Kind::Duration, "\"5 min\"", "Longest silence of the connection."),
    key("data_event", Kind::Duration, "\"10 min\"", "Longest time without an event that carries data."),
    key("turn", Kind::Duration, "\"60 min\"", "One turn, from the question to the last answer."),
    key("rounds", ANY_NUMBER, "32", "Requests of one turn."),
    key("calls_per_round", ANY_NUMBER, "128", "Tool calls of one answer."),
    key("calls_per_server", ANY_NUMBER, "8", "Calls in flight on one server."),
    key("calls_in_all", ANY_NUMBER, "32", "Calls in flight on all servers."),
    key("line", Kind::Size, "\"16 MiB\"", "One line of a response."),
    key("event", Kind::Size, "\"16 MiB\"", "One event of a response."),
    key("body", Kind::Size, "\"256 MiB\"", "One response, decoded."),
    key("arguments", Kind::Size, "\"4 MiB\"", "The arguments of one call."),
    key("nesting", Kind::Int { min: 1, max: 128 }, "128", "Depth of JSON."),
    key("server_start", Kind::Duration, "\"30 s\"", "Starting a server, until its tools are listed."),
    key("sign_in", Kind::Duration, "\"10 min\"", "How long a sign-in waits for a person."),
    key("call_idle", Kind::Duration, "\"60 s\"", "A call without progress."),
    key("call", Kind::Duration, "\"30 min\"", "A call in all."),
    key("result", Kind::Size, "\"32 KiB\"", "How much of a result the model is given: head and tail."),
    key("result_kept", Kind::Size, "\"64 MiB\"", "How much of a result is kept."),
    key("tools", ANY_NUMBER, "1000", "Tools listed per server."),
    key("tool_pages", ANY_NUMBER, "250", "Pages of such a list."),
    key("schema", Kind::Size, "\"256 KiB\"", "One tool's schema."),
    key("validation", Kind::Duration, "\"50 ms\"", "Checking arguments against a schema."),
    key("messages_per_second", ANY_NUMBER, "20", "Progress messages, and log messages, of a server."),
    key("stderr", Kind::Size, "\"12 KiB\"", "What is kept of a server's stderr."),
    key("log", Kind::Size, "\"64 KiB\"", "What is kept of a server's log messages."),
    key("instructions", Kind::Size, "\"8 KiB\"", "How much the model is told of what a server says of its use."),
    key("instructions_in_all", Kind::Size, "\"32 KiB\"", "The same for all servers of a turn."),
    key("resource", Kind::Size, "\"1 MiB\"", "A text of a resource or a prompt."),
    key("watched", ANY_NUMBER, "64", "Attached resources of a server whose changes you are told of."),
    key("inquiry", Kind::Duration, "\"10 min\"", "A server's question to you, until it counts as cancelled."),
    key("inquiries", ANY_NUMBER, "8", "Questions of one server that wait for you."),
    key(
        "sampling_tokens",
        TOKENS,
        "100000",
        "Tokens that your model may take for one server's requests (sampling = true), until millrace ends.",
    ),
    key(
        "sampling_turn_tokens",
        TOKENS,
        "20000",
        "The same in one turn, for all servers. A byte of a request counts as a token until the endpoint has told.",
    ),
    key("sampling_messages", ANY_NUMBER, "64", "Messages of such a request."),
    key("sampling_size", Kind::Size, "\"4 MiB\"", "Such a request, its images included."),
    key("command", Kind::Duration, "\"10 min\"", "A command of your own (!), in all."),
    key("command_output", Kind::Size, "\"256 KiB\"", "What is kept of its output: head and tail."),
    key("attempts", Kind::Int { min: 1, max: 100 }, "5", "Automatic attempts of one request."),
    key("retry_after", Kind::Duration, "\"2 min\"", "The longest wait that an endpoint may ask for between them."),
    key("import", Kind::Size, "\"256 MiB\"", "One imported conversation; another imported file, or a recording."),
    key("import_total", Kind::Size, "\"16 GiB\"", "All that an import of conversations reads, unpacked."),
    key("import_files", ANY_NUMBER, "100000", "Files of an archive or folder that are looked at for conversations."),
    key("import_ratio", ANY_NUMBER, "200", "How many times its packed size a file of an archive may have."),
    key("image", Kind::Size, "\"20 MiB\"", "An attached image."),
];

/// `.millrace.toml`: what a project's file may say once it is trusted. It can narrow, never widen.
pub const PROJECT: &[Key] = &[
    sample(
        "model",
        Kind::Text,
        "\"gpt-4o-mini\"",
        "The model, where neither -m, the profile nor MILLRACE_MODEL names one.",
    ),
    sample("temperature", TEMPERATURE, "0.2", "Sent only when given."),
    sample("role", Kind::Text, "\"reviewer\"", "A name of the user's own [roles]."),
    key("ui", Kind::Table(UI), "", "How the screen is drawn."),
    key("policy", Kind::Table(PROJECT_POLICY), "", "Denials only."),
    key(
        "servers",
        Kind::Tables { of: PROJECT_SERVER, rule: NameRule::Server },
        "",
        "Servers it proposes; each starts only after its command was seen.",
    ),
];

const PROJECT_POLICY: &[Key] = &[key("deny", Kind::Texts, "[]", "Globs of server/tool that never run here.")];

const PROJECT_SERVER: &[Key] = &[
    sample("command", Kind::Text, "\"npx\"", "A program."),
    sample("args", Kind::Texts, "[]", "Its arguments."),
    sample("env", Kind::TextMap { secret: true }, "{}", "Its environment."),
    sample("url", Kind::Text, "\"http://localhost:8000/mcp\"", "An address."),
    sample("headers", Kind::TextMap { secret: true }, "{}", "Sent to url."),
    sample("transport", Kind::Words(TRANSPORTS), "\"http\"", "As in config.toml."),
    key("compat", Kind::Table(SERVER_COMPAT), "", "As in config.toml."),
    sample("era", Kind::Words(ERAS), "\"legacy\"", "As in config.toml."),
    key("tools", Kind::Table(SERVER_TOOLS), "", "Which of its tools are offered."),
    sample("policy", Kind::Words(&["ask", "deny"]), "\"ask\"", "Never looser than the user's own."),
    sample("policies", Kind::WordMap(&["ask", "deny"]), "{}", "Per tool, or glob of tools."),
    sample("start_timeout", Kind::Duration, "\"30 s\"", "Instead of [limits] server_start."),
];

/// What is nearest to a mistyped name, if anything is near.
#[must_use]
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase().replace(['-', ' '], "_");
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase().replace('-', "_")), name))
        .filter(|(score, name)| {
            *score >= 0.86 || strsim::osa_distance(&lower, name) <= 1 + lower.chars().count().min(name.len()) / 5
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// Names that other programs use for the same thing.
#[must_use]
pub fn other_name(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "maxtokens" | "maxcompletiontokens" => "max_output_tokens",
        "apikey" | "key" | "token" => "api_key_env",
        "url" | "endpoint" | "host" | "apibase" | "openaibaseurl" | "baseurl" => "base_url",
        "environment" => "env",
        "httpurl" | "serverurl" => "url",
        "httpheaders" => "headers",
        "mcpservers" | "mcp" | "contextservers" => "servers",
        "systemprompt" | "instructions" => "system",
        "keybindings" | "keymap" | "bindings" => "keys",
        "provider" | "providers" => "profiles",
        "workingdirectory" | "workdir" => "cwd",
        "type" => "transport",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let names = ["model", "base_url", "max_output_tokens", "temperature"];
        for (word, expect) in [
            ("modle", Some("model")),
            ("Model", Some("model")),
            ("base-url", Some("base_url")),
            ("temprature", Some("temperature")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names), expect, "{word}");
        }
    }
}
