//! Files, archives and folders, read for the conversations in them, on a thread of its own.
//!
//! # Invariants
//! - One conversation is read at a time, and no more than a few wait to be taken.
//! - Nothing is written to the disk, whatever an archive's files are called, and no link of a folder is followed.
//! - What is read is bounded: by `limits.import` one conversation, by `import_total`, `import_files` and `import_ratio`
//!   all of it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc::Sender;

use crate::chat::Limits;
use crate::export::import::{self as formats, Element, Elements, Imported, ItemError};

/// Bytes that are read at a time.
const CHUNK: usize = 256 * 1024;
/// Bytes of a file at which it is seen whether it may be JSON.
const HEAD: usize = 4096;
/// Folders below folders.
const DEEPEST: usize = 16;
/// A small file may be packed as tightly as it likes: bytes.
const SMALL: u64 = 4 << 20;

/// What was found on the way.
pub(super) enum Found {
    Conversation(Box<Imported>),
    /// One that could not be read.
    Refused {
        file: String,
        /// From 1.
        item: u64,
        title: String,
        why: String,
    },
    /// A file, or the rest of it, that holds none, or could not be read.
    Left {
        file: String,
        why: String,
    },
    /// A file of another kind, in an archive or folder.
    Other,
    /// The file that was named is one object, not a list, an archive or a folder.
    Single,
    /// Bytes so far, and those there are where it is known.
    Read {
        bytes: u64,
        of: Option<u64>,
    },
}

/// Why nobody reads on: the receiver is gone, or a limit was reached.
struct Stopped;

/// Reads all of it; ends early where the receiver is gone.
pub(super) fn walk(path: &Path, limits: &Limits, sender: &Sender<Found>) {
    let mut walk = Walk { limits, sender, bytes: 0, of: None, files: 0 };
    // Either it is done, or what stopped it was told.
    let _ = walk.start(path);
}

struct Walk<'a> {
    limits: &'a Limits,
    sender: &'a Sender<Found>,
    bytes: u64,
    of: Option<u64>,
    files: u32,
}

impl Walk<'_> {
    fn tell(&self, found: Found) -> Result<(), Stopped> {
        self.sender.blocking_send(found).map_err(|_| Stopped)
    }

    fn left(&self, file: &str, why: impl std::fmt::Display) -> Result<(), Stopped> {
        self.tell(Found::Left { file: file.to_owned(), why: why.to_string() })
    }

    fn start(&mut self, path: &Path) -> Result<(), Stopped> {
        let name = path.display().to_string();
        if path.as_os_str() == "-" {
            let mut input = io::stdin().lock();
            return match head(&mut input) {
                Ok(head) if is_archive(&head) => self.left("-", "an archive cannot be read from stdin: name its file"),
                Ok(head) => self.file("-", head, &mut input, None, true),
                Err(error) => self.left("-", error),
            };
        }
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => self.folder(path),
            Ok(_) => self.path(path, &name, true),
            Err(error) => self.left(&name, error),
        }
    }

    fn folder(&mut self, folder: &Path) -> Result<(), Stopped> {
        let mut folders: Vec<(PathBuf, usize)> = vec![(folder.to_path_buf(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    self.left(&folder.display().to_string(), error)?;
                    continue;
                }
            };
            let mut paths: Vec<(PathBuf, std::fs::FileType)> = entries
                .flatten()
                .filter_map(|entry| Some((entry.path(), entry.file_type().ok()?)))
                .take(self.limits.import_files as usize)
                .collect();
            paths.sort_by(|a, b| a.0.cmp(&b.0));
            let mut inner = Vec::new();
            for (path, kind) in paths {
                if kind.is_dir() && depth < DEEPEST {
                    inner.push((path, depth + 1));
                } else if kind.is_file() {
                    let name = path.display().to_string();
                    self.count(&name)?;
                    self.path(&path, &name, false)?;
                }
            }
            folders.extend(inner.into_iter().rev());
        }
        Ok(())
    }

    fn count(&mut self, name: &str) -> Result<(), Stopped> {
        self.files += 1;
        if self.files > self.limits.import_files {
            let most = self.limits.import_files;
            self.left(name, format!("more than {most} files are not looked at (limit import_files)"))?;
            return Err(Stopped);
        }
        Ok(())
    }

    /// A file on the disk. `named`: the one that was asked for.
    fn path(&mut self, path: &Path, name: &str, named: bool) -> Result<(), Stopped> {
        let opened = File::open(path).and_then(|mut file| head(&mut file).map(|head| (file, head)));
        let (mut file, head) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.left(name, error),
        };
        if !is_archive(&head) {
            let size = file.metadata().ok().map(|meta| meta.len());
            self.of = if named { size } else { None };
            return self.file(name, head, &mut file, None, named);
        }
        match file
            .rewind()
            .map_err(zip::result::ZipError::from)
            .and_then(|()| zip::ZipArchive::new(BufReader::new(file)))
        {
            Ok(archive) => self.archive(name, archive),
            Err(error) => self.left(name, format!("the archive cannot be read: {error}")),
        }
    }

    fn archive(&mut self, name: &str, mut archive: zip::ZipArchive<BufReader<File>>) -> Result<(), Stopped> {
        for place in 0..archive.len() {
            self.count(name)?;
            let mut entry = match archive.by_index(place) {
                Ok(entry) if entry.is_file() => entry,
                Ok(_) => continue,
                Err(error) => {
                    self.left(&format!("{name}: file {}", place + 1), error)?;
                    continue;
                }
            };
            let inside =
                entry.name().map_or_else(|_| format!("{name}: file {}", place + 1), |inside| inside.into_owned());
            let most = entry.compressed_size().saturating_mul(u64::from(self.limits.import_ratio)).max(SMALL);
            match head(&mut entry) {
                Ok(head) => self.file(&inside, head, &mut entry, Some(most), false)?,
                Err(error) => self.left(&inside, error)?,
            }
        }
        Ok(())
    }

    /// `head` was read already. `packed`: how large it may be for its size in the archive.
    fn file(
        &mut self,
        name: &str,
        head: Vec<u8>,
        rest: &mut dyn Read,
        packed: Option<u64>,
        named: bool,
    ) -> Result<(), Stopped> {
        let first =
            head.iter().copied().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf));
        if !named && !matches!(first, Some(b'{' | b'[')) {
            return self.tell(Found::Other);
        }
        if named && first == Some(b'{') {
            self.tell(Found::Single)?;
        }
        let mut reading = Reading { elements: Elements::new(self.limits.import), item: 0, strangers: 0, others: 0 };
        let mut chunk = head;
        let mut size = 0_u64;
        let ended = loop {
            size += chunk.len() as u64;
            self.bytes += chunk.len() as u64;
            self.tell(Found::Read { bytes: self.bytes, of: self.of })?;
            if packed.is_some_and(|most| size > most) {
                let times = self.limits.import_ratio;
                break Err(format!("it is packed more than {times} times as tightly (limit import_ratio)"));
            }
            if self.bytes > self.limits.import_total {
                let most = self.limits.import_total >> 20;
                self.left(name, format!("more than {most} MiB are not read (limit import_total)"))?;
                return Err(Stopped);
            }
            let mut found = Vec::new();
            let pushed = reading.elements.push(&chunk, &mut found);
            for element in found {
                self.element(name, element, &mut reading)?;
            }
            if let Err(broken) = pushed {
                break Err(broken.to_string());
            }
            chunk.resize(CHUNK, 0);
            match rest.read(&mut chunk) {
                Ok(0) => break reading.elements.finish().map_err(|broken| broken.to_string()),
                Ok(read) => chunk.truncate(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => chunk.clear(),
                Err(error) => break Err(error.to_string()),
            }
        };
        match ended {
            Err(why) => self.left(name, why),
            Ok(()) if reading.others == 0 && (named || reading.strangers > 0) => {
                self.left(name, "it holds no conversations")
            }
            Ok(()) if reading.strangers > 0 => {
                self.left(name, format!("{} objects in it are no conversations", reading.strangers))
            }
            Ok(()) => Ok(()),
        }
    }

    fn element(&mut self, file: &str, element: Element, reading: &mut Reading) -> Result<(), Stopped> {
        reading.item += 1;
        let item = reading.item;
        let refused = |title: String, why: String| Found::Refused { file: file.to_owned(), item, title, why };
        let bytes = match element {
            Element::Whole(bytes) => bytes,
            Element::TooLarge(size) => {
                reading.others += 1;
                let most = self.limits.import >> 20;
                let why = format!("it has {} MiB, and is larger than {most} MiB (limit import)", size >> 20);
                return self.tell(refused(String::new(), why));
            }
        };
        for read in formats::read(&bytes) {
            match read {
                Ok(imported) => {
                    reading.others += 1;
                    self.tell(Found::Conversation(Box::new(imported)))?;
                }
                Err(unread) if matches!(unread.error, ItemError::Unknown) => reading.strangers += 1,
                Err(unread) => {
                    reading.others += 1;
                    self.tell(refused(unread.title, unread.error.to_string()))?;
                }
            }
        }
        Ok(())
    }
}

struct Reading {
    elements: Elements,
    item: u64,
    /// Objects that are no conversations.
    strangers: u64,
    /// Those that are, or were meant to be.
    others: u64,
}

/// The first bytes; fewer where there are no more.
fn head(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    from.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn is_archive(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}
