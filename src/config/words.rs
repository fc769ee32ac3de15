//! A command line as a person types it, taken apart into words: quotes and backslashes as in a shell, and nothing else of
//! one. No variables, no globs, no substitution: what is typed is what is run.

/// The words of a line.
///
/// # Errors
/// Where a quote is not closed.
pub fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err("a ' is not closed"),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                            Some(c) => word.extend(['\\', c]),
                            None => return Err("a \" is not closed"),
                        },
                        Some(c) => word.push(c),
                        None => return Err("a \" is not closed"),
                    }
                }
            }
            // Paths of Windows are full of it: it stands for itself but before what it can make plain.
            '\\' => {
                let word = word.get_or_insert_default();
                let mut ahead = chars.clone();
                match ahead.next() {
                    Some(c @ (' ' | '\'' | '"' | '\\')) => {
                        word.push(c);
                        chars = ahead;
                    }
                    Some(_) | None => word.push('\\'),
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_words_and_nothing_is_run() {
        for (line, expect) in [
            ("files npx -y pkg .", &["files", "npx", "-y", "pkg", "."][..]),
            ("  a   b ", &["a", "b"]),
            ("a 'b c' \"d e\" f\\ g", &["a", "b c", "d e", "f g"]),
            ("a '' \"\"", &["a", "", ""]),
            ("x '$HOME' $(id) *;|", &["x", "$HOME", "$(id)", "*;|"]),
            (r"C:\Tools\x.exe", &[r"C:\Tools\x.exe"]),
            (r#"a "b\"c""#, &["a", "b\"c"]),
            ("", &[]),
        ] {
            assert_eq!(words(line).unwrap(), expect, "{line}");
        }
        assert!(words("a 'b").is_err() && words("a \"b").is_err());
    }
}
