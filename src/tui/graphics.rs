//! Pictures of the terminal, by the graphics protocol of kitty with its placeholders: the one place that writes them.
//!
//! The cells of a picture are ordinary text in the frame (`ui::pictures`), so they scroll, are covered and go like any
//! other; here the terminal is only told once what they stand for. PNG goes as it is: nothing is decoded here.
//!
//! # Invariants
//! - What is sent between the signs is numbers of our own and base64, checked letter by letter.
//! - A picture is sent once, and again where the terminal may have forgotten it; at most [`KEPT`] are held there.
//!
//! # Does not
//! Fetch anything; draw other kinds than PNG; write through a multiplexer.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::app::State;
use crate::ui::{Picture, picture_data};

/// The most of base64 in one sequence.
const CHUNK: usize = 4_096;
/// Pictures that the terminal holds at once; then those that are not on the screen are taken away.
const KEPT: usize = 32;

/// What the terminal knows.
#[derive(Debug, Default)]
pub(super) struct Graphics {
    /// By their numbers, with the cells that each was fitted into.
    sent: HashMap<u32, (u16, u16)>,
}

impl Graphics {
    /// What is to be written before a frame with these pictures; nothing where the terminal knows them all.
    pub(super) fn tell(&mut self, pictures: &[Picture], state: &State) -> String {
        let mut out = String::new();
        for picture in pictures {
            let cells = (picture.columns, picture.rows);
            match self.sent.get(&picture.number) {
                Some(known) if *known == cells => continue,
                Some(_) => place(picture, &mut out),
                None => {
                    let Some(data) = picture_data(state, picture) else { continue };
                    if !send(picture, &data, &mut out) {
                        continue;
                    }
                }
            }
            self.sent.insert(picture.number, cells);
        }
        if self.sent.len() > KEPT {
            let shown = |number: &u32| pictures.iter().any(|picture| picture.number == *number);
            let gone: Vec<u32> = self.sent.keys().copied().filter(|number| !shown(number)).collect();
            for number in gone {
                self.sent.remove(&number);
                delete(number, &mut out);
            }
        }
        out
    }

    /// Takes all of them away from the terminal.
    pub(super) fn clear(&mut self) -> String {
        let mut out = String::new();
        for (number, _) in self.sent.drain() {
            delete(number, &mut out);
        }
        out
    }
}

/// False where the data is no base64.
fn send(picture: &Picture, data: &str, out: &mut String) -> bool {
    if data.is_empty() || !data.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')) {
        return false;
    }
    let Picture { number, columns, rows, .. } = picture;
    let mut rest = data;
    let mut first = true;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rest.len().min(CHUNK));
        rest = after;
        let more = u8::from(!rest.is_empty());
        if first {
            // Answers would come among the keys: q=2 asks for none, not of errors either.
            let _ = write!(out, "\x1b_Ga=T,U=1,f=100,t=d,q=2,i={number},c={columns},r={rows},m={more};{chunk}\x1b\\");
        } else {
            let _ = write!(out, "\x1b_Gq=2,m={more};{chunk}\x1b\\");
        }
        first = false;
    }
    true
}

fn place(picture: &Picture, out: &mut String) {
    let Picture { number, columns, rows, .. } = picture;
    let _ = write!(out, "\x1b_Ga=p,U=1,q=2,i={number},c={columns},r={rows}\x1b\\");
}

fn delete(number: u32, out: &mut String) {
    let _ = write!(out, "\x1b_Ga=d,d=I,q=2,i={number}\x1b\\");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Entry, EntryBody, Session};
    use crate::chat::Part;
    use crate::ui::PictureOf;

    fn state(data: &str) -> State {
        let mut state = State::new(Session::default());
        let image = Part::Image { name: "x.png".into(), mime: "image/png".into(), data: data.into() };
        let body = EntryBody::User(vec![image]);
        state.transcript.entries.push(Entry { key: 1, revision: 0, at: 0, message: None, body });
        state
    }

    fn picture(number: u32, columns: u16) -> Picture {
        Picture { number, columns, rows: 4, of: PictureOf::Attached { key: 1, part: 0 } }
    }

    #[test]
    fn a_picture_is_sent_once_in_pieces_and_placed_again_for_another_size() {
        let data = "iVBO".repeat(3_000);
        let state = state(&data);
        let mut graphics = Graphics::default();
        let sent = graphics.tell(&[picture(7, 10)], &state);
        let pieces: Vec<&str> = sent.split("\x1b\\").filter(|piece| !piece.is_empty()).collect();
        assert_eq!(pieces.len(), 3);
        assert!(pieces[0].starts_with("\x1b_Ga=T,U=1,f=100,t=d,q=2,i=7,c=10,r=4,m=1;"), "{:?}", &pieces[0][..60]);
        assert!(pieces[2].starts_with("\x1b_Gq=2,m=0;"));
        let joined: String = pieces.iter().filter_map(|piece| piece.split_once(';')).map(|(_, data)| data).collect();
        assert_eq!(joined, data);
        assert_eq!(graphics.tell(&[picture(7, 10)], &state), "", "it is known");
        assert_eq!(graphics.tell(&[picture(7, 12)], &state), "\x1b_Ga=p,U=1,q=2,i=7,c=12,r=4\x1b\\");
        assert_eq!(graphics.clear(), "\x1b_Ga=d,d=I,q=2,i=7\x1b\\");
        assert!(!graphics.tell(&[picture(7, 12)], &state).is_empty(), "it was taken away");
    }

    #[test]
    fn what_is_no_base64_is_not_sent() {
        for data in ["", "iVBO\x1b\\\x1b[2J", "iVBO;", "iV BO", "iVBO\u{9c}"] {
            assert_eq!(Graphics::default().tell(&[picture(7, 10)], &state(data)), "", "{data:?}");
        }
    }

    #[test]
    fn the_terminal_holds_a_bounded_number() {
        let state = state("iVBO");
        let mut graphics = Graphics::default();
        for number in 0..100 {
            graphics.tell(&[picture(number, 10)], &state);
            assert!(graphics.sent.len() <= KEPT + 1);
        }
    }
}
