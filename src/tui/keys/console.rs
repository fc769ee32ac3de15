//! The console of systems that tell keys as records: the terminal library reads it, and asks nothing of it.

use std::io;

use crossterm::event::{
    Event as Terminal, EventStream, KeyCode as Code, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
};
use futures_util::{FutureExt as _, StreamExt as _};

use super::parse::Input;
use crate::app::{Event, Key, KeyCode, Mods, Mouse, MouseAction, Size};

/// The keys of the console, until it is dropped; then somebody else may read them.
#[derive(Debug)]
pub(in crate::tui) struct Keys(EventStream);

impl Keys {
    /// # Errors
    /// None here.
    pub(in crate::tui) fn open() -> io::Result<Self> {
        Ok(Self(EventStream::new()))
    }

    /// The next input; None where the console can be read no more.
    pub(in crate::tui) async fn next(&mut self) -> Option<io::Result<Input>> {
        loop {
            match self.0.next().await? {
                Ok(read) => {
                    if let Some(event) = event(read) {
                        return Some(Ok(Input::Event(event)));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// One that has come already.
    pub(in crate::tui) fn ready(&mut self) -> Option<io::Result<Input>> {
        let read = self.0.next().now_or_never()??;
        read.map(|read| event(read).map(Input::Event)).transpose()
    }
}

/// None for what means nothing here (key releases, unknown keys, mouse motion).
fn event(event: Terminal) -> Option<Event> {
    Some(match event {
        Terminal::Key(event) => Event::Key(key(event)?),
        Terminal::Paste(text) => Event::Paste(text),
        Terminal::Resize(columns, rows) => Event::Resize(Size { columns, rows }),
        Terminal::FocusGained => Event::FocusGained,
        Terminal::FocusLost => Event::FocusLost,
        Terminal::Mouse(event) => {
            let action = match event.kind {
                MouseEventKind::Down(MouseButton::Left) => MouseAction::Press,
                MouseEventKind::Drag(MouseButton::Left) => MouseAction::Drag,
                MouseEventKind::Up(MouseButton::Left) => MouseAction::Release,
                MouseEventKind::ScrollUp => MouseAction::WheelUp,
                MouseEventKind::ScrollDown => MouseAction::WheelDown,
                MouseEventKind::Down(_)
                | MouseEventKind::Drag(_)
                | MouseEventKind::Up(_)
                | MouseEventKind::Moved
                | MouseEventKind::ScrollLeft
                | MouseEventKind::ScrollRight => return None,
            };
            Event::Mouse(Mouse { x: event.column, y: event.row, action })
        }
    })
}

fn key(event: KeyEvent) -> Option<Key> {
    let mut mods = Mods {
        ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
        alt: event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::META),
        shift: event.modifiers.contains(KeyModifiers::SHIFT),
    };
    let code = match event.code {
        Code::Char(c) => KeyCode::Char(c),
        Code::Enter => KeyCode::Enter,
        Code::Esc => KeyCode::Esc,
        Code::Tab => KeyCode::Tab,
        Code::BackTab => {
            mods.shift = true;
            KeyCode::Tab
        }
        Code::Backspace => KeyCode::Backspace,
        Code::Delete => KeyCode::Delete,
        Code::Insert => KeyCode::Insert,
        Code::Left => KeyCode::Left,
        Code::Right => KeyCode::Right,
        Code::Up => KeyCode::Up,
        Code::Down => KeyCode::Down,
        Code::Home => KeyCode::Home,
        Code::End => KeyCode::End,
        Code::PageUp => KeyCode::PageUp,
        Code::PageDown => KeyCode::PageDown,
        Code::F(n) => KeyCode::F(n),
        Code::Null
        | Code::CapsLock
        | Code::ScrollLock
        | Code::NumLock
        | Code::PrintScreen
        | Code::Pause
        | Code::Menu
        | Code::KeypadBegin
        | Code::Media(_)
        | Code::Modifier(_) => return None,
    };
    let repeat = match event.kind {
        KeyEventKind::Press => false,
        KeyEventKind::Repeat => true,
        // Windows sends these always; a key acts when it goes down.
        KeyEventKind::Release => return None,
    };
    Some(Key { repeat, ..Key::new(code, mods) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: Code, modifiers: KeyModifiers, expect: &str) {
        assert_eq!(key(KeyEvent::new(code, modifiers)).unwrap().to_string(), expect);
    }

    #[test]
    fn keys_get_their_own_names() {
        check(Code::Char('t'), KeyModifiers::CONTROL, "ctrl+t");
        check(Code::BackTab, KeyModifiers::NONE, "shift+tab");
        check(Code::Char('A'), KeyModifiers::SHIFT, "A");
        check(Code::Enter, KeyModifiers::ALT, "alt+enter");
        check(Code::Char('7'), KeyModifiers::CONTROL, "ctrl+_");
    }

    #[test]
    fn releases_are_nothing_and_repeats_are_known() {
        let release = KeyEvent::new_with_kind(Code::Char('y'), KeyModifiers::NONE, KeyEventKind::Release);
        assert_eq!(key(release), None);
        let repeat = KeyEvent::new_with_kind(Code::Char('y'), KeyModifiers::NONE, KeyEventKind::Repeat);
        assert!(key(repeat).unwrap().repeat);
    }
}
