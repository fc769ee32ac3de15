//! The library that is preloaded (`shim.c`), made by the C compiler that the build needs anyway, and what it wrote down.

use super::*;

/// The library, made once.
fn library() -> &'static Path {
    static MADE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("shim.c"), folder.path().join("shim.so"));
        std::fs::write(&source, include_str!("shim.c")).unwrap();
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let made = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .args(["-ldl", "-lpthread"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        (folder, library)
    });
    library
}

/// Runs with the library, which watches what is below a folder.
pub(super) fn preload(command: &mut Command, root: &Path) {
    command.env("LD_PRELOAD", library()).env("MILLRACE_SHIM_ROOT", root);
}

/// One thing that happened, in the order in which it did.
pub(super) enum Record {
    Write {
        file: u32,
        at: usize,
        data: Vec<u8>,
    },
    Truncate {
        file: u32,
        to: usize,
    },
    Make(u32),
    Remove(u32),
    SyncBegan {
        file: u32,
        id: u64,
    },
    Synced {
        id: u64,
    },
    SyncFailed {
        id: u64,
    },
    /// Went to standard output.
    Said(String),
    /// A request left for the model.
    Asked,
    /// Went to a server.
    Called(String),
}

pub(super) struct Trace {
    pub(super) records: Vec<Record>,
    pub(super) files: HashMap<u32, PathBuf>,
}

impl Trace {
    pub(super) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let (mut records, mut files) = (Vec::new(), HashMap::new());
        let mut rest = bytes.as_slice();
        while let Some((head, more)) = rest.split_at_checked(21) {
            let file = u32::from_ne_bytes(head[1..5].try_into().unwrap());
            let at = u64::from_ne_bytes(head[5..13].try_into().unwrap());
            let length = u64::from_ne_bytes(head[13..21].try_into().unwrap()) as usize;
            // The last record of a program that was killed may be cut.
            let Some((data, more)) = more.split_at_checked(length) else { break };
            rest = more;
            let text = || String::from_utf8_lossy(data).into_owned();
            records.push(match head[0] {
                b'N' => {
                    files.insert(file, PathBuf::from(text()));
                    continue;
                }
                b'w' => Record::Write { file, at: at as usize, data: data.to_vec() },
                b't' => Record::Truncate { file, to: at as usize },
                b'c' => Record::Make(file),
                b'u' => Record::Remove(file),
                b'b' => Record::SyncBegan { file, id: at },
                b's' => Record::Synced { id: at },
                b'f' => Record::SyncFailed { id: at },
                b'O' => Record::Said(text()),
                b'R' => Record::Asked,
                b'C' => Record::Called(text()),
                other => panic!("a record of kind {other}"),
            });
        }
        Self { records, files }
    }
}
