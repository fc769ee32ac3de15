//! What is promised of the store, under load: the program killed in the midst of turns, a machine that loses power, a
//! disk that fails in each of its calls, many writers at once. The real binary, a scripted model, a server that keeps a
//! journal of the calls it got.
//!
//! A small part of each runs always; all of it, with its figures, by
//! `MILLRACE_LOAD=1 cargo test --test it run::load -- --nocapture --test-threads=1`; a share of it by `MILLRACE_LOAD=0.1`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use millrace::chat::{Body, Conversation, OutcomeKind, ToolOutcome};
use millrace::store::{OpenMode, Store};

use super::*;
use crate::store::{assert_valid, block};

mod faults;
mod kills;
mod power;
mod shim;
mod writers;

/// How much is done: a little always, more by the share of all that is asked for.
fn scale(little: usize, all: usize) -> usize {
    let share = std::env::var("MILLRACE_LOAD").ok().and_then(|share| share.parse().ok()).unwrap_or(0.0);
    little.max((all as f64 * f64::min(share, 1.0)) as usize)
}

/// Numbers without a pattern, the same each time (xorshift64*).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % below
    }
}

/// Names calls over all turns of this process.
static CALLS: AtomicUsize = AtomicUsize::new(1);

/// One round of a scripted turn: what is said, and the numbers of its calls.
struct Round {
    words: Vec<String>,
    calls: Vec<usize>,
}

impl Round {
    fn text(&self) -> String {
        self.words.concat()
    }
}

/// A turn as the model will play it.
struct Script {
    question: String,
    rounds: Vec<Round>,
}

/// When which word of which round went to the program.
type Said = Arc<Mutex<Vec<(Instant, usize, usize)>>>;

impl Script {
    /// Three rounds of so many words each; the first two call.
    fn new(words: usize) -> Self {
        let first = CALLS.fetch_add(4, Ordering::Relaxed);
        let round =
            |at: usize, calls: Vec<usize>| Round { words: (0..words).map(|n| format!("r{at}w{n} ")).collect(), calls };
        Self {
            question: format!("question {first}"),
            rounds: vec![round(0, vec![first, first + 1]), round(1, vec![first + 2]), round(2, Vec::new())],
        }
    }

    /// The same with a pause before each word.
    fn replies(&self, pause: Duration, said: &Said) -> Vec<Reply> {
        let mut replies = Vec::new();
        for (at, round) in self.rounds.iter().enumerate() {
            let mut steps = Vec::new();
            let half = round.words.len() / 2;
            for (n, word) in round.words.iter().enumerate() {
                let said = Arc::clone(said);
                steps.push(Step::Until(Box::new(move || {
                    std::thread::sleep(pause);
                    said.lock().unwrap().push((Instant::now(), at, n));
                    true
                })));
                steps.push(say(word));
                // One call in the midst of the words, the others behind them.
                if n == half
                    && let Some(number) = round.calls.first()
                {
                    steps.push(call(0, "fake__echo", &arguments(*number)));
                }
            }
            for (index, number) in round.calls.iter().enumerate().skip(1) {
                steps.push(call(index, "fake__echo", &arguments(*number)));
            }
            steps.push(finish(if round.calls.is_empty() { "stop" } else { "tool_calls" }));
            replies.push(Reply::sse(steps));
        }
        replies
    }
}

fn arguments(number: usize) -> String {
    format!("{{\"n\":{number}}}")
}

/// A home with the server that journals, each line on its own before it answers.
struct Place {
    home: Home,
    servers: PathBuf,
}

impl Place {
    fn new() -> Self {
        let home = Home::new();
        // A machine that is busy with other things may take its time: that is not what is tried here.
        home.file("m/config/config.toml", "[limits]\nserver_start = \"10m\"\n");
        let servers = home.servers(Some(
            r#"call() { n=${line#*'"n":'}; n=${n%%[,\}]*};
                        reply "$1" '{"content":[{"type":"text","text":"did '"$n"'"}]}'; }"#,
        ));
        // Only the one that keeps a journal.
        let mut servers_of: Value = serde_json::from_slice(&std::fs::read(&servers).unwrap()).unwrap();
        servers_of["mcpServers"].as_object_mut().unwrap().remove("demo");
        std::fs::write(&servers, servers_of.to_string()).unwrap();
        Self { home, servers }
    }

    fn run(&self, provider: &Provider, script: &Script) -> Command {
        let servers = self.servers.to_str().unwrap();
        let args = ["--mcp", servers, "--approve", "all", "--output", "ndjson", script.question.as_str()];
        self.home.run(provider, &args)
    }

    fn store(&self) -> PathBuf {
        self.home.path("m").join("data").join("millrace.db")
    }

    /// The numbers of the calls that the server got.
    fn ran(&self) -> Vec<usize> {
        numbers(&std::fs::read_to_string(self.home.path("log")).unwrap_or_default())
    }
}

/// The numbers of all calls in what went to a server.
fn numbers(log: &str) -> Vec<usize> {
    let calls = log.lines().filter(|line| line.contains("\"tools/call\""));
    let number = |line: &str| line.split_once("\"n\":")?.1.split([',', '}']).next()?.trim().parse().ok();
    calls.filter_map(number).collect()
}

/// What is known of a turn from outside at the moment when its program stopped.
struct Known<'a> {
    script: &'a Script,
    /// Requests that reached the model (or left for it).
    requests: usize,
    /// It said that it had ended, and left.
    ended: bool,
    /// Numbers of calls that reached the server.
    ran: &'a [usize],
}

/// What is left of a turn.
struct Kept {
    /// Words of the round that was answered last, wholly kept ones.
    words: usize,
    /// Calls that ran of which nothing at all is on record.
    unrecorded: usize,
}

/// Holds what a store kept against what is known.
fn judge(kept: &Conversation, known: &Known<'_>) -> Kept {
    assert_valid(kept);
    let script = known.script;
    let Some(Body::User(_)) = kept.messages.first().map(|m| &m.body) else {
        panic!("the question is not there: {kept:#?}");
    };
    assert_eq!(kept.messages[0].plain_text(), script.question);
    let answers: Vec<_> = kept
        .messages
        .iter()
        .filter_map(|m| match &m.body {
            Body::Assistant(answer) => Some(answer),
            Body::User(_) | Body::Tool(_) => None,
        })
        .collect();
    let outcomes: Vec<(&str, &ToolOutcome)> = kept
        .messages
        .iter()
        .filter_map(|m| match &m.body {
            Body::Tool(tool) => {
                let call = answers.iter().flat_map(|a| &a.calls).find(|c| c.id == tool.call).unwrap();
                Some((call.arguments.as_ref(), &*tool.outcome))
            }
            Body::User(_) | Body::Assistant(_) => None,
        })
        .collect();
    // A request that left says that all rounds before it are on the disk, whole.
    let whole = if known.ended { script.rounds.len() } else { known.requests.saturating_sub(1) };
    for (at, round) in script.rounds.iter().enumerate().take(whole) {
        let answer = answers.get(at).unwrap_or_else(|| panic!("the answer of round {at} is not there: {kept:#?}"));
        assert_eq!(answer.text, round.text(), "round {at}");
        for number in &round.calls {
            let wanted = arguments(*number);
            let (_, outcome) = outcomes.iter().find(|(arguments, _)| *arguments == wanted).unwrap();
            assert_eq!((outcome.kind, &*outcome.content), (OutcomeKind::Done, &*format!("did {number}")));
        }
    }
    // What is there of the last round is what was said, up to somewhere.
    let mut words = 0;
    if let Some(round) = script.rounds.get(whole) {
        let text = answers.get(whole).map(|a| a.text.as_str()).unwrap_or_default();
        assert!(round.text().starts_with(text), "{text:?} was never said");
        words = text.matches(' ').count();
    }
    let mut unrecorded = 0;
    let nameless = outcomes.iter().any(|(arguments, o)| *arguments == "{}" && o.kind == OutcomeKind::Unknown);
    for number in known.ran.iter().filter(|n| script.rounds.iter().any(|r| r.calls.contains(n))) {
        let wanted = arguments(*number);
        match outcomes.iter().find(|(arguments, _)| *arguments == wanted) {
            Some((_, outcome)) => match outcome.kind {
                OutcomeKind::Done | OutcomeKind::Failed | OutcomeKind::TimedOut | OutcomeKind::Unknown => {}
                OutcomeKind::Cancelled
                | OutcomeKind::Denied
                | OutcomeKind::Invalid
                | OutcomeKind::Incomplete
                | OutcomeKind::Conflict => {
                    panic!("call {number} ran, and is told as {}: {}", outcome.kind.word(), outcome.content)
                }
            },
            None if nameless => {}
            None => unrecorded += 1,
        }
    }
    Kept { words, unrecorded }
}

/// Opens a store as the next start would, and has it checked.
fn reopened(path: &Path) -> Store {
    let store = Store::open(path, OpenMode::Write).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(block(store.check()).unwrap(), None);
    store
}

/// The conversation that was written to last.
fn newest(store: &Store) -> Option<Conversation> {
    block(async {
        let summary = store.newest(None).await.unwrap()?;
        Some(store.open_conversation(&summary.id).await.unwrap())
    })
}

/// Shares numbers out among threads, which share nothing else; the first that fails fails the test.
fn shared_out(threads: usize, count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return;
                    }
                    work(n);
                }
            });
        }
    });
}
