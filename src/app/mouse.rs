//! The mouse: wheel and clicks become commands. It never approves.

use super::blocks::Spot;
use super::command::Command;
use super::effect::Effect;
use super::key::{Key, KeyCode, Mouse, MouseAction};
use super::layout::Target;
use super::overlay::{Detail, Overlay};
use super::state::{Focus, State};

/// Lines a notch of the wheel moves.
const WHEEL: isize = 3;

impl State {
    pub(super) fn mouse(&mut self, mouse: Mouse, out: &mut Vec<Effect>) {
        match mouse.action {
            MouseAction::WheelUp => self.wheel(-WHEEL, mouse, out),
            MouseAction::WheelDown => self.wheel(WHEEL, mouse, out),
            MouseAction::Press => {
                if self.press(mouse) {
                    return;
                }
                let hit = self.layout.targets.iter().rev().find(|(area, _)| area.contains(mouse.x, mouse.y));
                if let Some((_, target)) = hit {
                    let target = target.clone();
                    self.click(target, out);
                }
            }
            MouseAction::Drag => self.drag(mouse),
            MouseAction::Release => self.release(out),
        }
    }

    fn wheel(&mut self, by: isize, mouse: Mouse, out: &mut Vec<Effect>) {
        if let Some(mut overlay) = self.overlays.pop() {
            let depth = self.overlays.len();
            overlay.wheel(by, self, out);
            self.restore(depth, overlay);
            return;
        }
        let over_panel = self
            .layout
            .targets
            .iter()
            .any(|(area, target)| *target == Target::Panel && area.contains(mouse.x, mouse.y));
        if over_panel && self.focus == Focus::Panel {
            self.panel.step(by.signum());
        } else {
            self.scroll_lines(by);
        }
    }

    fn click(&mut self, target: Target, out: &mut Vec<Effect>) {
        if self.overlays.last().is_some_and(Overlay::is_modal) {
            return;
        }
        match target {
            Target::Row(row) => {
                let Some(mut overlay) = self.overlays.pop() else { return };
                let depth = self.overlays.len();
                let chosen = overlay.choose(row, self, out);
                self.restore(depth, overlay);
                if chosen {
                    // A second click on the chosen row opens it, as enter does.
                    out.extend(super::update(
                        self,
                        crate::chat::Stamped { at: self.now, body: super::Event::Key(Key::plain(KeyCode::Enter)) },
                    ));
                }
            }
            Target::Overlay => {}
            _ if !self.overlays.is_empty() => {}
            Target::Composer => self.focus = Focus::Composer,
            Target::Transcript => self.focus = Focus::Transcript,
            Target::Entry(key) => {
                self.focus = Focus::Transcript;
                self.transcript.choose(Some(Spot { key, block: None }));
            }
            Target::Block(spot) => {
                let again = self.focus == Focus::Transcript && self.transcript.chosen() == Some((spot, spot));
                self.focus = Focus::Transcript;
                self.transcript.choose(Some(spot));
                if again {
                    // A click on what is chosen folds it, as enter does.
                    self.folds_when_released();
                }
            }
            Target::Fold(key) => self.fold_entry(key),
            Target::Call(id) => {
                if self.panel.rows.contains(&id) {
                    self.panel.selected = Some(id.clone());
                }
                if self.calls.waiting().any(|call| call.id == id) {
                    self.open_review_of(&id);
                } else {
                    self.overlays.push(Overlay::Detail(Detail::new(id)));
                }
            }
            Target::Panel => {
                if self.focus != Focus::Panel {
                    self.panel.enter(&self.calls);
                    self.focus = Focus::Panel;
                }
            }
            Target::Follow => self.perform(Command::Follow, out),
        }
    }
}
