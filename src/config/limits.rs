//! `[limits]`: each row of the table of keys to its field.

use std::time::Duration;

use crate::chat::Limits;

use super::node::Node;
use super::spec::{Key, Kind};
use super::units;

/// Sets what `table` names; the rest stays. The tree was checked before.
pub(super) fn apply(limits: &mut Limits, table: &Node, keys: &[Key]) {
    for key in keys {
        let Some(node) = table.get(key.name) else { continue };
        let text = node.as_text().unwrap_or("");
        match key.kind {
            Kind::Duration => {
                if let (Ok(value), Some(field)) = (units::duration(text), duration(limits, key.name)) {
                    *field = value;
                }
            }
            Kind::Size => {
                if let (Ok(value), Some(field)) = (units::size(text), size(limits, key.name)) {
                    *field = value;
                }
            }
            _ => {
                let value = table.int(key.name).and_then(|n| u32::try_from(n).ok());
                if let (Some(value), Some(field)) = (value, count(limits, key.name)) {
                    *field = value;
                }
            }
        }
    }
}

/// The value of a row as it is written in the file.
pub(super) fn show(limits: &Limits, name: &str) -> Option<String> {
    let mut limits = limits.clone();
    if let Some(value) = duration(&mut limits, name) {
        return Some(format!("{:?}", crate::chat::duration_text(*value)));
    }
    if let Some(value) = size(&mut limits, name) {
        return Some(format!("{:?}", units::show_size(*value)));
    }
    count(&mut limits, name).map(|value| value.to_string())
}

fn duration<'a>(limits: &'a mut Limits, name: &str) -> Option<&'a mut Duration> {
    Some(match name {
        "connect" => &mut limits.connect,
        "first_byte" => &mut limits.first_byte,
        "first_byte_warning" => &mut limits.first_byte_warning,
        "any_byte" => &mut limits.any_byte,
        "data_event" => &mut limits.data_event,
        "turn" => &mut limits.turn,
        "server_start" => &mut limits.server_start,
        "sign_in" => &mut limits.sign_in,
        "call_idle" => &mut limits.call_idle,
        "call" => &mut limits.call,
        "validation" => &mut limits.validation,
        "inquiry" => &mut limits.inquiry,
        "command" => &mut limits.command,
        "retry_after" => &mut limits.retry_after,
        _ => return None,
    })
}

fn size<'a>(limits: &'a mut Limits, name: &str) -> Option<&'a mut u64> {
    Some(match name {
        "line" => &mut limits.line,
        "event" => &mut limits.event,
        "body" => &mut limits.body,
        "arguments" => &mut limits.arguments,
        "result" => &mut limits.result,
        "result_kept" => &mut limits.result_kept,
        "schema" => &mut limits.schema,
        "stderr" => &mut limits.stderr,
        "log" => &mut limits.log,
        "instructions" => &mut limits.instructions,
        "instructions_in_all" => &mut limits.instructions_in_all,
        "import" => &mut limits.import,
        "import_total" => &mut limits.import_total,
        "resource" => &mut limits.resource,
        "image" => &mut limits.image,
        "sampling_size" => &mut limits.sampling_size,
        "command_output" => &mut limits.command_output,
        _ => return None,
    })
}

fn count<'a>(limits: &'a mut Limits, name: &str) -> Option<&'a mut u32> {
    Some(match name {
        "rounds" => &mut limits.rounds,
        "calls_per_round" => &mut limits.calls_per_round,
        "calls_per_server" => &mut limits.calls_per_server,
        "calls_in_all" => &mut limits.calls_in_all,
        "nesting" => &mut limits.nesting,
        "tools" => &mut limits.tools,
        "tool_pages" => &mut limits.tool_pages,
        "messages_per_second" => &mut limits.messages_per_second,
        "inquiries" => &mut limits.inquiries,
        "watched" => &mut limits.watched,
        "sampling_tokens" => &mut limits.sampling_tokens,
        "sampling_turn_tokens" => &mut limits.sampling_turn_tokens,
        "sampling_messages" => &mut limits.sampling_messages,
        "attempts" => &mut limits.attempts,
        "import_files" => &mut limits.import_files,
        "import_ratio" => &mut limits.import_ratio,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Config, spec};
    use super::*;

    /// Every row reaches its own field: written with another value, only it differs from the default.
    #[test]
    fn each_row_sets_its_own_field() {
        let default = Limits::default();
        for key in spec::LIMITS {
            let other = match key.kind {
                Kind::Duration => "\"7 s\"",
                Kind::Size => "\"77 B\"",
                _ => "7",
            };
            let read = Config::parse("x.toml".as_ref(), &format!("[limits]\n{} = {other}\n", key.name)).unwrap().0;
            for row in spec::LIMITS {
                let expect = if row.name == key.name { Some(other.to_owned()) } else { show(&default, row.name) };
                assert_eq!(show(&read.limits, row.name), expect, "{} when {} is set", row.name, key.name);
            }
        }
    }

    #[test]
    fn the_table_of_keys_has_the_defaults() {
        for key in spec::LIMITS {
            let read = Config::parse("x.toml".as_ref(), &format!("[limits]\n{} = {}\n", key.name, key.default));
            assert_eq!(read.unwrap().0.limits, Limits::default(), "{}", key.name);
        }
    }
}
