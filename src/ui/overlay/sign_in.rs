//! Signing in to a server: who asks for what, the whole address, where to paste the answer.

use ratatui::layout::Rect;

use super::{field, foot, heading, one, screen, scrolled, words};
use crate::app::{Layout, SignInBox};
use crate::chat::{SignInOffer, SignInStage, SignedIn};
use crate::text::{cut, visible};
use crate::ui::canvas::{Canvas, rows_of};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

/// Rows below the text: the field, and what is said of it.
const BELOW: usize = 2;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, open: &SignInBox, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let note = if columns < 60 { one(open.server.as_str()) } else { format!("server {}", one(open.server.as_str())) };
    let body = screen(canvas, area, &heading("SIGN IN"), &words(&note), layout);
    let height = usize::from(body.height);
    let room = columns.saturating_sub(4).max(1);
    let rows = rows(open, room);
    let below = if open.offer().is_some() { BELOW } else { 0 };
    scrolled(canvas, rows_of(body, 0, height.saturating_sub(below)), &rows, open.scroll, 1, layout);
    if below > 0 && height > below {
        let place = rows_of(body, height - below, below);
        if open.typing {
            canvas.put(place, 1, 0, ">", Tint::of(Ink::Accent).bold());
            field(canvas, place, 3, 0, &open.line, true);
        }
        let note = open.note.as_deref().map(|note| one(&canvas.keys.tell(note))).unwrap_or_default();
        canvas.put(place, 1, 1, &cut(&note, room), Ink::Warn);
    }
    let keys: &[(&str, &str)] = match (&open.stage, open.typing, columns) {
        (SignInStage::Offered(_), true, _) => &[("enter", "hand it over")],
        (SignInStage::Offered(_), false, 60..) => &[
            ("{sign_in.open}", "open in the browser"),
            ("{sign_in.copy}", "copy the address"),
            ("{sign_in.paste}", "paste the answer"),
        ],
        (SignInStage::Offered(_), false, _) => {
            &[("{sign_in.open}", "open"), ("{sign_in.copy}", "copy"), ("{sign_in.paste}", "paste")]
        }
        (SignInStage::Failed { .. }, _, _) => &[("{sign_in.again}", "again")],
        (
            SignInStage::Asking
            | SignInStage::NotIt(_)
            | SignInStage::Redeeming
            | SignInStage::Done { .. }
            | SignInStage::Out(_),
            _,
            _,
        ) => &[],
    };
    let esc = match &open.stage {
        SignInStage::Offered(_) if open.typing => "back",
        SignInStage::Asking | SignInStage::Offered(_) | SignInStage::NotIt(_) | SignInStage::Redeeming => "call it off",
        SignInStage::Done { .. } | SignInStage::Failed { .. } | SignInStage::Out(_) => "back",
    };
    foot(canvas, area, keys, ("esc", esc));
}

fn rows(open: &SignInBox, room: usize) -> Vec<Row> {
    let name = one(open.server.as_str());
    let mut out = Text { rows: Vec::new(), room };
    match &open.stage {
        SignInStage::Asking => out.say(&format!("Asking {name} who signs people in…"), Ink::Text),
        SignInStage::Offered(offer) => offered(&mut out, &name, offer),
        SignInStage::NotIt(why) => out.say(&one(why), Ink::Warn),
        SignInStage::Redeeming => out.say("The answer came. Exchanging it for a token…", Ink::Text),
        SignInStage::Done { signed_in, remark } => done(&mut out, &name, signed_in, remark.as_deref()),
        SignInStage::Failed { message, hint } => {
            out.say(&format!("Nobody was signed in to {name}: {}.", one(message)), Ink::Bad);
            if let Some(hint) = hint {
                out.gap();
                out.say(&one(hint), Ink::Text);
            }
        }
        SignInStage::Out(message) => out.say(&format!("{name}: {}.", one(message)), Ink::Text),
    }
    out.rows
}

fn offered(out: &mut Text, name: &str, offer: &SignInOffer) {
    let mut question = Row::new();
    question.push(&format!("Sign in to \"{name}\" at "), Tint::of(Ink::Text).bold());
    question.push(&one(&offer.host), Tint::of(Ink::Accent).bold());
    question.push("?", Tint::of(Ink::Text).bold());
    out.row(&question);
    out.gap();
    out.pair("issuer", &one(&offer.issuer));
    let scopes = one(&offer.scopes.join(" "));
    out.pair("asks for", if scopes.is_empty() { "what it gives by default" } else { &scopes });
    out.pair("known", offer.client.words());
    if let Some(before) = &offer.instead_of {
        out.say(&format!("Last time another issuer signed you in: {}", one(before)), Ink::Warn);
    }
    out.gap();
    // The whole address: it is what is being agreed to.
    out.row(&Row::of_lines(&visible(&offer.url).one_line(), Ink::Accent));
    out.gap();
    out.say(
        "The browser comes back to this machine by itself. Over ssh it cannot: it ends on a page of 127.0.0.1 that it \
         does not find. Copy that page's address and paste it here.",
        Ink::Dim,
    );
}

fn done(out: &mut Text, name: &str, signed_in: &SignedIn, remark: Option<&str>) {
    out.say(&format!("You are signed in to {name}. It is being connected."), Ink::Good);
    out.gap();
    out.pair("issuer", &one(&signed_in.issuer));
    let scopes = one(&signed_in.scopes.join(" "));
    out.pair("for", if scopes.is_empty() { "what it gives by default" } else { &scopes });
    out.pair("renewed", if signed_in.renews { "by itself" } else { "by signing in again" });
    out.pair("kept", signed_in.kept.words());
    if let Some(remark) = remark {
        out.gap();
        out.say(&one(remark), Ink::Warn);
    }
}

/// Rows as they are written, wrapped to the room there is.
struct Text {
    rows: Vec<Row>,
    room: usize,
}

impl Text {
    fn row(&mut self, row: &Row) {
        let none = Row::new();
        self.rows.extend(wrap_row(row, self.room, &none, &none));
    }

    fn say(&mut self, text: &str, ink: Ink) {
        let mut row = Row::new();
        row.push(text, ink);
        self.row(&row);
    }

    fn gap(&mut self) {
        self.rows.push(Row::new());
    }

    fn pair(&mut self, name: &'static str, value: &str) {
        let mut row = Row::label(name, Ink::Dim);
        row.pad_to(10);
        row.push(value, Ink::Text);
        let none = Row::new();
        let indent = Row::label("          ", Ink::Text);
        self.rows.extend(wrap_row(&row, self.room, &none, &indent));
    }
}
