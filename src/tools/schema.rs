//! A tool's schema: checked for what a hostile one could do, compiled once, used for every call.
//!
//! # Invariants
//! - Nothing is ever fetched: a reference that leaves the schema makes it unusable.
//! - Patterns run in linear time. What only a backtracking engine could match is left unchecked, with a note.
//! - Depth, size and the number of nodes are bounded, and so is the work that a value of one node can cause.

use std::collections::HashMap;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use crate::chat::Limits;

use super::patterns::loosen;
use super::problem::{Problem, problems, short, shown};

/// Deepest nesting and most nodes of a schema; the specification asks a client to bound both (SEP-2106).
const DEEPEST: usize = 64;
const MOST_NODES: usize = 10_000;
/// How many subschemas one value may have to be held against.
const MOST_WORK: u64 = 20_000;
/// Longest chain of references and combinators.
const LONGEST_CHAIN: usize = 256;
/// How many more patterns may fail to compile before the schema is given up; each costs another attempt at the whole.
const MOST_FAILURES: usize = 8;
/// How many patterns a schema may have: compiling them is by far the dearest part of it.
const MOST_PATTERNS: usize = 100;
/// Compiled size of one pattern, bytes.
const PATTERN_SIZE: usize = 1 << 20;
/// Up to how many pairs of a schema's node with a value's node, or with a byte of its text (each limit of a length
/// counts it), a check is quick.
const QUICK_PAIRS: usize = 1 << 12;
const QUICK_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Schema {
    value: Value,
    validator: Validator,
    patterns: usize,
    /// How many nodes it has, where each is held against each node of a value once at most. None: it may take longer.
    plain: Option<usize>,
}

impl Schema {
    /// Compiles a schema; `notes` hears of what is left unchecked.
    ///
    /// # Errors
    /// Why it cannot be used, as the end of a sentence.
    pub(super) fn compile(schema: &Value, limits: &Limits, notes: &mut Vec<String>) -> Result<Self, String> {
        let nodes = measure(schema)?;
        let size = schema.to_string().len() as u64;
        if size > limits.schema {
            return Err(format!("its schema has {size} bytes, and the limit is {}", limits.schema));
        }
        let patterns = Work::of_all(schema)?;
        local_references(schema, schema)?;
        let validator = build(schema, notes)?;
        let plain = (patterns == 0 && is_plain(schema)).then_some(nodes);
        Ok(Self { value: schema.clone(), validator, patterns, plain })
    }

    /// Whether a check of this value is short (a few milliseconds at worst, typically microseconds), however hostile
    /// the schema and the value are.
    pub(super) fn is_quick(&self, value: &Value) -> bool {
        self.plain.is_some_and(|nodes| has_at_most(value, QUICK_PAIRS / nodes.max(1), QUICK_BYTES / nodes.max(1)))
    }

    /// How many patterns it has.
    pub(super) fn patterns(&self) -> usize {
        self.patterns
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn check(&self, value: &Value) -> Result<(), Vec<Problem>> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        Err(problems(self.validator.iter_errors(value)))
    }
}

/// Bounds depth and nodes without recursion, so that nothing after it can overflow the stack.
pub(super) fn measure(value: &Value) -> Result<usize, String> {
    let mut stack = vec![(value, 1)];
    let mut nodes = 0;
    while let Some((value, depth)) = stack.pop() {
        nodes += 1;
        if depth > DEEPEST {
            return Err(format!("its schema is nested deeper than {DEEPEST} levels"));
        }
        if nodes > MOST_NODES {
            return Err(format!("its schema has more than {MOST_NODES} nodes"));
        }
        match value {
            Value::Array(items) => stack.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => stack.extend(map.values().map(|item| (item, depth + 1))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    Ok(nodes)
}

/// Whether each part of a schema is held against each part of a value once: no references, which can multiply, and
/// nothing that compares the parts of a value with one another or looks at them again. A name that means nothing of
/// the kind where it stands costs a detour, no more.
fn is_plain(schema: &Value) -> bool {
    let mut stack = vec![schema];
    while let Some(value) = stack.pop() {
        match value {
            Value::Array(items) => stack.extend(items),
            Value::Object(map) => {
                let dear = |name: &String| {
                    let dear = name.starts_with('$') || name.starts_with("unevaluated") || name == "uniqueItems";
                    dear && name != "$schema" && name != "$comment"
                };
                if map.keys().any(dear) {
                    return false;
                }
                stack.extend(map.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    true
}

/// Whether a value has no more nodes, and no more bytes of text, names included.
pub(super) fn has_at_most(value: &Value, nodes: usize, text: usize) -> bool {
    let mut stack = vec![value];
    let (mut seen, mut bytes) = (0, 0);
    while let Some(value) = stack.pop() {
        seen += 1;
        match value {
            Value::Array(items) => stack.extend(items),
            Value::Object(map) => {
                bytes += map.keys().map(String::len).sum::<usize>();
                stack.extend(map.values());
            }
            Value::String(text) => bytes += text.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        if seen + stack.len() > nodes || bytes > text {
            return false;
        }
    }
    true
}

/// Where a subschema stands in its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Held against the same value as its parent.
    Same,
    /// Held against a part of the value.
    Inner,
    /// Only named, for references.
    Named,
}

/// How a keyword holds its subschemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One schema, or an array of them.
    Schemas,
    /// An object whose values are schemas.
    Map,
}

/// Keywords that hold schemas; everything else is data, whatever it looks like.
pub(super) fn keyword(name: &str) -> Option<(Place, Shape)> {
    Some(match name {
        "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" => (Place::Same, Shape::Schemas),
        "dependentSchemas" | "dependencies" => (Place::Same, Shape::Map),
        "items"
        | "prefixItems"
        | "additionalItems"
        | "additionalProperties"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "contains"
        | "propertyNames"
        | "contentSchema" => (Place::Inner, Shape::Schemas),
        "properties" | "patternProperties" => (Place::Inner, Shape::Map),
        "$defs" | "definitions" => (Place::Named, Shape::Map),
        _ => return None,
    })
}

fn subschemas(schema: &Map<String, Value>) -> Vec<(Place, &Value)> {
    let mut found = Vec::new();
    for (name, value) in schema {
        match (keyword(name), value) {
            (Some((place, Shape::Schemas)), Value::Array(items)) => {
                found.extend(items.iter().map(|item| (place, item)))
            }
            (Some((place, Shape::Schemas)), _) => found.push((place, value)),
            (Some((place, Shape::Map)), Value::Object(map)) => found.extend(map.values().map(|item| (place, item))),
            (Some((_, Shape::Map)), _) | (None, _) => {}
        }
    }
    found
}

/// Counts how many subschemas one value is held against, references followed: a dozen lines of references to
/// references can stand for billions, or for no end at all.
struct Work<'a> {
    root: &'a Value,
    /// None while it is being counted.
    known: HashMap<*const Value, Option<u64>>,
    /// Subschemas of parts of the value: counted one after the other, a value's part may well be described by the
    /// schema around it.
    pending: Vec<&'a Value>,
    patterns: usize,
}

impl<'a> Work<'a> {
    /// Counts the whole; returns how many patterns it has.
    fn of_all(root: &'a Value) -> Result<usize, String> {
        let mut work = Self { root, known: HashMap::new(), pending: vec![root], patterns: 0 };
        while let Some(schema) = work.pending.pop() {
            if !work.known.contains_key(&std::ptr::from_ref(schema)) {
                work.of(schema, 0)?;
            }
        }
        if work.patterns > MOST_PATTERNS {
            return Err(format!("its schema has more than {MOST_PATTERNS} patterns"));
        }
        Ok(work.patterns)
    }

    fn of(&mut self, schema: &'a Value, chain: usize) -> Result<u64, String> {
        let Value::Object(map) = schema else { return Ok(1) };
        if chain > LONGEST_CHAIN {
            return Err("its schema is a chain of references without end".to_owned());
        }
        match self.known.get(&std::ptr::from_ref(schema)) {
            Some(Some(work)) => return Ok(*work),
            Some(None) => return Err("its schema refers to itself without end".to_owned()),
            None => {}
        }
        self.known.insert(std::ptr::from_ref(schema), None);
        let named = map.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
        self.patterns += named + usize::from(map.contains_key("pattern"));
        let mut same = 1_u64;
        for (place, child) in subschemas(map) {
            match place {
                Place::Same => same = same.saturating_add(self.of(child, chain + 1)?),
                Place::Inner | Place::Named => self.pending.push(child),
            }
        }
        if let Some(target) = map.get("$ref").and_then(Value::as_str).and_then(|r| self.root_part(r)) {
            same = same.saturating_add(self.of(target, chain + 1)?);
        }
        if same > MOST_WORK {
            return Err(format!("one value would have to be held against more than {MOST_WORK} parts of its schema"));
        }
        self.known.insert(std::ptr::from_ref(schema), Some(same));
        Ok(same)
    }

    fn root_part(&self, reference: &str) -> Option<&'a Value> {
        resolve(self.root, reference)
    }
}

/// The part that a local reference (`#`, `#/…`, `#anchor`) names.
pub(super) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let fragment = reference.strip_prefix('#')?;
    if fragment.is_empty() || fragment.starts_with('/') {
        return root.pointer(&percent_decoded(fragment));
    }
    let mut stack = vec![root];
    while let Some(schema) = stack.pop() {
        let Value::Object(map) = schema else { continue };
        let named = |key: &str| map.get(key).and_then(Value::as_str) == Some(fragment);
        if named("$anchor") || named("$dynamicAnchor") {
            return Some(schema);
        }
        stack.extend(subschemas(map).into_iter().map(|(_, child)| child));
    }
    None
}

fn percent_decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        match code.and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Every `#/…` must lead somewhere, also where the validator never looks: providers refuse the whole request for it.
fn local_references(root: &Value, schema: &Value) -> Result<(), String> {
    let Value::Object(map) = schema else { return Ok(()) };
    if map.contains_key("$id") && !std::ptr::eq(root, schema) {
        // It is a document of its own; the compiler judges its references.
        return Ok(());
    }
    for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
        if let Some(reference) = map.get(key).and_then(Value::as_str)
            && (reference == "#" || reference.starts_with("#/"))
            && resolve(root, reference).is_none()
        {
            return Err(format!("its schema refers to {reference}, which is not there"));
        }
    }
    subschemas(map).into_iter().try_for_each(|(_, child)| local_references(root, child))
}

/// The draft that `$schema` names; None where it names none that is known.
fn draft(uri: &str) -> Option<Draft> {
    let uri = uri.trim_end_matches('#').trim_end_matches('/');
    let path = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"))?;
    Some(match path {
        "json-schema.org/draft-04/schema" => Draft::Draft4,
        "json-schema.org/draft-06/schema" => Draft::Draft6,
        "json-schema.org/draft-07/schema" => Draft::Draft7,
        "json-schema.org/draft/2019-09/schema" => Draft::Draft201909,
        "json-schema.org/draft/2020-12/schema" | "json-schema.org/schema" => Draft::Draft202012,
        _ => return None,
    })
}

fn build(schema: &Value, notes: &mut Vec<String>) -> Result<Validator, String> {
    let declared = schema.get("$schema").and_then(Value::as_str);
    let mut schema = schema.clone();
    if let Value::Object(map) = &mut schema {
        // Named by `draft` from here on; a custom one would have to be fetched.
        map.shift_remove("$schema");
    }
    // Without a word about it, older schemas are common: a tuple as `items`, a boolean `exclusiveMinimum`.
    let drafts: &[Draft] = match declared.map(draft) {
        Some(Some(Draft::Draft4)) => &[Draft::Draft4],
        Some(Some(Draft::Draft6)) => &[Draft::Draft6],
        Some(Some(Draft::Draft7)) => &[Draft::Draft7],
        Some(Some(Draft::Draft201909)) => &[Draft::Draft201909],
        Some(Some(_)) => &[Draft::Draft202012],
        Some(None) => {
            notes.push("The draft that its schema names is unknown; it is read as 2020-12.".to_owned());
            &[Draft::Draft202012]
        }
        None => &[Draft::Draft202012, Draft::Draft7, Draft::Draft4],
    };
    let mut first = None;
    for draft in drafts {
        let mut own_notes = Vec::new();
        match build_as(*draft, schema.clone(), &mut own_notes) {
            Ok(validator) => {
                notes.append(&mut own_notes);
                return Ok(validator);
            }
            Err(reason) => {
                first.get_or_insert(reason);
            }
        }
    }
    Err(first.unwrap_or_else(|| "its schema cannot be compiled".to_owned()))
}

fn build_as(draft: Draft, mut schema: Value, notes: &mut Vec<String>) -> Result<Validator, String> {
    let options = jsonschema::options()
        .with_draft(draft)
        .offline()
        .should_validate_formats(false)
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE));
    // Look-around is common (e-mail patterns of a well-known generator have it): the server checks these itself.
    let mut failed: Vec<String> = Vec::new();
    for _ in 0..=MOST_FAILURES {
        loosen(&mut schema, &failed, notes);
        let error = match options.build(&schema) {
            Ok(validator) => return Ok(validator),
            Err(error) => error,
        };
        match bad_pattern(&schema, &error) {
            Some(pattern) if !failed.contains(&pattern) => failed.push(pattern),
            Some(_) | None => return Err(unusable(&error)),
        }
    }
    Err("it has too many patterns that cannot be checked in linear time".to_owned())
}

/// The pattern that an error complains of; None where it complains of something else.
fn bad_pattern(schema: &Value, error: &ValidationError<'_>) -> Option<String> {
    if !matches!(error.kind(), ValidationErrorKind::Format { format } if format == "regex") {
        return None;
    }
    match schema.pointer(error.instance_path().as_str()) {
        Some(Value::String(pattern)) => Some(pattern.clone()),
        // The bad one of several is only told as the value.
        Some(_) | None => error.instance().as_str().map(str::to_owned),
    }
}

fn unusable(error: &ValidationError<'_>) -> String {
    if let ValidationErrorKind::Referencing(reference) = error.kind() {
        return format!("its schema refers to what is not part of it, and nothing is fetched: {}", short(reference));
    }
    let place = error.instance_path().as_str();
    if place.is_empty() {
        format!("its schema is not valid: {}", short(error))
    } else {
        format!("its schema is not valid at {place}: {}", shown(error.instance()))
    }
}
