//! `millrace models`: what the endpoint offers, or those of all profiles.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::chat::{Fault, Prices, UnixMs};
use crate::config::{Provider, SavedKeys};
use crate::net::{Catalogue, Endpoint, Http, HttpOptions, ModelInfo};
use crate::store::{OpenMode, Store};
use crate::text::sanitize;
use crate::tui::Marks;

use super::args::ModelsArgs;
use super::endpoint::{http, keyed};
use super::once;
use super::session::SessionArgs;
use super::setup::Setup;

const NO_FAVOURITES: &str = "No favourites there: f marks one in the picker (/models in the chat screen).";

/// A model with what is known of it beside its endpoint's list.
struct Row {
    provider: String,
    base_url: String,
    model: ModelInfo,
    prices: Option<Prices>,
    favourite: bool,
    used: Option<UnixMs>,
}

/// Lists the models of the endpoint that would be asked, or of every profile's; favourites wherever they are.
///
/// # Errors
/// As the configuration, the key or the endpoint fail; of several endpoints, where none answers.
pub fn run(args: &ModelsArgs) -> Result<u8, Fault> {
    let setup = Setup::load()?;
    let resolved = setup.resolve_endpoint(&args.endpoint)?;
    let marks = marks(&setup)?;
    let mut providers = Vec::new();
    if args.favourites && marks.favourites.is_empty() {
        eprintln!("{NO_FAVOURITES}");
        if args.json {
            println!("[]");
        }
        return Ok(0);
    }
    // Favourites are few, and were marked wherever they are.
    let named = args.endpoint.profile.is_some() || args.endpoint.base_url.is_some();
    let everywhere = args.all || args.favourites && !named;
    if everywhere {
        let session = SessionArgs { endpoint: args.endpoint.clone(), ..SessionArgs::default() };
        providers = setup.providers(&session);
        // What the command line or the environment names without a profile.
        if resolved.profile.is_none() && (resolved.key_missing.is_none() || providers.is_empty()) {
            providers.insert(0, resolved.provider());
        }
    } else {
        keyed(&setup, &resolved)?;
        providers.push(resolved.provider());
    }
    if args.favourites {
        providers
            .retain(|provider| marks.favourites.iter().any(|(base_url, _)| *base_url == provider.endpoint.base_url));
    }
    let shared = http(&resolved);
    let rows = once::on_runtime(async {
        let catalogue = Catalogue::new(Some(setup.paths.cache.join("models")));
        let client = |provider: &Provider| match provider.proxy.is_some() || provider.ca_file.is_some() {
            true => Http::new(HttpOptions {
                proxy: provider.proxy.clone(),
                ca_file: provider.ca_file.clone(),
                ..HttpOptions::new(&resolved.limits)
            }),
            false => shared.clone(),
        };
        let asked = providers.iter().map(|provider| {
            let (http, catalogue) = (client(provider), &catalogue);
            let (env, saved) = (&setup.env, &setup.saved);
            async move { listed(&http, catalogue, provider, env, saved).await }
        });
        let (mut rows, mut failed): (Vec<Row>, Vec<Fault>) = (Vec::new(), Vec::new());
        for (provider, list) in providers.iter().zip(join_all(asked).await) {
            match list {
                Ok(models) => rows.extend(models.into_iter().map(|model| marked(provider, model, &marks))),
                Err(fault) if providers.len() == 1 && !args.favourites => return Err(fault),
                Err(fault) => {
                    eprintln!("{}", sanitize(&format!("{}: {}", provider.name(), fault.message)));
                    failed.push(fault);
                }
            }
        }
        if args.favourites {
            rows.extend(unseen(&rows, &marks, &providers, named));
        }
        match failed.pop() {
            Some(fault) if rows.is_empty() => Err(fault),
            Some(_) | None => Ok(rows),
        }
    })?;
    let rows: Vec<Row> = rows.into_iter().filter(|row| row.favourite || !args.favourites).collect();
    let several = everywhere && (args.all || rows.iter().any(|row| row.base_url != rows[0].base_url));
    if args.favourites && rows.is_empty() && !args.json {
        eprintln!("{NO_FAVOURITES}");
        return Ok(0);
    }
    let mut out = io::stdout().lock();
    let text =
        if args.json { as_json(&rows) } else { as_text(&rows, resolved.model.as_deref(), several, out.is_terminal()) };
    // A reader that has seen enough is no error.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(0)
}

/// What the person marked and what was used when; nothing where there is no store yet.
fn marks(setup: &Setup) -> Result<Marks, Fault> {
    once::on_runtime(async {
        Ok(match Store::open(&setup.paths.store_file(), OpenMode::Read) {
            Ok(store) => Marks::of(store.all_learnt().await.unwrap_or_default()),
            Err(_) => Marks::default(),
        })
    })
}

/// Favourites that no list has: their endpoint does not answer, lists them no more, or is in no profile.
fn unseen(rows: &[Row], marks: &Marks, providers: &[Provider], named: bool) -> Vec<Row> {
    let mut left: Vec<&(String, String)> = marks
        .favourites
        .iter()
        .filter(|(base_url, model)| !rows.iter().any(|row| row.base_url == *base_url && row.model.id == *model))
        .filter(|(base_url, _)| !named || providers.iter().any(|provider| provider.endpoint.base_url == *base_url))
        .collect();
    left.sort();
    let row = |(base_url, id): &(String, String)| {
        let known = providers.iter().find(|provider| provider.endpoint.base_url == *base_url);
        let provider = known.map_or_else(|| base_url.clone(), |provider| provider.name().to_owned());
        let prices = known.and_then(|provider| provider.prices_of(id));
        let used = marks.used.get(&(base_url.clone(), id.clone())).copied();
        let model = ModelInfo { id: id.clone(), ..ModelInfo::default() };
        Row { provider, base_url: base_url.clone(), model, prices, favourite: true, used }
    };
    left.into_iter().map(row).collect()
}

async fn listed(
    http: &Http,
    catalogue: &Catalogue,
    provider: &Provider,
    env: &BTreeMap<String, String>,
    saved: &SavedKeys,
) -> Result<Vec<ModelInfo>, Fault> {
    let endpoint = Endpoint::of(provider, env, saved).await?;
    Ok(catalogue.ask(http, &endpoint, false).await?.models)
}

fn marked(provider: &Provider, model: ModelInfo, marks: &Marks) -> Row {
    let base_url = provider.endpoint.base_url.clone();
    let mark = (base_url.clone(), model.id.clone());
    Row {
        provider: provider.name().to_owned(),
        prices: provider.prices_of(&model.id).or(model.prices),
        favourite: marks.favourites.contains(&mark),
        used: marks.used.get(&mark).copied(),
        base_url,
        model,
    }
}

fn as_json(rows: &[Row]) -> String {
    let row = |row: &Row| {
        let m = &row.model;
        let prices = row.prices.map(|p| json!({"input": p.input, "output": p.output, "cached": p.cached}));
        json!({"id": m.id, "context": m.context, "owner": m.owner, "tools": m.tools, "vision": m.vision,
            "reasoning": m.reasoning, "prices": prices, "provider": row.provider, "base_url": row.base_url,
            "name": m.name, "description": m.description, "max_output": m.max_output, "created": m.created,
            "size": m.size, "favourite": row.favourite, "last_used": row.used})
    };
    format!("{}\n", rows.iter().map(row).collect::<Value>())
}

/// Names alone for a pipe; with what else is known, and a mark at the chosen one, for a terminal.
fn as_text(rows: &[Row], chosen: Option<&str>, all: bool, terminal: bool) -> String {
    let name = |row: &Row| if all { format!("{}\t{}", row.provider, row.model.id) } else { row.model.id.clone() };
    if !terminal {
        return rows.iter().map(|row| format!("{}\n", name(row))).collect();
    }
    let shown = |row: &Row| if all { format!("{}/{}", row.provider, row.model.id) } else { row.model.id.clone() };
    let wide = rows.iter().map(|row| shown(row).chars().count()).max().unwrap_or(0).min(60);
    let line = |row: &Row| {
        let model = &row.model;
        let mark = if chosen == Some(model.id.as_str()) { '›' } else { ' ' };
        let star = if row.favourite { '*' } else { ' ' };
        let context = model.context.map(|n| format!("{n} tokens")).unwrap_or_default();
        let owner = model.owner.as_deref().unwrap_or_default();
        let can = [(model.tools, "tools"), (model.vision, "images"), (model.reasoning, "reasoning")];
        let can: Vec<&str> = can.iter().filter(|(can, _)| *can == Some(true)).map(|(_, word)| *word).collect();
        // Per million tokens, in and out.
        let price = row.prices.map(|p| format!("{} / {}", price(p.input), price(p.output))).unwrap_or_default();
        let line =
            format!("{mark}{star}{:<wide$}  {context:>14}  {:<22}  {price:>13}  {owner}", shown(row), can.join(" "));
        format!("{}\n", sanitize(line.trim_end()))
    };
    if rows.is_empty() { "no models\n".to_owned() } else { rows.iter().map(line).collect() }
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
        let row = |id: &str, model: ModelInfo| Row {
            provider: "p".into(),
            base_url: "http://h/v1".into(),
            prices: Some(Prices { input: 0.25, output: 2.0, cached: None }),
            favourite: id == "a",
            used: None,
            model: ModelInfo { id: id.into(), ..model },
        };
        let able = ModelInfo { tools: Some(true), vision: Some(false), context: Some(8192), ..ModelInfo::default() };
        let list = [row("a", able), row("b\u{1b}[31m", ModelInfo::default())];
        assert_eq!(as_text(&list, None, false, false), "a\nb\u{1b}[31m\n");
        assert_eq!(as_text(&list[..1], None, true, false), "p\ta\n");
        let screen = as_text(&list, Some("a"), false, true);
        assert!(screen.starts_with("›*a") && screen.contains("8192 tokens") && !screen.contains('\u{1b}'), "{screen}");
        assert!(screen.contains("tools ") && !screen.contains("images") && screen.contains("0.25 / 2"), "{screen}");
        let json = serde_json::from_str::<Value>(&as_json(&list)).unwrap();
        assert_eq!(
            (&json[0]["context"], &json[0]["favourite"], &json[1]["favourite"]),
            (&8192.into(), &true.into(), &false.into())
        );
    }
}
