//! The writing of a recording: what is heard goes through a bounded queue to a thread of its own, and from there,
//! without its secrets, into the file.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::chat::{Fault, FaultKind, Heard, NoticeKind, Retry, Wiretap};
use crate::engine::Orders;
use crate::export::{REDACTED, Redactor};

use super::line::{Bytes, Frame, Header, Line, Text};
use super::scrub::{Mark, Scrub};

/// Things that wait for the writer, and their bytes: more are left out rather than waited for.
const QUEUE: usize = 16 << 10;
const QUEUE_BYTES: u64 = 64 << 20;
/// What stands in the buffer reaches the file after this long.
const FLUSH: Duration = Duration::from_millis(200);

/// Hears a session and records it. Cheap to hear with: a copy and a push.
pub struct Recorder {
    shared: Arc<Shared>,
    queue: SyncSender<Item>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    began: Instant,
    /// The number of the last line.
    n: AtomicU64,
    waiting: AtomicU64,
    /// Lines that were left out and not yet told of.
    missing: AtomicU64,
    orders: OnceLock<Orders>,
    /// Why the recording is not whole.
    trouble: Mutex<Option<String>>,
    shown: String,
}

enum Item {
    Heard(Mark, u64, Box<Heard>),
    Line(Mark, u64, Box<Line>),
    End,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("file", &self.shared.shown).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Makes the file, readable by its owner alone, and writes the header. At most `most` bytes are written.
    ///
    /// # Errors
    /// `Usage` where there is such a file already, or it cannot be made.
    pub fn create(path: &Path, header: &Header, redactor: Redactor, most: u64) -> Result<Arc<Self>, Fault> {
        let shown = path.display().to_string();
        let file = create(path).map_err(|error| {
            let fault = |message| Fault::new(FaultKind::Usage, message).retry(Retry::AfterChange);
            match error.kind() {
                io::ErrorKind::AlreadyExists => fault(format!("{shown} exists, and a recording overwrites nothing."))
                    .hint("Name another file for --record, or remove that one."),
                _ => fault(format!("The recording {shown} cannot be made: {error}.")),
            }
        })?;
        let shared = Arc::new(Shared {
            began: Instant::now(),
            n: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            missing: AtomicU64::new(0),
            orders: OnceLock::new(),
            trouble: Mutex::default(),
            shown,
        });
        let (queue, items) = sync_channel(QUEUE);
        let head = serde_json::to_value(header).unwrap_or_default();
        let mut writer = Writer {
            out: BufWriter::with_capacity(64 << 10, file),
            room: most,
            broken: false,
            redactor,
            responses: HashMap::new(),
            shared: Arc::clone(&shared),
        };
        let thread = move || {
            writer.header(head);
            writer.run(&items);
        };
        let writer = std::thread::Builder::new()
            .name("record".into())
            .spawn(thread)
            .map_err(|error| Fault::new(FaultKind::Internal, format!("The recording could not be begun: {error}.")))?;
        Ok(Arc::new(Self { shared, queue, writer: Mutex::new(Some(writer)) }))
    }

    /// Where trouble is told from now on.
    pub fn tell(&self, orders: Orders) {
        let _ = self.shared.orders.set(orders);
        // What went wrong before there was anybody to tell.
        if let Some(why) = self.trouble() {
            self.shared.notice(why);
        }
    }

    pub(super) fn line(&self, line: Line) {
        let size = match &line {
            Line::Listing { tools, .. } => tools.iter().map(weight).sum(),
            Line::Opened { value, .. } => weight(value),
            Line::WholeResult { text, .. } => text.len() as u64,
            _ => 256,
        };
        self.put(size, |mark| Item::Line(mark, size, Box::new(line)));
    }

    fn put(&self, size: u64, item: impl FnOnce(Mark) -> Item) {
        let mark = Mark {
            n: self.shared.n.fetch_add(1, Ordering::Relaxed) + 1,
            t_us: u64::try_from(self.shared.began.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        let room = self.shared.waiting.fetch_add(size, Ordering::Relaxed) + size <= QUEUE_BYTES;
        if !room || self.queue.try_send(item(mark)).is_err() {
            self.shared.waiting.fetch_sub(size, Ordering::Relaxed);
            self.shared.missing.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Why the recording is not whole; None where it is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what still waits, and ends. Gives back why the recording is not whole, where it is not.
    pub fn close(&self) -> Option<String> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // The writer reads until it meets this.
            let _ = self.queue.send(Item::End);
            let _ = writer.join();
        }
        self.trouble()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.close();
    }
}

impl Wiretap for Recorder {
    fn heard(&self, heard: Heard) {
        let size = match &heard {
            // What a server said is in its frames; how it was carried is of no use to a replay.
            Heard::Http { .. } => return,
            Heard::Request { body, .. } => body.len(),
            Heard::Chunk { bytes, .. } | Heard::Frame { bytes, .. } | Heard::Body { bytes, .. } => bytes.len(),
            Heard::Head { .. }
            | Heard::ResponseOver { .. }
            | Heard::Order(_)
            | Heard::Turn { .. }
            | Heard::Review { .. } => 0,
        };
        let size = size as u64 + 256;
        self.put(size, |mark| Item::Heard(mark, size, Box::new(heard)));
    }
}

/// About how much memory a value takes, bytes.
fn weight(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64 + 32,
        Value::Array(items) => items.iter().map(weight).sum::<u64>() + 32,
        Value::Object(map) => map.iter().map(|(key, value)| key.len() as u64 + weight(value)).sum::<u64>() + 32,
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
    }
}

/// A new file; what is there and is no file (a pipe, a device) is written to.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() && !there.is_dir() => options.open(path),
        Ok(_) | Err(_) => {
            options.create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(path)
        }
    }
}

impl Shared {
    fn notice(&self, why: String) {
        if let Some(orders) = self.orders.get() {
            orders.notice(NoticeKind::Recording, why);
        }
    }

    /// The first word counts; later trouble follows from it.
    fn trouble(&self, why: String) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_none() {
            *trouble = Some(why.clone());
            drop(trouble);
            self.notice(why);
        }
    }
}

struct Writer {
    out: BufWriter<File>,
    room: u64,
    broken: bool,
    redactor: Redactor,
    responses: HashMap<u64, Scrub>,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(&mut self, items: &Receiver<Item>) {
        let mut next = items.recv().ok();
        while let Some(item) = next {
            let size = match item {
                Item::Heard(mark, size, heard) => {
                    self.heard(mark, *heard);
                    size
                }
                Item::Line(mark, size, line) => {
                    self.line(mark, &line);
                    size
                }
                Item::End => break,
            };
            self.shared.waiting.fetch_sub(size, Ordering::Relaxed);
            next = match items.try_recv() {
                Ok(item) => Some(item),
                Err(TryRecvError::Disconnected) => None,
                Err(TryRecvError::Empty) => match items.recv_timeout(FLUSH) {
                    Ok(item) => Some(item),
                    Err(RecvTimeoutError::Timeout) => {
                        self.flush();
                        items.recv().ok()
                    }
                    Err(RecvTimeoutError::Disconnected) => None,
                },
            };
        }
        let open: Vec<u64> = self.responses.keys().copied().collect();
        for response in open {
            self.finish(response);
        }
        let mark = self.mark();
        self.missing(mark);
        self.line(mark, &Line::Closed {});
        self.flush();
    }

    fn mark(&self) -> Mark {
        Mark {
            n: self.shared.n.fetch_add(1, Ordering::Relaxed) + 1,
            t_us: u64::try_from(self.shared.began.elapsed().as_micros()).unwrap_or(u64::MAX),
        }
    }

    fn heard(&mut self, mark: Mark, heard: Heard) {
        let line = match heard {
            Heard::Request { response, base_url, api, body } => {
                Line::Request { response, base_url, api, body: Text::of(&body) }
            }
            Heard::Head { response, status, headers } => Line::Head { response, status, headers },
            Heard::Chunk { response, bytes } => {
                let scrub = self.responses.entry(response).or_insert_with(|| Scrub::new(self.redactor.clone()));
                let ready = scrub.push(mark, &bytes);
                return self.chunks(response, ready);
            }
            Heard::ResponseOver { response, how } => {
                self.finish(response);
                Line::ResponseOver { response, how: how.into() }
            }
            Heard::Frame { server, connection, direction, call, bytes } => {
                Line::Frame { server, connection, direction: direction.into(), call, frame: Frame::of(&bytes) }
            }
            Heard::Body { server, connection, status, bytes, cut } => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                Line::Body { server, connection, status, text, cut }
            }
            Heard::Http { .. } => return,
            Heard::Order(order) => Line::Order { order },
            Heard::Turn { turn, conversation, key } => Line::Turn { turn, conversation, key },
            Heard::Review { turn, call, hash } => Line::Review { turn, call, hash },
        };
        self.line(mark, &line);
    }

    fn finish(&mut self, response: u64) {
        if let Some(scrub) = self.responses.remove(&response) {
            let rest = scrub.finish();
            self.chunks(response, rest);
        }
    }

    fn chunks(&mut self, response: u64, chunks: Vec<(Mark, Vec<u8>)>) {
        for (mark, bytes) in chunks {
            self.line(mark, &Line::Chunk { response, bytes: Bytes::of(bytes) });
        }
    }

    fn missing(&mut self, mark: Mark) {
        let lines = self.shared.missing.swap(0, Ordering::Relaxed);
        if lines > 0 {
            self.shared.trouble(format!(
                "The recording {} is not whole: {lines} lines came faster than they could be written.",
                self.shared.shown
            ));
            self.put(mark, &Line::Missing { lines });
        }
    }

    fn line(&mut self, mark: Mark, line: &Line) {
        if self.shared.missing.load(Ordering::Relaxed) > 0 {
            self.missing(mark);
        }
        self.put(mark, line);
    }

    fn put(&mut self, mark: Mark, line: &Line) {
        let Ok(Value::Object(mut map)) = serde_json::to_value(line) else { return };
        let kind = map.shift_remove("kind").unwrap_or_default();
        let mut rest = Value::Object(map);
        self.redactor.value(&mut rest);
        let Value::Object(rest) = rest else { return };
        let mut whole = serde_json::Map::new();
        whole.insert("n".into(), mark.n.into());
        whole.insert("t".into(), (mark.t_us as f64 / 1000.0).into());
        whole.insert("kind".into(), kind);
        whole.extend(rest);
        self.write(Value::Object(whole));
    }

    fn header(&mut self, mut head: Value) {
        if let Value::Object(map) = &mut head {
            let fixed = [map.shift_remove("format"), map.shift_remove("version")];
            let mut rest = Value::Object(std::mem::take(map));
            self.redactor.value(&mut rest);
            let names = ["format", "version"];
            map.extend(names.into_iter().zip(fixed).filter_map(|(name, value)| Some((name.to_owned(), value?))));
            if let Value::Object(rest) = rest {
                map.extend(rest);
            }
        }
        self.write(head);
        self.flush();
    }

    fn write(&mut self, line: Value) {
        if self.broken {
            return;
        }
        let mut text = line.to_string();
        // The last look: nothing known passes, whatever the way it came to be written.
        if let std::borrow::Cow::Owned(clean) = self.redactor.text(&text) {
            text = match serde_json::from_str::<Value>(&clean) {
                Ok(_) => clean,
                Err(_) => serde_json::json!({"n": line["n"], "t": line["t"], "kind": REDACTED}).to_string(),
            };
        }
        text.push('\n');
        let size = text.len() as u64;
        if size > self.room {
            self.broken = true;
            let shown = &self.shared.shown;
            self.shared
                .trouble(format!("The recording {shown} is as large as it may be (limit import) and ends here."));
            return;
        }
        self.room -= size;
        if let Err(error) = self.out.write_all(text.as_bytes()) {
            self.failed(&error);
        }
    }

    fn flush(&mut self) {
        if !self.broken
            && let Err(error) = self.out.flush()
        {
            self.failed(&error);
        }
    }

    fn failed(&mut self, error: &io::Error) {
        self.broken = true;
        let shown = &self.shared.shown;
        self.shared.trouble(format!("The recording {shown} cannot be written: {error}. What follows is not in it."));
    }
}
