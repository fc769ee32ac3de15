//! The objects of a JSON file, one after the other, while it is read: of a list, of one object alone, or of several in
//! a row, as lines of JSON are.
//!
//! # Invariants
//! - Holds at most one object, and of that no more than its limit.
//! - Looks at strings and brackets alone: an object that is no JSON inside is handed on, and those behind it are found.

use memchr::memchr2;

/// One object as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    Whole(Vec<u8>),
    /// Larger than the limit: how many bytes it had.
    TooLarge(u64),
}

/// Why nothing more can be read of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("it is not JSON")]
    NotJson,
    #[error("it ends within an object: it is cut")]
    Cut,
    #[error("something stands where an object should begin")]
    Strange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    /// Of a list, before an element or a comma.
    Between,
    /// Of objects in a row.
    Row,
    Inside,
    Done,
}

/// Takes a file apart.
#[derive(Debug)]
pub struct Elements {
    place: Place,
    /// Whether what is read is a list.
    list: bool,
    depth: u64,
    in_string: bool,
    escaped: bool,
    held: Vec<u8>,
    /// Bytes of the current element, held or not.
    size: u64,
    most: u64,
    /// Of a byte order mark.
    mark: usize,
}

const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl Elements {
    /// `most`: bytes of the largest element that is held.
    #[must_use]
    pub fn new(most: u64) -> Self {
        Self {
            place: Place::Start,
            list: false,
            depth: 0,
            in_string: false,
            escaped: false,
            held: Vec::new(),
            size: 0,
            most,
            mark: 0,
        }
    }

    /// Takes the next bytes; adds the elements that ended in them.
    ///
    /// # Errors
    /// Where nothing more can be found in the file.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Element>) -> Result<(), Broken> {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            if self.place == Place::Inside {
                let taken = self.inside(rest, out);
                rest = &rest[taken..];
                continue;
            }
            rest = &rest[1..];
            match (self.place, byte) {
                (Place::Start, byte) if self.mark < MARK.len() && byte == MARK[self.mark] => self.mark += 1,
                (_, b' ' | b'\t' | b'\r' | b'\n') => {}
                (Place::Start, b'[') => (self.place, self.list) = (Place::Between, true),
                (Place::Start | Place::Row | Place::Between, b'{') => self.begin(byte),
                (Place::Start, _) => return Err(Broken::NotJson),
                // Closers too many belong to a broken object before them.
                (Place::Between, b',' | b'}') => {}
                (Place::Done, b',') if self.list => self.place = Place::Between,
                (Place::Between, b']') => self.place = Place::Done,
                // A bare value, or something broken: it is told of as one that is no object.
                (Place::Between, b'"' | b'[' | b'-' | b'0'..=b'9' | b'a'..=b'z') => self.begin(byte),
                (Place::Between | Place::Row | Place::Done | Place::Inside, _) => return Err(Broken::Strange),
            }
        }
        Ok(())
    }

    /// Says that no more bytes will come.
    ///
    /// # Errors
    /// Where the file ended too early.
    pub fn finish(&self) -> Result<(), Broken> {
        match self.place {
            Place::Start => Err(Broken::NotJson),
            Place::Row | Place::Done => Ok(()),
            Place::Between | Place::Inside => Err(Broken::Cut),
        }
    }

    fn begin(&mut self, first: u8) {
        self.place = Place::Inside;
        self.size = 0;
        self.held.clear();
        self.depth = u64::from(matches!(first, b'{' | b'['));
        self.in_string = first == b'"';
        self.escaped = false;
        self.keep(&[first]);
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if self.size <= self.most {
            self.held.extend_from_slice(bytes);
        } else {
            self.held = Vec::new();
        }
    }

    /// Reads on within an element; returns how many bytes that took.
    fn inside(&mut self, bytes: &[u8], out: &mut Vec<Element>) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string {
                if self.escaped {
                    self.escaped = false;
                    at += 1;
                    continue;
                }
                match memchr2(b'"', b'\\', &bytes[at..]) {
                    None => at = bytes.len(),
                    Some(found) => {
                        at += found + 1;
                        self.escaped = bytes[at - 1] == b'\\';
                        self.in_string = self.escaped;
                        // A bare string is over with it.
                        if !self.in_string && self.depth == 0 {
                            self.keep(&bytes[..at]);
                            self.end(out);
                            return at;
                        }
                    }
                }
                continue;
            }
            match bytes[at] {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' | b',' if self.depth == 0 => {
                    // Behind a bare value: not its own.
                    self.keep(&bytes[..at]);
                    self.end(out);
                    return at;
                }
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.keep(&bytes[..=at]);
                        self.end(out);
                        return at + 1;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        self.keep(bytes);
        bytes.len()
    }

    fn end(&mut self, out: &mut Vec<Element>) {
        self.place = if self.list { Place::Between } else { Place::Row };
        let held = std::mem::take(&mut self.held);
        out.push(if self.size <= self.most { Element::Whole(held) } else { Element::TooLarge(self.size) });
    }
}
