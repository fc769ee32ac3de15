//! The commands in groups, as the first page of help lists them: clap has headings for options alone.
//!
//! # Invariants
//! - Each command that is shown stands in exactly one group, with the words of its own definition.
//! - Only the page of the program itself is made so: completions and the manual page know nothing of groups.

use std::fmt::Write as _;

use clap::Command;
use clap::builder::StyledStr;

const GROUPS: [(&str, &[&str]); 5] = [
    ("Chat", &["run", "attach", "demo"]),
    ("Look back", &["history", "timeline", "replay"]),
    ("Servers", &["mcp"]),
    ("Set up", &["models", "config", "doctor"]),
    ("Plumbing", &["decode", "completions", "man"]),
];

/// The definition with its list of commands in groups.
pub(super) fn grouped(command: Command) -> Command {
    let header = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    let mut list = String::new();
    for (heading, names) in GROUPS {
        let _ = writeln!(list, "{header}{heading}:{header:#}");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            let _ = writeln!(list, "  {literal}{name:<11}{literal:#}  {}", about.unwrap_or_default());
        }
        list.push('\n');
    }
    let template = format!(
        "{{before-help}}{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}{{all-args}}{{after-help}}"
    );
    let usage = "millrace [OPTIONS] [PROMPT]...\n       millrace [OPTIONS] COMMAND";
    command.mut_subcommands(|each| each.hide(true)).help_template(StyledStr::from(template)).override_usage(usage)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::Cli;
    use super::*;

    #[test]
    fn each_command_stands_in_one_group() {
        let command = Cli::command();
        let shown: Vec<&str> = command.get_subcommands().filter(|c| !c.is_hide_set()).map(Command::get_name).collect();
        let mut listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        assert_eq!(listed.len(), shown.len(), "{listed:?} {shown:?}");
        listed.retain(|name| !shown.contains(name));
        assert!(listed.is_empty(), "{listed:?}");
    }

    #[test]
    fn help_begins_with_examples_and_lists_the_groups_in_their_order() {
        let help = grouped(Cli::command()).render_long_help().to_string();
        let places: Vec<_> =
            ["Examples:", "Usage:", "Chat:", "Look back:", "Servers:", "Set up:", "Plumbing:", "Options:"]
                .map(|part| help.find(part))
                .to_vec();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{help}");
        assert!(help.contains("  run          One turn without a screen") && !help.contains("demo-server"), "{help}");
        assert!(!help.contains("Commands:"), "{help}");
    }
}
