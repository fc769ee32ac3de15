//! A machine that loses power: of what was written and not synced nothing, all or anything may be on the disk.
//!
//! A run is recorded once, write by write. Then its files are made anew as they may be found after a cut at any of these
//! points: what a sync covered is there; of the rest each sector, each length and each name in a folder is there or not.

use super::shim::{Record, Trace, preload};
use super::*;

/// What a disk writes wholly or not at all, in bytes.
const SECTOR: usize = 512;

/// What becomes of what was not synced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unsynced {
    Lost,
    /// Each part by itself, by this seed.
    Torn(u64),
    Kept,
}

impl Trace {
    fn is_folder(&self, number: u32) -> bool {
        self.files.values().any(|path| path.parent() == Some(&self.files[&number]))
    }

    /// When what stands at a place became safe; None: never. A sync that failed lost it for good.
    pub(super) fn safe_at(&self) -> Vec<Option<usize>> {
        let mut safe = vec![None; self.records.len()];
        let mut waiting: HashMap<u32, Vec<usize>> = HashMap::new();
        let mut begun: HashMap<u64, (u32, usize)> = HashMap::new();
        let folder = |file: &u32| {
            let parent = self.files[file].parent().unwrap();
            // A folder that was never opened was never synced.
            self.files.iter().find(|(_, path)| *path == parent).map_or(u32::MAX, |(number, _)| *number)
        };
        for (at, record) in self.records.iter().enumerate() {
            match record {
                Record::Write { file, .. } | Record::Truncate { file, .. } => {
                    waiting.entry(*file).or_default().push(at)
                }
                Record::Make(file) | Record::Remove(file) => waiting.entry(folder(file)).or_default().push(at),
                Record::SyncBegan { file, id } => {
                    begun.insert(*id, (*file, at));
                }
                Record::Synced { id } | Record::SyncFailed { id } => {
                    let (file, from) = begun[id];
                    // SQLite goes on where a folder cannot be synced: not every file system can.
                    let done = matches!(record, Record::Synced { .. }) || self.is_folder(file);
                    waiting.entry(file).or_default().retain(|written| {
                        let covered = *written < from;
                        if covered && done {
                            safe[*written] = Some(at);
                        }
                        !covered
                    });
                }
                Record::Said(_) | Record::Asked | Record::Called(_) => {}
            }
        }
        safe
    }

    /// Makes the files in another folder as a cut before this record would leave them; the store among them.
    pub(super) fn rebuilt(&self, safe: &[Option<usize>], cut: usize, fate: Unsynced, into: &Path) -> PathBuf {
        let mut dice = Dice::new(match fate {
            Unsynced::Torn(seed) => seed,
            Unsynced::Lost | Unsynced::Kept => 1,
        });
        let mut files: HashMap<u32, (bool, Vec<u8>)> = HashMap::new();
        for (at, record) in self.records.iter().enumerate().take(cut) {
            let is_safe = safe[at].is_some_and(|then| then < cut);
            let mut arrives = || match fate {
                _ if is_safe => true,
                Unsynced::Lost => false,
                Unsynced::Kept => true,
                Unsynced::Torn(_) => dice.roll(2) == 0,
            };
            match record {
                Record::Write { file, at, data } => {
                    let held = &mut files.entry(*file).or_default().1;
                    for (sector, part) in data.chunks(SECTOR).enumerate() {
                        if !arrives() {
                            continue;
                        }
                        let from = at + sector * SECTOR;
                        if held.len() < from + part.len() {
                            held.resize(from + part.len(), 0);
                        }
                        held[from..from + part.len()].copy_from_slice(part);
                    }
                }
                Record::Truncate { file, to } if arrives() => files.entry(*file).or_default().1.resize(*to, 0),
                Record::Make(file) => {
                    let made = arrives();
                    files.entry(*file).or_default().0 |= made;
                }
                Record::Remove(file) if arrives() => {
                    files.insert(*file, (false, Vec::new()));
                }
                Record::Truncate { .. }
                | Record::Remove(_)
                | Record::SyncBegan { .. }
                | Record::Synced { .. }
                | Record::SyncFailed { .. }
                | Record::Said(_)
                | Record::Asked
                | Record::Called(_) => {}
            }
        }
        let lost_folder = files.iter().any(|(number, (exists, _))| self.is_folder(*number) && !exists);
        for (number, (exists, held)) in &files {
            if *exists && !lost_folder && !self.is_folder(*number) {
                std::fs::write(into.join(self.files[number].file_name().unwrap()), held).unwrap();
            }
        }
        into.join("millrace.db")
    }

    fn fates(&self, count: usize, judge: impl Fn(usize, Store) + Sync) -> usize {
        let safe = self.safe_at();
        shared_out(4, count, |n| {
            let cut = (n + 1) * self.records.len() / count;
            let fate = match n % 4 {
                0 => Unsynced::Lost,
                1 | 2 => Unsynced::Torn(n as u64 + 1),
                _ => Unsynced::Kept,
            };
            let folder = tempfile::tempdir().unwrap();
            let path = self.rebuilt(&safe, cut, fate, folder.path());
            let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| judge(cut, reopened(&path))));
            if let Err(panic) = judged {
                println!("cut at {cut} of {}, what was not synced: {fate:?}", self.records.len());
                std::panic::resume_unwind(panic);
            }
        });
        count
    }
}

#[test]
fn lost_power_takes_nothing_that_was_acknowledged() {
    let traces = scale(1, 8);
    let (mut points, mut records, mut unrecorded) = (0, 0, 0);
    let began = Instant::now();
    for _ in 0..traces {
        let place = Place::new();
        let provider = Provider::start(Vec::new());
        let script = Script::new(12);
        provider.script(script.replies(Duration::from_millis(20), &Said::default()));
        let trace = place.home.path("trace");
        let mut command = place.run(&provider, &script);
        preload(&mut command, &place.home.path("m").join("data"));
        command.env("MILLRACE_SHIM_TRACE", &trace);
        Events::of(command, 0);
        let trace = Trace::read(&trace);
        records += trace.records.len();
        let lost = AtomicUsize::new(0);
        points += trace.fates(scale(24, 75), |cut, store| {
            let before = &trace.records[..cut];
            let requests = before.iter().filter(|r| matches!(r, Record::Asked)).count();
            let ran: Vec<usize> = before
                .iter()
                .flat_map(|r| match r {
                    Record::Called(text) => numbers(text),
                    _ => Vec::new(),
                })
                .collect();
            let Some(kept) = newest(&store) else {
                assert_eq!(requests, 0, "a question that was sent is not there");
                return;
            };
            let ended = cut == trace.records.len();
            let left = judge(&kept, &Known { script: &script, requests, ended, ran: &ran });
            lost.fetch_add(left.unrecorded, Ordering::Relaxed);
        });
        unrecorded += lost.into_inner();
    }
    println!(
        "lost power, in turns: {points} cuts of {traces} runs ({records} records) in {:.0?}; 0 losses, 0 calls told as not \
         run; {unrecorded} times a call had left before the sync that says so had ended",
        began.elapsed()
    );
}

#[test]
fn lost_power_takes_nothing_from_a_store_that_tidies_up() {
    let folder = tempfile::tempdir().unwrap();
    let (data, trace) = (folder.path().join("data"), folder.path().join("trace"));
    let mut command = writers::child(&data.join("millrace.db"), "tidy", scale(8, 60), true);
    preload(&mut command, &data);
    command.env("MILLRACE_SHIM_TRACE", &trace);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let trace = Trace::read(&trace);
    let began = Instant::now();
    let points = trace.fates(scale(24, 400), |cut, store| {
        let said: String = trace.records[..cut]
            .iter()
            .filter_map(|r| match r {
                Record::Said(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let acknowledged: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix('@')).collect();
        writers::judge(&store, "tidy", &acknowledged);
    });
    println!(
        "lost power, in a store that tidies up: {points} cuts of {} records in {:.0?}; 0 losses",
        trace.records.len(),
        began.elapsed()
    );
}
