//! Every limit, in one table (contract section 2). Whoever acts on one says so.

use std::time::Duration;

/// Durations and sizes; sizes in bytes. `config` fills it, everyone else reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub connect: Duration,
    pub first_byte: Duration,
    /// When to say that the endpoint has not answered yet.
    pub first_byte_warning: Duration,
    /// Longest silence of the connection; any byte counts.
    pub any_byte: Duration,
    /// Longest time without progress; only a data event counts.
    pub data_event: Duration,
    pub turn: Duration,
    pub rounds: u32,
    pub calls_per_round: u32,
    pub calls_per_server: u32,
    pub calls_in_all: u32,
    pub line: u64,
    pub event: u64,
    pub body: u64,
    pub arguments: u64,
    pub nesting: u32,
    pub server_start: Duration,
    /// How long a sign-in waits for a person.
    pub sign_in: Duration,
    /// A call without progress.
    pub call_idle: Duration,
    pub call: Duration,
    /// How much of a result the model is given.
    pub result: u64,
    /// How much of a result is kept.
    pub result_kept: u64,
    pub tools: u32,
    pub tool_pages: u32,
    pub schema: u64,
    pub validation: Duration,
    /// Progress and log messages, each, a second.
    pub messages_per_second: u32,
    pub stderr: u64,
    /// What is kept of a server's log messages.
    pub log: u64,
    /// What a server says of how it is to be used, as far as the model is told: of one server, and of all.
    pub instructions: u64,
    pub instructions_in_all: u64,
    /// A text of a resource or a prompt.
    pub resource: u64,
    /// Resources of one server whose changes are told of.
    pub watched: u32,
    /// A question of a server to the person stays open so long.
    pub inquiry: Duration,
    /// Questions of one server that wait at a time.
    pub inquiries: u32,
    /// Tokens that the model may take for one server's requests, until the process ends.
    pub sampling_tokens: u32,
    /// The same in one turn, for all servers.
    pub sampling_turn_tokens: u32,
    /// Messages of such a request.
    pub sampling_messages: u32,
    /// Such a request, its images in base64.
    pub sampling_size: u64,
    /// A command of the person's own, in all.
    pub command: Duration,
    /// What is kept of its output, bytes.
    pub command_output: u64,
    /// Automatic attempts of one request.
    pub attempts: u32,
    /// The longest wait that an endpoint may ask for; asked for a longer one, the request is not sent again by itself.
    pub retry_after: Duration,
    /// One conversation of an imported file; a file of another kind, and a recording, whole.
    pub import: u64,
    /// All that an import of conversations reads, unpacked.
    pub import_total: u64,
    /// Files of an archive or folder that are looked at.
    pub import_files: u32,
    /// How many times its packed size a file of an archive may have.
    pub import_ratio: u32,
    pub image: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: u64 = 1024;
        const MIB: u64 = 1024 * KIB;
        let secs = Duration::from_secs;
        Self {
            connect: secs(10),
            first_byte: secs(600),
            first_byte_warning: secs(30),
            any_byte: secs(300),
            data_event: secs(600),
            turn: secs(3600),
            rounds: 32,
            calls_per_round: 128,
            calls_per_server: 8,
            calls_in_all: 32,
            line: 16 * MIB,
            event: 16 * MIB,
            body: 256 * MIB,
            arguments: 4 * MIB,
            nesting: 128,
            server_start: secs(30),
            sign_in: secs(600),
            call_idle: secs(60),
            call: secs(1800),
            result: 32 * KIB,
            result_kept: 64 * MIB,
            tools: 1000,
            tool_pages: 250,
            schema: 256 * KIB,
            validation: Duration::from_millis(50),
            messages_per_second: 20,
            stderr: 12 * KIB,
            log: 64 * KIB,
            instructions: 8 * KIB,
            instructions_in_all: 32 * KIB,
            resource: MIB,
            watched: 64,
            inquiry: secs(600),
            inquiries: 8,
            sampling_tokens: 100_000,
            sampling_turn_tokens: 20_000,
            sampling_messages: 64,
            sampling_size: 4 * MIB,
            command: secs(600),
            command_output: 256 * KIB,
            attempts: 5,
            retry_after: secs(120),
            import: 256 * MIB,
            import_total: 16 * 1024 * MIB,
            import_files: 100_000,
            import_ratio: 200,
            image: 20 * MIB,
        }
    }
}

/// The shortest way to write a time that reads back as the same: `50 ms`, `90 s`, `5 min`, `2 h`, `3 days`. Everybody who
/// names a limit writes it so.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0 s".to_owned(),
        _ if ms.is_multiple_of(86_400_000) && ms > 86_400_000 => format!("{} days", ms / 86_400_000),
        _ if ms.is_multiple_of(3_600_000) && ms > 3_600_000 => format!("{} h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) && ms > 60_000 => format!("{} min", ms / 60_000),
        _ if ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        _ => format!("{ms} ms"),
    }
}
