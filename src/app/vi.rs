//! The composer's keys as vi has them: a small, exact part of it.
//!
//! Inserting, every key is as without it, but esc. Commanding: `h j k l w b e 0 ^ $ gg G`, `i a I A o O`, `x X D C S`,
//! `d c y` with a motion or doubled, `p P`, `u` and ctrl+r for undo and redo where the text is not empty. Enter sends,
//! esc is the program's esc.

use tui_textarea::{CursorMove, TextArea};

use super::composer::Composer;
use super::key::{Key, KeyCode};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vi {
    #[default]
    Insert,
    Command(Pending),
}

/// What was pressed of a command of several keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pending {
    #[default]
    Nothing,
    Operator(Operator),
    /// `g`
    Go,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Delete,
    Change,
    Yank,
}

impl Composer {
    pub(super) fn use_vi(&mut self, on: bool) {
        self.vi = on.then(Vi::default);
    }

    /// Takes a key where vi's keys hold; false where it is the program's.
    pub(super) fn vi_key(&mut self, key: Key) -> bool {
        let Some(mode) = self.vi else { return false };
        let plain = !key.mods.ctrl && !key.mods.alt;
        match mode {
            Vi::Insert => {
                let leaves = key.code == KeyCode::Esc && plain && self.completion.is_none() && !self.is_empty();
                if leaves {
                    self.vi = Some(Vi::Command(Pending::Nothing));
                    if self.area.cursor().1 > 0 {
                        self.area.move_cursor(CursorMove::Back);
                    }
                }
                leaves
            }
            Vi::Command(pending) => {
                let KeyCode::Char(c) = key.code else {
                    self.vi = Some(Vi::Command(Pending::Nothing));
                    return false;
                };
                if key.mods.ctrl && c == 'r' && !self.is_empty() {
                    self.area.redo();
                    return true;
                }
                if !plain {
                    return false;
                }
                let next = match pending {
                    Pending::Nothing => self.vi_command(c),
                    Pending::Go => {
                        if c == 'g' {
                            self.area.move_cursor(CursorMove::Top);
                        }
                        Vi::Command(Pending::Nothing)
                    }
                    Pending::Operator(operator) => self.vi_operate(operator, c),
                };
                // On an empty line a command would be a puzzle: writing goes on.
                self.vi = Some(if self.is_empty() { Vi::Insert } else { next });
                true
            }
        }
    }

    fn vi_command(&mut self, c: char) -> Vi {
        let area = &mut self.area;
        match c {
            'i' => return Vi::Insert,
            'a' => {
                area.move_cursor(CursorMove::Forward);
                return Vi::Insert;
            }
            'I' => {
                area.move_cursor(CursorMove::Head);
                return Vi::Insert;
            }
            'A' => {
                area.move_cursor(CursorMove::End);
                return Vi::Insert;
            }
            'o' => {
                area.move_cursor(CursorMove::End);
                area.insert_newline();
                return Vi::Insert;
            }
            'O' => {
                area.move_cursor(CursorMove::Head);
                area.insert_newline();
                area.move_cursor(CursorMove::Up);
                return Vi::Insert;
            }
            'x' => drop(area.delete_next_char()),
            'X' => drop(area.delete_char()),
            'D' => drop(area.delete_line_by_end()),
            'C' => {
                area.delete_line_by_end();
                return Vi::Insert;
            }
            'S' => return self.vi_operate(Operator::Change, 'c'),
            'p' => {
                area.move_cursor(CursorMove::Forward);
                area.paste();
            }
            'P' => drop(area.paste()),
            'u' => drop(area.undo()),
            'd' => return Vi::Command(Pending::Operator(Operator::Delete)),
            'c' => return Vi::Command(Pending::Operator(Operator::Change)),
            'y' => return Vi::Command(Pending::Operator(Operator::Yank)),
            'g' => return Vi::Command(Pending::Go),
            'j' => area.move_cursor(CursorMove::Down),
            'k' => area.move_cursor(CursorMove::Up),
            _ => {
                if let Some((motion, _)) = motion(c) {
                    area.move_cursor(motion);
                }
            }
        }
        Vi::Command(Pending::Nothing)
    }

    fn vi_operate(&mut self, operator: Operator, c: char) -> Vi {
        let doubled =
            matches!((operator, c), (Operator::Delete, 'd') | (Operator::Change, 'c') | (Operator::Yank, 'y'));
        let area = &mut self.area;
        if doubled {
            area.move_cursor(CursorMove::Head);
            area.start_selection();
            area.move_cursor(CursorMove::End);
            let alone = area.lines().len() == 1 || operator != Operator::Delete;
            finish(area, operator);
            if !alone {
                // The line itself goes too: with the end of the one before, or its own.
                if area.cursor().0 == 0 {
                    area.delete_next_char();
                } else {
                    area.delete_char();
                }
            }
        } else if let Some((motion, inclusive)) = motion(c) {
            // vi's own exception: what is changed is the word, not the blank behind it.
            let motion = if operator == Operator::Change && c == 'w' { CursorMove::WordEnd } else { motion };
            area.start_selection();
            area.move_cursor(motion);
            if inclusive || (operator == Operator::Change && c == 'w') {
                area.move_cursor(CursorMove::Forward);
            }
            finish(area, operator);
        }
        if operator == Operator::Change { Vi::Insert } else { Vi::Command(Pending::Nothing) }
    }
}

/// Where a motion goes, and whether an operator takes the character that it ends on.
fn motion(c: char) -> Option<(CursorMove, bool)> {
    Some(match c {
        'h' => (CursorMove::Back, false),
        'l' | ' ' => (CursorMove::Forward, false),
        'w' => (CursorMove::WordForward, false),
        'b' => (CursorMove::WordBack, false),
        'e' => (CursorMove::WordEnd, true),
        '0' | '^' => (CursorMove::Head, false),
        '$' => (CursorMove::End, false),
        'G' => (CursorMove::Bottom, false),
        _ => return None,
    })
}

fn finish(area: &mut TextArea<'static>, operator: Operator) {
    match operator {
        Operator::Delete | Operator::Change => {
            if !area.cut() {
                area.cancel_selection();
            }
        }
        Operator::Yank => {
            let start = area.selection_range().map(|(start, _)| start);
            area.copy();
            area.cancel_selection();
            if let Some((row, column)) = start {
                let cell = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
                area.move_cursor(CursorMove::Jump(cell(row), cell(column)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::desk;
    use super::*;

    #[track_caller]
    fn check(keys: &str, expect: &str) {
        let mut desk = desk();
        desk.state.composer.use_vi(true);
        desk.keys(keys);
        assert_eq!(desk.text(), expect, "{keys}");
    }

    #[test]
    fn words_lines_and_ends_are_changed() {
        check("one two<esc>bx", "one wo");
        check("one two<esc>0dw", "two");
        check("one two three<esc>0wcwTWO", "one TWO three");
        check("one two<esc>0de", " two");
        check("one two<esc>0D", "");
        check("one two<esc>0lC!", "o!");
        check("one<esc>ix", "onxe");
        check("one<esc>Ix<esc>Ay", "xoney");
        check("a<ctrl+j>b<esc>dd", "a");
        check("a<ctrl+j>b<esc>ggdd", "b");
        check("a<esc>ob<esc>Oc", "a\nc\nb");
        check("one<esc>ccx", "x");
        check("ab<esc>0ylp", "aab");
        check("abc<esc>xu", "abc");
        check("abc<esc>xu<ctrl+r>", "ab");
    }

    #[test]
    fn esc_leaves_inserting_first_and_is_esc_again_then() {
        let mut desk = desk();
        desk.state.composer.use_vi(true);
        desk.ask("hi");
        desk.keys("text<esc>");
        assert!(desk.orders().is_empty());
        assert_eq!(desk.state.composer.vi, Some(Vi::Command(Pending::Nothing)));
        desk.keys("<esc>");
        assert!(!desk.orders().is_empty(), "the answer is stopped");
    }

    #[test]
    fn enter_sends_and_writing_begins_anew() {
        let mut desk = desk();
        desk.state.composer.use_vi(true);
        desk.keys("hello<esc><enter>");
        assert_eq!(desk.text(), "");
        assert_eq!(desk.state.composer.vi, Some(Vi::Insert));
    }

    #[test]
    fn without_it_letters_are_letters() {
        let mut desk = desk();
        desk.keys("dd<esc>x");
        assert_eq!(desk.text(), "ddx");
    }
}
