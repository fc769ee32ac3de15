//! `millrace models`: what the endpoint offers.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::{Value, json};

use crate::chat::{Fault, FaultKind};
use crate::net::{ModelInfo, models};
use crate::text::sanitize;

use super::args::ModelsArgs;
use super::endpoint::{endpoint, http, keyed};
use super::setup::Setup;

/// Lists the models of the endpoint that would be asked.
///
/// # Errors
/// As the configuration, the key or the endpoint fail.
pub fn run(args: &ModelsArgs) -> Result<u8, Fault> {
    let setup = Setup::load()?;
    let resolved = setup.resolve_endpoint(&args.endpoint)?;
    keyed(&resolved)?;
    let http = http(&resolved);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::new(FaultKind::Internal, format!("the runtime cannot start: {error}")))?;
    let list = runtime.block_on(async {
        let endpoint = endpoint(&setup, &resolved).await?;
        models(&http, &endpoint).await
    })?;
    let mut out = io::stdout().lock();
    let text = if args.json { as_json(&list) } else { as_text(&list, resolved.model.as_deref(), out.is_terminal()) };
    // A reader that has seen enough is no error.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(0)
}

fn as_json(list: &[ModelInfo]) -> String {
    let row = |m: &ModelInfo| {
        let prices = m.prices.map(|p| json!({"input": p.input, "output": p.output, "cached": p.cached}));
        json!({"id": m.id, "context": m.context, "owner": m.owner, "tools": m.tools, "vision": m.vision,
            "reasoning": m.reasoning, "prices": prices})
    };
    format!("{}\n", list.iter().map(row).collect::<Value>())
}

/// Names alone for a pipe; with what else is known, and a mark at the chosen one, for a terminal.
fn as_text(list: &[ModelInfo], chosen: Option<&str>, terminal: bool) -> String {
    if !terminal {
        return list.iter().map(|m| format!("{}\n", m.id)).collect();
    }
    let wide = list.iter().map(|m| m.id.chars().count()).max().unwrap_or(0).min(60);
    let line = |model: &ModelInfo| {
        let mark = if chosen == Some(model.id.as_str()) { '›' } else { ' ' };
        let context = model.context.map(|n| format!("{n} tokens")).unwrap_or_default();
        let owner = model.owner.as_deref().unwrap_or_default();
        let can = [(model.tools, "tools"), (model.vision, "images"), (model.reasoning, "reasoning")];
        let can: Vec<&str> = can.iter().filter(|(can, _)| *can == Some(true)).map(|(_, word)| *word).collect();
        // Per million tokens, in and out.
        let price = model.prices.map(|p| format!("{} / {}", price(p.input), price(p.output))).unwrap_or_default();
        let line = format!("{mark} {:<wide$}  {context:>14}  {:<22}  {price:>13}  {owner}", model.id, can.join(" "));
        format!("{}\n", sanitize(line.trim_end()))
    };
    if list.is_empty() { "no models\n".to_owned() } else { list.iter().map(line).collect() }
}

/// As many digits as a price needs.
fn price(price: f64) -> String {
    let text = format!("{price:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_for_people_pipes_and_programs() {
        let prices = Some(crate::chat::Prices { input: 0.25, output: 2.0, cached: None });
        let able = ModelInfo { tools: Some(true), vision: Some(false), prices, ..ModelInfo::default() };
        let list = [
            ModelInfo { id: "a".into(), context: Some(8192), ..able },
            ModelInfo { id: "b\u{1b}[31m".into(), ..ModelInfo::default() },
        ];
        assert_eq!(as_text(&list, None, false), "a\nb\u{1b}[31m\n");
        let screen = as_text(&list, Some("a"), true);
        assert!(screen.starts_with("› a") && screen.contains("8192 tokens") && !screen.contains('\u{1b}'), "{screen}");
        assert!(screen.contains("tools ") && !screen.contains("images") && screen.contains("0.25 / 2"), "{screen}");
        assert_eq!(serde_json::from_str::<Value>(&as_json(&list)).unwrap()[0]["context"], 8192);
    }
}
