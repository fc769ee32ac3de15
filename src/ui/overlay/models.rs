//! The models that the endpoints offer: the list, what choosing one means, and all that is known of one.

use ratatui::layout::Rect;

use super::{choose, field, first_row, foot, heading, one, screen};
use crate::app::{EntryBody, Layout, ListLayout, ModelRow, ModelSource, Models, Reach, State, Target, Then};
use crate::chat::Part;
use crate::text::cut;
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::figures::{Moment, ago, grouped, price, tokens, window};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

/// At most so many endpoints that failed have a line.
const FAILURES: usize = 4;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, models: &Models, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let (wide, narrow) = (columns >= 100, columns < 60);
    let mut note = Row::new();
    if let Some(key) = canvas.key("{models.refresh}") {
        note.push(if narrow { "" } else { "refresh " }, Ink::Dim);
        note.push(&key, Ink::Accent);
    }
    let (gap, word) = if narrow { (" ", "") } else { ("   ", "favourites ") };
    let favourites = canvas.key("{models.favourites}");
    let gap = if note.text().is_empty() { "" } else { gap };
    let named = models.favourites || favourites.is_some();
    note.push(if named { gap } else { "" }, Ink::Dim);
    note.push(if named { word } else { "" }, if models.favourites { Ink::Accent } else { Ink::Dim });
    note.push(
        &favourites.unwrap_or_default(),
        if models.favourites { Tint::of(Ink::Accent).bold() } else { Ink::Accent.into() },
    );
    let title = if models.favourites { "MODEL   favourites" } else { "MODEL" };
    let body = screen(canvas, area, &heading(title), &note, layout);
    match models.chosen() {
        Some(row) if models.details => details(canvas, body, row, models, state, layout),
        Some(_) | None => list(canvas, body, models, state, layout),
    }
    keys(canvas, area, models, wide, narrow);
}

/// Only what works now: with the caret in the filter, letters type.
fn keys(canvas: &mut Canvas<'_>, area: Rect, models: &Models, wide: bool, narrow: bool) {
    let all: &[(&str, &str)] = match (models.details, models.editing, wide, narrow) {
        (true, _, _, false) => &[
            ("enter", "use now"),
            ("{models.default}", "use by default"),
            ("{models.favourite}", "favourite"),
            ("{models.facts}", "list"),
        ],
        (_, true, _, false) => &[("enter", "use now"), ("{list.arrow_down}", "to the list")],
        (_, true, _, true) => &[("enter", "use"), ("{list.arrow_down}", "list")],
        (true, _, _, true) | (false, false, _, true) => &[("enter", "use"), ("{models.default}", "default")],
        (false, false, true, false) => &[
            ("{list.arrows}", "select"),
            ("enter", "use now"),
            ("{models.default}", "use by default"),
            ("{models.favourite}", "favourite"),
            ("{models.facts}", "details"),
        ],
        (false, false, false, false) => &[
            ("enter", "use now"),
            ("{models.default}", "default"),
            ("{models.favourite}", "favourite"),
            ("{models.facts}", "details"),
        ],
    };
    foot(canvas, area, all, ("esc", ""));
}

fn list(canvas: &mut Canvas<'_>, body: Rect, models: &Models, state: &State, layout: &mut Layout) {
    let (columns, height) = (usize::from(body.width), usize::from(body.height));
    let (wide, narrow) = (columns >= 100, columns < 60);
    canvas.put(body, 1, 0, &canvas.key("{models.search}").unwrap_or_default(), Tint::of(Ink::Accent).bold());
    field(canvas, body, 3, 0, &models.search, models.editing);
    let (shown, all) = (models.rows.len(), models.all.len());
    let mut count = match (models.search.text.is_empty() && !models.favourites, narrow) {
        (true, _) => format!("{all}"),
        (false, true) => format!("{shown} of {all}"),
        (false, false) => format!("{shown} of {all} match"),
    };
    if models.loading() {
        count = if all == 0 { "asking…".to_owned() } else { format!("asking… {count}") };
    }
    let right = columns.saturating_sub(if narrow { 10 } else { 6 });
    canvas.put_right(body, right, 0, &count, Ink::Dim);
    let mut y = 2;
    if !narrow {
        heads(canvas, body, y, wide);
        y += 1;
    }
    let failed: Vec<&ModelSource> =
        models.sources.iter().filter(|source| matches!(source.reach, Reach::Failed(_))).take(FAILURES).collect();
    let each = if narrow { 2 } else { 1 };
    let below_rows = failed.len() + if narrow { 3 } else { 4 };
    let page = (height.saturating_sub(y + below_rows) / each).max(1);
    let first = first_row(models.selected, shown, page);
    for (n, place) in models.rows.iter().enumerate().skip(first).take(page) {
        let Some(model) = models.all.get(*place) else { continue };
        layout.targets.push((hit(rows_of(body, y, each)), Target::Row(n)));
        let used = last_used(model, models, state);
        if narrow {
            canvas.put(body, 3, y, &cut(&named(model), columns.saturating_sub(4)), Ink::Text);
            canvas.put(body, 3, y + 1, &facts(model, &used), Ink::Dim);
        } else {
            row(canvas, body, y, model, &used, wide);
        }
        if model.favourite {
            canvas.put(body, 2, y, "*", Ink::Accent);
        }
        choose(canvas, body, y, n == models.selected);
        y += each;
    }
    if shown == 0 {
        let text = match (models.loading(), models.favourites, models.search.text.is_empty()) {
            (true, ..) => "The endpoints are being asked.",
            (false, true, _) => {
                "No favourite is here: {models.favourite} on a row makes one, {models.favourites} shows all again."
            }
            (false, false, true) => "No endpoint lists a model: type its name, then enter.",
            (false, false, false) => "Nothing matches: enter takes what is typed as a name.",
        };
        canvas.put(body, 3, y, &cut(&canvas.keys.tell(text), columns.saturating_sub(4)), Ink::Dim);
        y += 1;
    }
    layout.list = ListLayout { lines: shown, page, top: first };
    y += 1;
    for source in failed {
        if let Reach::Failed(why) = &source.reach {
            let sign = canvas.theme.glyphs.failed;
            let at = canvas.put(body, 1, y, sign, Ink::Bad);
            let text = format!(" {}   {}", one(&source.name), one(why));
            canvas.put(body, at, y, &cut(&text, columns.saturating_sub(at + 1)), Ink::Dim);
            y += 1;
        }
    }
    below(canvas, rows_of(body, y, height.saturating_sub(y)), models, state);
}

fn heads(canvas: &mut Canvas<'_>, body: Rect, y: usize, wide: bool) {
    let heads: &[(usize, &str)] = if wide {
        &[
            (3, "PROVIDER"),
            (19, "MODEL"),
            (46, "CONTEXT"),
            (56, "TOOLS"),
            (64, "VISION"),
            (73, "REASONING"),
            (85, "IN/OUT per 1M"),
            (102, "LAST USED"),
        ]
    } else {
        &[(3, "MODEL"), (36, "CTX"), (43, "TOOLS"), (50, "VISION"), (58, "REASON"), (67, "LAST")]
    };
    for (x, head) in heads {
        canvas.put(body, *x, y, head, Ink::Dim);
    }
}

fn named(model: &ModelRow) -> String {
    let id = one(&model.id);
    if model.provider.is_empty() { id } else { format!("{}/{id}", one(&model.provider)) }
}

fn yes(known: Option<bool>) -> &'static str {
    match known {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    }
}

fn is_now(model: &ModelRow, models: &Models, state: &State) -> bool {
    model.id == state.session.settings.model && models.source(model).is_some_and(|source| source.current)
}

fn last_used(model: &ModelRow, models: &Models, state: &State) -> String {
    match model.used {
        _ if is_now(model, models, state) => "now".to_owned(),
        Some(at) => ago(state.now.wall_ms - at),
        None => "never".to_owned(),
    }
}

fn prices(model: &ModelRow) -> String {
    match model.prices {
        Some(p) if p.input == 0.0 && p.output == 0.0 => "free".to_owned(),
        Some(p) => format!("{} / {}", price(p.input), price(p.output)),
        None => "-".to_owned(),
    }
}

/// The second line of a row on a small screen.
fn facts(model: &ModelRow, used: &str) -> String {
    let mut out = format!("{:<5}", model.context.map(window).unwrap_or_default());
    let can = [(model.tools, "tools"), (model.vision, "vision"), (model.reasoning, "reasoning")];
    let mut words: Vec<&str> = can.iter().filter(|(can, _)| *can == Some(true)).map(|(_, word)| *word).collect();
    if used != "never" {
        words.push(used);
    }
    out.push_str(&words.join("  "));
    out
}

fn row(canvas: &mut Canvas<'_>, body: Rect, y: usize, model: &ModelRow, used: &str, wide: bool) {
    let context = model.context.map_or_else(|| "-".to_owned(), window);
    let at: [usize; 4] = if wide { [56, 64, 73, 102] } else { [43, 50, 58, 67] };
    if wide {
        canvas.put(body, 3, y, &cut(&one(&model.provider), 15), Ink::Dim);
        canvas.put(body, 19, y, &cut(&one(&model.id), 26), Ink::Text);
        canvas.put_right(body, 53, y, &context, Ink::Text);
        canvas.put(body, 85, y, &prices(model), Ink::Text);
    } else {
        canvas.put(body, 3, y, &cut(&named(model), 32), Ink::Text);
        canvas.put(body, 36, y, &context, Ink::Text);
    }
    for (x, can) in at.iter().zip([model.tools, model.vision, model.reasoning]) {
        canvas.put(body, *x, y, yes(can), Ink::Text);
    }
    canvas.put(body, at[3], y, used, Ink::Dim);
}

/// Where the chosen row comes from, and what choosing it means.
fn below(canvas: &mut Canvas<'_>, area: Rect, models: &Models, state: &State) {
    let columns = usize::from(area.width).saturating_sub(2);
    let narrow = columns < 58;
    let mut y = 0;
    let chosen = models.chosen();
    let source = chosen.and_then(|row| models.source(row)).or_else(|| models.sources.iter().find(|s| s.current));
    if let Some(source) = source.filter(|_| !narrow) {
        canvas.put(area, 1, y, &cut(&from(source, state, columns >= 98), columns), Ink::Dim);
        y += 1;
    }
    let used = state.status.context;
    let fits = match (used, chosen.and_then(|m| m.context)) {
        (Some(used), Some(most)) => {
            let about = if used.estimated { "~" } else { "" };
            let verb = if used.tokens <= most { "fit" } else { "do not fit" };
            let ink = if used.tokens <= most { Ink::Dim } else { Ink::Warn };
            Some((format!("{about}{} tokens {verb} in {}.", tokens(used.tokens), window(most)), ink))
        }
        (Some(_) | None, Some(_) | None) => None,
    };
    let mut at = 1;
    if !narrow {
        at = canvas.put(area, at, y, "Switching keeps the conversation. ", Ink::Dim);
    }
    if let Some((text, ink)) = fits {
        canvas.put(area, at, y, &cut(&text, columns.saturating_sub(at)), ink);
    }
    y += 1;
    for row in chosen.map(|row| lack(row, state, columns)).unwrap_or_default() {
        canvas.row(area, 1, y, &row);
        y += 1;
    }
    match models.then {
        Then::Nothing => {}
        Then::Send => {
            canvas.put(area, 1, y, "Your message is kept, and sent when you have chosen.", Ink::Accent);
        }
        Then::AnswerAgain => {
            canvas.put(
                area,
                1,
                y,
                "The one that you choose answers again; the answer that stands is kept.",
                Ink::Accent,
            );
        }
    }
}

/// `local   http://localhost:8000/v1   reached 0.2 s ago, 38 ms   key from $OPENAI_API_KEY: set`
fn from(source: &ModelSource, state: &State, wide: bool) -> String {
    let age = source.at.map(|at| (state.now.wall_ms - at).max(0));
    let reach = match (&source.reach, age) {
        (Reach::Reached { took_ms }, Some(age)) if wide && age < 60_000 => {
            format!("reached {:.1} s ago, {took_ms} ms", age as f64 / 1000.0)
        }
        (Reach::Reached { took_ms }, Some(age)) if wide => format!("reached {} ago, {took_ms} ms", ago(age)),
        (Reach::Reached { took_ms }, _) => format!("{took_ms} ms"),
        (Reach::Asking, Some(age)) if age >= 60_000 => format!("asking…, list of {} ago", ago(age)),
        (Reach::Asking, _) => "asking…".to_owned(),
        (Reach::Failed(_), Some(age)) => format!("not reached, list of {} ago", ago(age.max(60_000))),
        (Reach::Failed(_), None) => "not reached".to_owned(),
    };
    let (name, url, key) = (one(&source.name), one(&source.base_url), one(&source.key));
    let key = if wide { key } else { key.replacen("key from ", "key ", 1) };
    if wide { format!("{name}   {url}   {reach}   {key}") } else { format!("{name}  {url}  {reach}   {key}") }
}

/// What is left out of the requests of a model that cannot take it; of images only where the conversation has some.
fn lack(model: &ModelRow, state: &State, columns: usize) -> Vec<Row> {
    let lacks = model.lacks();
    let mut parts = Vec::new();
    if lacks.reasoning {
        parts.push("no reasoning: thinking blocks will be dropped from the request");
    }
    if lacks.vision && has_images(state) {
        parts.push("no vision: images will be left out");
    }
    if lacks.tools {
        parts.push("no tools: none will be offered");
    }
    if parts.is_empty() {
        return Vec::new();
    }
    let mut row = Row::new();
    row.push("!  ", Tint::of(Ink::Warn).bold());
    row.push(&format!("{} has {}.", one(&model.id), parts.join("; ")), Ink::Warn);
    let indent = Row::label("   ", Ink::Text);
    wrap_row(&row, columns.max(12), &Row::new(), &indent)
}

fn has_images(state: &State) -> bool {
    state.transcript.entries.iter().any(|entry| match &entry.body {
        EntryBody::User(parts) => parts.iter().any(|part| matches!(part, Part::Image { .. })),
        EntryBody::Answer(_) | EntryBody::Fault(_) | EntryBody::Note(_) | EntryBody::Summary(_) => false,
    })
}

/// All that is known of one model.
fn details(canvas: &mut Canvas<'_>, body: Rect, row: &ModelRow, models: &Models, state: &State, layout: &mut Layout) {
    let columns = usize::from(body.width);
    let label = if columns < 60 { 11 } else { 16 };
    let mut lines: Vec<(&str, String)> = vec![("model", one(&row.id))];
    if let Some(name) = &row.name {
        lines.push(("name", one(name)));
    }
    if let Some(source) = models.source(row) {
        lines.push(("provider", one(&source.name)));
        lines.push(("endpoint", one(&source.base_url)));
        lines.push(("key", one(source.key.trim_start_matches("key "))));
    }
    let told = |n: Option<u64>| n.map_or_else(|| "not told".to_owned(), |n| format!("{} tokens", grouped(n)));
    let can = |can: Option<bool>| match can {
        Some(true) => "yes".to_owned(),
        Some(false) => "no".to_owned(),
        None => "not told".to_owned(),
    };
    lines.push(("context", told(row.context)));
    if row.max_output.is_some() {
        lines.push(("answer", format!("at most {}", told(row.max_output))));
    }
    lines.extend([("tools", can(row.tools)), ("images", can(row.vision)), ("reasoning", can(row.reasoning))]);
    let cost = match row.prices {
        Some(p) if p.input == 0.0 && p.output == 0.0 => "free".to_owned(),
        Some(p) => {
            let cached = p.cached.map(|c| format!(", {} cached", price(c))).unwrap_or_default();
            format!("{} in{cached}, {} out, per million tokens", price(p.input), price(p.output))
        }
        None => "not told".to_owned(),
    };
    lines.push(("price", cost));
    lines.extend(row.size.as_ref().map(|size| ("size", one(size))));
    lines.extend(row.owner.as_ref().map(|owner| ("owner", one(owner))));
    if let Some(at) = row.created {
        let (year, month, day) = Moment::new(at.saturating_mul(1000), 0).date();
        lines.push(("made", format!("{year}-{month:02}-{day:02}")));
    }
    let used = last_used(row, models, state);
    lines.push(("last used", if row.used.is_some() && used != "now" { format!("{used} ago") } else { used }));
    lines.push(("favourite", if row.favourite { "yes".to_owned() } else { "no".to_owned() }));
    let mut rows = Vec::new();
    for (name, value) in lines {
        let mut row = Row::new();
        row.push(name, Ink::Dim);
        row.pad_to(label);
        row.push(&cut(&value, columns.saturating_sub(label + 3).max(8)), Ink::Text);
        rows.push(row);
    }
    if let Some(text) = &row.description {
        rows.push(Row::new());
        let none = Row::new();
        let mut said = Row::new();
        said.push(&one(text), Ink::Text);
        rows.extend(wrap_row(&said, columns.saturating_sub(4).min(100), &none, &none));
    }
    let lacking = lack(row, state, columns.saturating_sub(4));
    if !lacking.is_empty() {
        rows.push(Row::new());
        rows.extend(lacking);
    }
    super::scrolled(canvas, body, &rows, 0, 2, layout);
}
