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
                self.transcript.dragged = false;
                let hit = self.layout.targets.iter().rev().find(|(area, _)| area.contains(mouse.x, mouse.y));
                if let Some((_, target)) = hit {
                    let target = target.clone();
                    self.click(target, out);
                }
            }
            MouseAction::Drag => self.drag(mouse),
            MouseAction::Release => {
                if std::mem::take(&mut self.transcript.dragged) {
                    self.copy_chosen(out);
                }
            }
        }
    }

    /// Chooses all blocks between the one that was pressed and the one under the pointer; at the edge the text moves.
    fn drag(&mut self, mouse: Mouse) {
        let area = self.layout.transcript.area;
        if !self.overlays.is_empty() || self.focus != Focus::Transcript || self.transcript.selected.is_none() {
            return;
        }
        if mouse.y <= area.y {
            self.scroll_lines(-1);
        } else if mouse.y + 1 >= area.y + area.height && !self.layout.transcript.at_end {
            self.scroll_lines(1);
        }
        let under = self.layout.targets.iter().rev().find_map(|(area, target)| match target {
            Target::Block(spot) if area.contains(mouse.x, mouse.y) => Some(*spot),
            Target::Entry(key) if area.contains(mouse.x, mouse.y) => Some(Spot { key: *key, block: None }),
            _ => None,
        });
        let from = self.transcript.selected.map(|key| Spot { key, block: self.transcript.block });
        if let Some(spot) =
            under.filter(|spot| from.is_some_and(|from| from != *spot) || self.transcript.until.is_some())
        {
            self.transcript.until = Some(spot);
            self.transcript.dragged = true;
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
                    // A second click on what is chosen folds it, as enter does.
                    self.fold();
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
