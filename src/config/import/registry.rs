//! A `server.json` of the MCP registry (schema 2025-12-11, and the older one in snake_case): how a server may be had,
//! made an entry. A listing is no vetting: it asks before its first start like any other.
//!
//! # Invariants
//! - One entry a server: the first package that can be run here, else the first address. What else it offers is told.
//! - The version that is listed is the version that is run.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::config::external::{Entry, Remark, normal_name, variable_for};
use crate::config::{DraftTransport, ServerDraft, Source, UrlKind};

/// The servers of a document; None: it is no `server.json`.
pub(super) fn entries(path: &Path, plain: &str) -> Option<Vec<Entry>> {
    let root: Value = serde_json::from_str(plain).ok()?;
    let listed: Vec<&Value> = match root.get("servers").and_then(Value::as_array) {
        Some(list) => list.iter().collect(),
        None => vec![&root],
    };
    // The registry's interface wraps what it hands out.
    let servers: Vec<&Value> = listed.into_iter().map(|one| one.get("server").unwrap_or(one)).collect();
    let is_server =
        |one: &&Value| one.get("name").is_some() && (one.get("packages").is_some() || one.get("remotes").is_some());
    if servers.is_empty() || !servers.iter().any(is_server) {
        return None;
    }
    Some(servers.into_iter().map(|one| entry(path, one)).collect())
}

/// A value by its name of today, or of before September 2025.
fn get<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).or_else(|| {
        let snake: String = name
            .chars()
            .flat_map(|c| match c.is_ascii_uppercase() {
                true => vec!['_', c.to_ascii_lowercase()],
                false => vec![c],
            })
            .collect();
        value.get(snake)
    })
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    get(value, name).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    get(value, name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn truth(value: &Value, name: &str) -> bool {
    get(value, name).and_then(Value::as_bool) == Some(true)
}

fn entry(path: &Path, server: &Value) -> Entry {
    let key = text(server, "name").unwrap_or_default().to_owned();
    // `io.github.ada/weather`: what stands behind the slash is the server's, the rest its owner's.
    let name = normal_name(key.rsplit('/').next().unwrap_or(&key));
    let mut remarks = Vec::new();
    let mut refused = Vec::new();
    let mut chosen = None;
    let mut others = Vec::new();
    for package in list(server, "packages") {
        match package_entry(&name, package, &mut Vec::new()) {
            Err(why) => refused.push(why),
            Ok(_) if chosen.is_none() => chosen = package_entry(&name, package, &mut remarks).ok(),
            Ok((_, label)) => others.push(label),
        }
    }
    for remote in list(server, "remotes") {
        match remote_entry(&name, remote, &mut Vec::new()) {
            Err(why) => refused.push(why),
            Ok(_) if chosen.is_none() => chosen = remote_entry(&name, remote, &mut remarks).ok(),
            Ok((_, label)) => others.push(label),
        }
    }
    if !others.is_empty() {
        let why = format!("it can also be had as {}", others.join(", "));
        remarks.push(Remark::Dropped { key: "packages".to_owned(), why });
    }
    let draft = match chosen {
        Some((how, _)) => Ok(ServerDraft::new(&name, how, Source::File(path.to_path_buf()))),
        None if refused.is_empty() => Err("it offers neither a package nor an address".to_owned()),
        None => Err(refused.join("; ")),
    };
    Entry { key, draft, remarks }
}

type Made = Result<(DraftTransport, String), String>;

fn package_entry(server: &str, package: &Value, remarks: &mut Vec<Remark>) -> Made {
    let kind = text(package, "registryType").or_else(|| text(package, "registryName")).unwrap_or("a package");
    let identifier = text(package, "identifier").or_else(|| text(package, "name")).ok_or("a package has no name")?;
    let version = text(package, "version").filter(|version| !version.is_empty() && *version != "latest");
    let transport = get(package, "transport").and_then(|transport| text(transport, "type")).unwrap_or("stdio");
    if transport != "stdio" {
        return Err(format!("its {kind} package listens by itself ({transport}): start it, and add its address"));
    }
    let at =
        |sign: &str| version.map_or_else(|| identifier.to_owned(), |version| format!("{identifier}{sign}{version}"));
    let (program, before, package_name): (&str, &[&str], String) = match kind {
        "npm" => ("npx", &["-y"], at("@")),
        "pypi" => ("uvx", &[], at("@")),
        "nuget" => ("dnx", &["--yes"], at("@")),
        // An image says its tag itself.
        "oci" | "docker" => {
            let tagged = identifier.contains('@') || identifier.rsplit('/').next().is_some_and(|n| n.contains(':'));
            ("docker", &["run", "-i", "--rm"], if tagged { identifier.to_owned() } else { at(":") })
        }
        other => return Err(format!("millrace does not install {other} packages")),
    };
    let program = match text(package, "runtimeHint") {
        Some(hint @ ("npx" | "bunx" | "uvx" | "dnx" | "docker" | "podman")) => hint,
        Some(_) | None => program,
    };
    let mut args: Vec<String> = before.iter().map(|arg| (*arg).to_owned()).collect();
    let given = arguments(server, list(package, "runtimeArguments"), remarks);
    args.extend(given.into_iter().filter(|arg| !before.contains(&arg.as_str())));
    let mut env = BTreeMap::new();
    for variable in list(package, "environmentVariables") {
        let Some(name) = text(variable, "name").filter(|name| !name.is_empty()) else { continue };
        if let Some(value) = value(server, Named::Variable(name), variable, remarks) {
            env.insert(name.to_owned(), value);
        }
    }
    if program == "docker" || program == "podman" {
        // What docker gets reaches the container by name.
        for name in env.keys() {
            args.extend(["-e".to_owned(), name.clone()]);
        }
    }
    args.push(package_name.clone());
    args.extend(arguments(server, list(package, "packageArguments"), remarks));
    let label = format!("{program} {package_name}");
    Ok((DraftTransport::Stdio { command: program.to_owned(), args, env, cwd: None }, label))
}

fn remote_entry(server: &str, remote: &Value, remarks: &mut Vec<Remark>) -> Made {
    let kind = match text(remote, "type").or_else(|| text(remote, "transportType")) {
        Some("sse") => UrlKind::Sse,
        Some("streamable-http" | "http" | "streamable") | None => UrlKind::Http,
        Some(other) => return Err(format!("millrace does not speak {other:?}")),
    };
    let url = text(remote, "url").ok_or("an address is missing")?;
    let url = template(server, url, get(remote, "variables"), remarks);
    let mut headers = BTreeMap::new();
    for header in list(remote, "headers") {
        let Some(name) = text(header, "name").filter(|name| !name.is_empty()) else { continue };
        if let Some(value) = value(server, Named::Other(name), header, remarks) {
            headers.insert(name.to_owned(), value);
        }
    }
    Ok((DraftTransport::Url { kind, url: url.clone(), headers }, url))
}

/// The arguments that have a value, or must have one.
fn arguments(server: &str, list: &[Value], remarks: &mut Vec<Remark>) -> Vec<String> {
    let mut out = Vec::new();
    for argument in list {
        let name = text(argument, "name").unwrap_or_default();
        let hint = text(argument, "valueHint").filter(|hint| !hint.is_empty()).unwrap_or(name);
        let value = value(server, Named::Other(hint), argument, remarks);
        match text(argument, "type") {
            Some("named") if name.is_empty() => {}
            // A flag without a value is one that is set.
            Some("named") => match value {
                Some(value) => out.extend([name.to_owned(), value]),
                None if get(argument, "valueHint").is_none() && truth(argument, "isRequired") => {
                    out.push(name.to_owned())
                }
                None => {}
            },
            Some(_) | None => out.extend(value),
        }
    }
    out
}

/// What an input is called.
#[derive(Clone, Copy)]
enum Named<'a> {
    /// A variable of the environment: it keeps its name.
    Variable(&'a str),
    Other(&'a str),
}

/// The value of an input: its own, its default, or a variable where a person has to give it. None: it is left away.
fn value(server: &str, named: Named<'_>, input: &Value, remarks: &mut Vec<Remark>) -> Option<String> {
    if let Some(value) = text(input, "value") {
        return Some(template(server, value, get(input, "variables"), remarks));
    }
    let default = text(input, "default");
    let (name, variable) = match named {
        Named::Variable(name) => (name, name.to_owned()),
        Named::Other(name) => (name, variable_for(server, if name.is_empty() { "argument" } else { name })),
    };
    if let Some(default) = default {
        // What its user has set goes before it; a text for other places is taken as it is.
        return Some(match named {
            Named::Variable(_) if !default.contains(['}', '$']) => format!("${{env:{variable}:-{default}}}"),
            Named::Variable(_) | Named::Other(_) => default.to_owned(),
        });
    }
    let why = text(input, "description").map_or_else(|| name.to_owned(), |text| text.chars().take(100).collect());
    if truth(input, "isRequired") {
        remarks.push(Remark::Variable { name: variable.clone(), why });
        return Some(format!("${{env:{variable}}}"));
    }
    if !name.is_empty() {
        remarks.push(Remark::Dropped { key: name.to_owned(), why: format!("it may be given: {why}") });
    }
    None
}

/// A text with `{name}` in it.
fn template(server: &str, text: &str, variables: Option<&Value>, remarks: &mut Vec<Remark>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        out.push_str(before);
        let input = variables.and_then(|variables| variables.get(name));
        let known = input.and_then(|input| value(server, Named::Other(name), input, remarks));
        out.push_str(&known.unwrap_or_else(|| format!("${{env:{}}}", variable_for(server, name))));
        rest = behind;
    }
    out + rest
}
