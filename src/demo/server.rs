//! The demo's MCP server: a handful of tools over a small project that lives in the program. It speaks real MCP over
//! real pipes, as a child of `millrace demo`.
//!
//! # Invariants
//! - It touches no file, no network and no clock that could make two runs differ: what it writes lives in its memory.
//! - Every tool does one of the things a person should see once: answer at once, take its time and say so, ask first,
//!   fail honestly, answer with structure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Implementation, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServiceExt};
use serde_json::{Map, Value, json};

use super::DemoOptions;

const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../assets/demo/project/Cargo.toml")),
    ("README.md", include_str!("../../assets/demo/project/README.md")),
    ("src/gauge.rs", include_str!("../../assets/demo/project/src/gauge.rs")),
    ("src/main.rs", include_str!("../../assets/demo/project/src/main.rs")),
    ("src/retry.rs", include_str!("../../assets/demo/project/src/retry.rs")),
    ("tests/retry.rs", include_str!("../../assets/demo/project/tests/retry.rs")),
];

const NOTES: &[(&str, &str)] = &[
    ("budget", include_str!("../../assets/demo/notes/budget.md")),
    ("gauge", include_str!("../../assets/demo/notes/gauge.md")),
    ("release", include_str!("../../assets/demo/notes/release.md")),
];

/// The steps of `fetch_report`, and how long each takes.
const STEPS: &[&str] = &[
    "asking the archive",
    "reading January",
    "reading February",
    "reading March",
    "comparing the tides",
    "looking for gaps",
    "drawing conclusions",
    "writing it down",
];
const STEP: Duration = Duration::from_millis(440);
/// How long the tests run.
const TESTS: Duration = Duration::from_millis(1200);

/// The tools that only read, and the one that writes.
pub(super) const READING: [&str; 6] =
    ["list_files", "read_file", "run_tests", "search_notes", "weather", "fetch_report"];
pub(super) const WRITING: [&str; 1] = ["write_file"];

/// Why the demo's server could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoServerError {
    #[error("the demo's server was not greeted properly: {0}")]
    Greeting(String),
    #[error("the demo's server failed: {0}")]
    Failed(String),
}

/// Serves over this process's stdin and stdout until stdin closes.
///
/// # Errors
/// Where the other side does not speak MCP.
pub async fn serve_stdio(options: DemoOptions) -> Result<(), DemoServerError> {
    serve(rmcp::transport::stdio(), options).await
}

/// Serves over any pair of pipes.
async fn serve<R, W>(pipes: (R, W), options: DemoOptions) -> Result<(), DemoServerError>
where
    R: tokio::io::AsyncRead + Send + Unpin + 'static,
    W: tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let running =
        DemoServer::new(options).serve(pipes).await.map_err(|error| DemoServerError::Greeting(error.to_string()))?;
    running.waiting().await.map_err(|error| DemoServerError::Failed(error.to_string()))?;
    Ok(())
}

#[derive(Clone)]
struct DemoServer {
    files: Arc<Mutex<BTreeMap<String, String>>>,
    pace: f64,
}

impl DemoServer {
    fn new(options: DemoOptions) -> Self {
        let files = FILES.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        Self { files: Arc::new(Mutex::new(files)), pace: options.pace }
    }

    fn with_files<T>(&self, act: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> T {
        act(&mut self.files.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn list_files(&self, folder: &str) -> CallToolResult {
        let prefix = match folder.trim_matches('/') {
            "" | "." => String::new(),
            folder => format!("{folder}/"),
        };
        let lines: Vec<String> = self.with_files(|files| {
            let inside = files.iter().filter(|(path, _)| path.starts_with(&prefix));
            inside.map(|(path, text)| format!("{path}  {} lines", text.lines().count())).collect()
        });
        if lines.is_empty() {
            return failed(format!("there is no folder {folder}"));
        }
        text(lines.join("\n"))
    }

    fn read_file(&self, path: &str) -> CallToolResult {
        self.with_files(|files| match files.get(path) {
            Some(content) => text(content.clone()),
            None => {
                let known: Vec<_> = files.keys().map(String::as_str).collect();
                failed(format!("there is no file {path}; there are {}", known.join(", ")))
            }
        })
    }

    fn write_file(&self, path: &str, content: &str) -> CallToolResult {
        if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part.is_empty() || part == "..") {
            return failed(format!("{path:?} is not a path inside the project"));
        }
        let before = self.with_files(|files| files.insert(path.to_owned(), content.to_owned()));
        let lines = content.lines().count();
        text(match before {
            Some(before) => format!("{path} written: {lines} lines, {} before", before.lines().count()),
            None => format!("{path} created: {lines} lines"),
        })
    }

    /// Takes its time, unless it is told to stop.
    async fn tests(&self, context: &RequestContext<RoleServer>) -> CallToolResult {
        tokio::select! {
            () = context.ct.cancelled() => failed("stopped before the tests were done".to_owned()),
            () = tokio::time::sleep(TESTS.mul_f64(self.pace)) => self.run_tests(),
        }
    }

    /// The test of the budget fails until `src/retry.rs` looks at its policy's budget.
    fn run_tests(&self) -> CallToolResult {
        let fixed =
            self.with_files(|files| files.get("src/retry.rs").is_some_and(|text| text.contains("policy.budget")));
        let passed = "running 3 tests\ntest gives_up_after_the_attempts ... ok\ntest doubles_the_pause ... ok\n";
        if fixed {
            return text(format!("{passed}test stays_within_its_budget ... ok\n\ntest result: ok. 3 passed; 0 failed"));
        }
        failed(format!(
            "{passed}test stays_within_its_budget ... FAILED\n\n---- stays_within_its_budget ----\n\
             tests/retry.rs:8: took 12.4 s with a budget of 8 s\n\ntest result: FAILED. 2 passed; 1 failed"
        ))
    }

    async fn fetch_report(&self, topic: &str, context: &RequestContext<RoleServer>) -> CallToolResult {
        for (done, step) in STEPS.iter().enumerate() {
            if let Some(token) = context.meta.get_progress_token() {
                let progress = ProgressNotificationParam::new(token, done as f64)
                    .with_total(STEPS.len() as f64)
                    .with_message(*step);
                if context.peer.notify_progress(progress).await.is_err() {
                    break;
                }
            }
            tokio::select! {
                () = context.ct.cancelled() => return failed("stopped before the report was done".to_owned()),
                () = tokio::time::sleep(STEP.mul_f64(self.pace)) => {}
            }
        }
        text(format!(
            "# Report: {topic}\n\n90 days, 2 160 readings, 41 of them late.\n\n| month | late | longest wait |\n|--|--|--|\n\
             | January | 9 | 2.1 s |\n| February | 13 | 2.8 s |\n| March | 19 | 3.4 s |\n\nThe waits grow with the \
             spring tides. A pause that doubles from 500 ms would have caught all but two."
        ))
    }
}

impl ServerHandler for DemoServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("millrace-demo", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = serde_json::from_value::<Vec<Tool>>(tools())
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = call.arguments.unwrap_or_default();
        let word = |name: &str| arguments.get(name).and_then(Value::as_str);
        let needed = |name: &str| {
            word(name).ok_or_else(|| ErrorData::invalid_params(format!("{name} is missing, or not a string"), None))
        };
        let result = match call.name.as_ref() {
            "list_files" => self.list_files(word("folder").unwrap_or_default()),
            "read_file" => self.read_file(needed("path")?),
            "write_file" => self.write_file(needed("path")?, needed("content")?),
            "run_tests" => self.tests(&context).await,
            "search_notes" => search_notes(needed("query")?),
            "weather" => weather(needed("place")?, &arguments),
            "fetch_report" => self.fetch_report(needed("topic")?, &context).await,
            other => return Err(ErrorData::invalid_params(format!("there is no tool {other}"), None)),
        };
        Ok(result.into())
    }
}

fn text(text: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

fn failed(text: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

fn search_notes(query: &str) -> CallToolResult {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let mut found: Vec<(usize, &str, &str)> = NOTES
        .iter()
        .map(|(name, text)| {
            let low = text.to_lowercase();
            (words.iter().map(|word| low.matches(word.as_str()).count()).sum(), *name, *text)
        })
        .filter(|(hits, ..)| *hits > 0)
        .collect();
    found.sort_by_key(|(hits, name, _)| (std::cmp::Reverse(*hits), *name));
    let notes: Vec<Value> = found
        .iter()
        .map(|(hits, name, text)| {
            let (title, body) = text.split_once('\n').unwrap_or((text, ""));
            json!({"name": name, "title": title, "text": body.trim(), "hits": hits})
        })
        .collect();
    CallToolResult::structured(json!({"query": query, "notes": notes}))
}

/// Weather made of the place's name: the same place has the same weather, always.
fn weather(place: &str, arguments: &Map<String, Value>) -> CallToolResult {
    const SKIES: &[&str] = &["clear", "light cloud", "overcast", "drizzle", "rain", "fog"];
    let days = arguments.get("days").and_then(Value::as_u64).unwrap_or(3).clamp(1, 7);
    let seed = place.to_lowercase().bytes().fold(5381_u64, |hash, byte| hash.wrapping_mul(33) ^ u64::from(byte));
    let forecast: Vec<Value> = (0..days)
        .map(|day| {
            let mut roll = seed ^ day.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            roll ^= roll >> 29;
            roll = roll.wrapping_mul(0xBF58_476D_1CE4_E5B9);
            roll ^= roll >> 32;
            let high = 6 + roll % 17;
            json!({
                "day": day + 1,
                "sky": SKIES[(roll >> 8) as usize % SKIES.len()],
                "high_c": high,
                "low_c": high - (roll >> 16) % 6,
                "wind_kn": 4 + (roll >> 24) % 22,
            })
        })
        .collect();
    CallToolResult::structured(json!({"place": place, "days": forecast}))
}

/// The definitions, as they are listed.
fn tools() -> Value {
    let reads = json!({"readOnlyHint": true, "openWorldHint": false});
    json!([
        {
            "name": "list_files",
            "title": "List files",
            "description": "Lists the files of the project with their length. Give a folder to see only what is in it.",
            "inputSchema": {
                "type": "object",
                "properties": {"folder": {"type": "string", "description": "A folder such as src; all files without it"}},
                "additionalProperties": false
            },
            "annotations": reads
        },
        {
            "name": "read_file",
            "title": "Read a file",
            "description": "Returns the whole text of one file of the project.",
            "inputSchema": {
                "type": "object",
                "properties": {"path": {"type": "string", "description": "As list_files gives it, such as src/retry.rs"}},
                "required": ["path"],
                "additionalProperties": false
            },
            "annotations": reads
        },
        {
            "name": "write_file",
            "title": "Write a file",
            "description": "Replaces the whole text of one file of the project, or creates it.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "A path inside the project"},
                    "content": {"type": "string", "description": "The whole new text"}
                },
                "required": ["path", "content"],
                "additionalProperties": false
            },
            "annotations": {"readOnlyHint": false, "destructiveHint": true, "idempotentHint": true, "openWorldHint": false}
        },
        {
            "name": "run_tests",
            "title": "Run the tests",
            "description": "Runs the project's tests and returns their output. Fails where a test fails.",
            "inputSchema": {"type": "object", "properties": {}, "additionalProperties": false},
            "annotations": reads
        },
        {
            "name": "search_notes",
            "title": "Search the notes",
            "description": "Finds the project's notes that hold any of the given words, best first.",
            "inputSchema": {
                "type": "object",
                "properties": {"query": {"type": "string", "minLength": 1, "description": "A few words"}},
                "required": ["query"],
                "additionalProperties": false
            },
            "outputSchema": {
                "type": "object",
                "properties": {
                    "query": {"type": "string"},
                    "notes": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "name": {"type": "string"},
                                "title": {"type": "string"},
                                "text": {"type": "string"},
                                "hits": {"type": "integer"}
                            },
                            "required": ["name", "title", "text", "hits"]
                        }
                    }
                },
                "required": ["query", "notes"]
            },
            "annotations": reads
        },
        {
            "name": "weather",
            "title": "Weather",
            "description": "The (made-up) weather at a place for the next days, in degrees Celsius and knots.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "place": {"type": "string", "minLength": 1, "description": "A town or harbour"},
                    "days": {"type": "integer", "minimum": 1, "maximum": 7, "description": "3 where not given"}
                },
                "required": ["place"],
                "additionalProperties": false
            },
            "outputSchema": {
                "type": "object",
                "properties": {
                    "place": {"type": "string"},
                    "days": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "day": {"type": "integer"},
                                "sky": {"type": "string"},
                                "high_c": {"type": "integer"},
                                "low_c": {"type": "integer"},
                                "wind_kn": {"type": "integer"}
                            },
                            "required": ["day", "sky", "high_c", "low_c", "wind_kn"]
                        }
                    }
                },
                "required": ["place", "days"]
            },
            "annotations": reads
        },
        {
            "name": "fetch_report",
            "title": "Fetch a report",
            "description": "Fetches the long report on a topic from the archive. Takes a few seconds and tells how far it is.",
            "inputSchema": {
                "type": "object",
                "properties": {"topic": {"type": "string", "minLength": 1, "description": "What the report is about"}},
                "required": ["topic"],
                "additionalProperties": false
            },
            "annotations": reads
        }
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(result: &CallToolResult) -> String {
        serde_json::to_value(result).unwrap()["content"][0]["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn every_definition_is_a_tool_and_every_structure_fits_its_schema() {
        let listed: Vec<Tool> = serde_json::from_value(tools()).unwrap();
        let mut names: Vec<&str> = listed.iter().map(|tool| tool.name.as_ref()).collect();
        let mut known: Vec<&str> = READING.into_iter().chain(WRITING).collect();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known);
        let made = [("search_notes", search_notes("retry budget")), ("weather", weather("Lerwick", &Map::new()))];
        for (name, result) in made {
            let tool = listed.iter().find(|tool| tool.name == name).unwrap();
            let schema = Value::Object((**tool.output_schema.as_ref().unwrap()).clone());
            let validator = jsonschema::validator_for(&schema).unwrap();
            assert!(validator.is_valid(result.structured_content.as_ref().unwrap()), "{name}");
        }
    }

    #[test]
    fn the_tests_fail_until_the_budget_is_honoured() {
        let server = DemoServer::new(DemoOptions::default());
        assert_eq!(server.run_tests().is_error, Some(true));
        let fixed = "let end = now + policy.budget; // budget\nif budget_spent { return }";
        assert_eq!(said(&server.write_file("src/retry.rs", fixed)), "src/retry.rs written: 2 lines, 30 before");
        assert_eq!(server.run_tests().is_error, Some(false));
    }

    #[test]
    fn the_same_place_has_the_same_weather() {
        let days = |place| weather(place, &Map::new()).structured_content.unwrap()["days"].clone();
        assert_eq!(days("Lerwick"), days("lerwick"));
        assert_ne!(days("Lerwick"), days("Malaga"));
    }

    #[test]
    fn nothing_leaves_the_project() {
        let server = DemoServer::new(DemoOptions::default());
        for path in ["/etc/passwd", "../x", "a//b", ""] {
            assert_eq!(server.write_file(path, "x").is_error, Some(true), "{path}");
        }
        assert_eq!(server.read_file("nope").is_error, Some(true));
        assert!(said(&search_notes("zebra")).contains("\"notes\":[]"));
    }
}
