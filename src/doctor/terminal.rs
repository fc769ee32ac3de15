//! Judging the terminal by what it says of itself.

use super::{Check, Status};

/// The terminal as the caller found it. `variable` reads the environment, `program` says whether a program is there.
pub struct TerminalFacts<'a> {
    pub stdin_terminal: bool,
    pub stdout_terminal: bool,
    /// Columns and rows.
    pub size: Option<(u16, u16)>,
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    pub program: &'a dyn Fn(&str) -> bool,
}

/// The smallest screen that is laid out.
const SMALLEST: (u16, u16) = (40, 20);

#[must_use]
pub fn terminal(facts: &TerminalFacts<'_>) -> Vec<Check> {
    let set = |name: &str| (facts.variable)(name).filter(|value| !value.is_empty());
    let mut checks = vec![presence(facts)];
    if facts.stdout_terminal {
        checks.push(size(facts.size));
    }
    let term = set("TERM").unwrap_or_default();
    checks.push(match term.as_str() {
        "" if cfg!(windows) => Check::ok("terminal.type", "Windows console"),
        "" | "dumb" => Check::not_ok(
            "terminal.type",
            Status::Warn,
            format!("TERM is {}", if term.is_empty() { "not set" } else { "dumb" }),
            "Set TERM to what the terminal is, for example xterm-256color, or use --plain.",
        ),
        _ => Check::ok("terminal.type", term.clone()),
    });
    checks.push(colours(&term, &set));
    checks.push(characters(&set));
    if set("TMUX").is_some() {
        let tmux = "inside tmux; for the clipboard: set -g set-clipboard on; for shift+enter: set -s extended-keys on";
        checks.push(Check::ok("terminal.tmux", tmux));
    }
    checks.push(clipboard(&set, facts.program));
    checks
}

fn presence(facts: &TerminalFacts<'_>) -> Check {
    if facts.stdin_terminal && facts.stdout_terminal {
        Check::ok("terminal", "there is one")
    } else {
        let which = if facts.stdin_terminal { "standard output" } else { "standard input" };
        Check::not_ok(
            "terminal",
            Status::Warn,
            format!("{which} is no terminal, so the chat screen cannot open here"),
            "Use `millrace run` in scripts and pipes.",
        )
    }
}

fn size(size: Option<(u16, u16)>) -> Check {
    const NAME: &str = "terminal.size";
    match size {
        Some((columns, rows)) if columns < SMALLEST.0 || rows < SMALLEST.1 => Check::not_ok(
            NAME,
            Status::Warn,
            format!("{columns}x{rows}"),
            format!("Make it {}x{} or larger.", SMALLEST.0, SMALLEST.1),
        ),
        Some((columns, rows)) => Check::ok(NAME, format!("{columns}x{rows}")),
        None => Check::not_ok(
            NAME,
            Status::Warn,
            "the terminal does not tell its size",
            "Use another terminal, or --plain.",
        ),
    }
}

fn colours(term: &str, set: &dyn Fn(&str) -> Option<String>) -> Check {
    let colours = if set("NO_COLOR").is_some() {
        "none, as NO_COLOR asks"
    } else if set("COLORTERM").is_some_and(|v| v.contains("truecolor") || v.contains("24bit")) {
        "16 million"
    } else if term.contains("256color") || term.contains("kitty") || term.contains("ghostty") {
        "256"
    } else {
        "16"
    };
    Check::ok("terminal.colours", colours)
}

fn characters(set: &dyn Fn(&str) -> Option<String>) -> Check {
    const NAME: &str = "terminal.characters";
    // The first that is set decides, as setlocale(3) has it.
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| set(name).map(|value| (*name, value)));
    match locale {
        Some((_, value)) if value.to_ascii_lowercase().replace('-', "").contains("utf8") => Check::ok(NAME, "UTF-8"),
        None if cfg!(any(windows, target_os = "macos")) => Check::ok(NAME, "UTF-8"),
        Some((name, value)) => Check::not_ok(
            NAME,
            Status::Warn,
            format!("{name}={value} does not say UTF-8"),
            "Set LANG to a UTF-8 locale, for example C.UTF-8.",
        ),
        None => {
            Check::not_ok(NAME, Status::Warn, "no locale is set", "Set LANG to a UTF-8 locale, for example C.UTF-8.")
        }
    }
}

fn clipboard(set: &dyn Fn(&str) -> Option<String>, program: &dyn Fn(&str) -> bool) -> Check {
    const NAME: &str = "clipboard";
    let remote = set("SSH_CONNECTION").is_some() || set("SSH_TTY").is_some();
    if remote {
        return Check::ok(NAME, "through the terminal (OSC 52), since this is a remote session");
    }
    if cfg!(any(windows, target_os = "macos")) {
        return Check::ok(NAME, "the system's");
    }
    if set("WAYLAND_DISPLAY").is_some() || set("DISPLAY").is_some() {
        return Check::ok(NAME, "the desktop's");
    }
    if program("termux-clipboard-set") {
        return Check::ok(NAME, "Termux's");
    }
    Check::ok(NAME, "through the terminal (OSC 52), where it allows that")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(variables: &[(&str, &str)], terminal_there: bool, size: Option<(u16, u16)>) -> Vec<String> {
        let facts = TerminalFacts {
            stdin_terminal: terminal_there,
            stdout_terminal: terminal_there,
            size,
            variable: &|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()),
            program: &|_| false,
        };
        terminal(&facts).iter().map(|c| format!("{} {} {}", c.name, c.status.word(), c.what)).collect()
    }

    #[test]
    fn a_good_terminal_is_ok_throughout() {
        let good =
            [("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("LANG", "de_DE.UTF-8"), ("TMUX", "/tmp/x")];
        let words = words(&good, true, Some((120, 36)));
        assert!(words.iter().all(|line| line.contains(" ok ")), "{words:?}");
        assert!(words.iter().any(|line| line.contains("16 million")));
    }

    #[test]
    fn what_is_lacking_is_a_warning() {
        let words = words(&[("TERM", "dumb"), ("LC_ALL", "C")], true, Some((30, 10)));
        for lacking in
            ["terminal.size warn 30x10", "terminal.type warn TERM is dumb", "terminal.characters warn LC_ALL=C"]
        {
            assert!(words.iter().any(|line| line.starts_with(lacking)), "{lacking}: {words:?}");
        }
    }

    #[test]
    fn without_a_terminal_run_is_named() {
        let words = words(&[("TERM", "xterm"), ("LANG", "C.UTF-8")], false, None);
        assert!(words[0].starts_with("terminal warn") && !words.iter().any(|l| l.starts_with("terminal.size")));
    }
}
