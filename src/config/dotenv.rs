//! `.env` files: `NAME=value`, one a line.
//!
//! In: the text of the file. Out: names and values, and the lines that make no sense. Understood as by
//! Chitragupta's loader: `export` before the name, `#` remarks, single quotes literal, double quotes with
//! escapes and over several lines, `${NAME}` of an earlier line or the process outside single quotes.

use std::collections::BTreeMap;

use super::substitute::expand;

/// What a `.env` file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dotenv {
    pub values: BTreeMap<String, String>,
    /// Lines that are no assignment, counted from 1.
    pub unreadable: Vec<usize>,
}

/// Reads a `.env` text. `process` answers for variables of the process, which win.
pub fn parse(text: &str, process: &dyn Fn(&str) -> Option<String>) -> Dotenv {
    let mut found = Dotenv::default();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let (outcome, length) = assignment(rest);
        match outcome {
            Line::Nothing => {}
            Line::Unreadable => found.unreadable.push(line),
            Line::Assignment { name, value, literal } => {
                let known = |name: &str| process(name).or_else(|| found.values.get(name).cloned());
                let value = match literal {
                    true => value,
                    false => expand(&value, &mut |name, default| {
                        known(name).or(default.map(str::to_owned)).unwrap_or_default()
                    }),
                };
                found.values.insert(name, value);
            }
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

enum Line {
    Nothing,
    Unreadable,
    Assignment { name: String, value: String, literal: bool },
}

/// What the text begins with, and how many bytes that takes, the line's end included.
fn assignment(text: &str) -> (Line, usize) {
    let line_length = text.find('\n').map_or(text.len(), |at| at + 1);
    let line = text[..line_length].trim();
    if line.is_empty() || line.starts_with('#') {
        return (Line::Nothing, line_length);
    }
    let Some((left, _)) = line.split_once('=') else { return (Line::Unreadable, line_length) };
    let name = left.trim();
    let name = name.strip_prefix("export ").map_or(name, str::trim);
    let name = name.trim_matches('\'').to_owned();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return (Line::Unreadable, line_length);
    }
    let after = text.find('=').map_or(text.len(), |at| at + 1);
    let value = &text[after..];
    let blanks = value.len() - value.trim_start_matches([' ', '\t']).len();
    let (value, start) = (&value[blanks..], after + blanks);
    match value.chars().next() {
        Some(quote @ ('\'' | '"')) => match quoted(&value[1..], quote) {
            Some((value, length)) => {
                let end = start + 1 + length;
                let end = end + text[end..].find('\n').map_or(text.len() - end, |at| at + 1);
                (Line::Assignment { name, value, literal: quote == '\'' }, end)
            }
            None => (Line::Unreadable, line_length),
        },
        _ => {
            let value = value.lines().next().unwrap_or_default();
            let value = match value.find(" #").or_else(|| value.find("\t#")) {
                _ if value.starts_with('#') => "",
                Some(at) => &value[..at],
                None => value,
            };
            (Line::Assignment { name, value: value.trim_end().to_owned(), literal: false }, line_length)
        }
    }
}

/// The text up to the closing quote, and how many bytes it took with the quote.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((out, at + 1)),
            '\\' => match chars.next()?.1 {
                c if c == quote || c == '\\' => out.push(c),
                'n' if quote == '"' => out.push('\n'),
                't' if quote == '"' => out.push('\t'),
                'r' if quote == '"' => out.push('\r'),
                other => out.extend(['\\', other]),
            },
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/ana".into())
    }

    #[track_caller]
    fn check(text: &str, name: &str, expected: &str) {
        let found = parse(text, &process);
        assert_eq!(found.values.get(name).map(String::as_str), Some(expected), "{text:?}: {found:?}");
    }

    #[test]
    fn the_forms_people_write() {
        check("A=1", "A", "1");
        check("# remark\n\nexport A = b c # d\nB=2\n", "A", "b c");
        check("A=a#b", "A", "a#b");
        check("A=", "A", "");
        check("A='x # ${HOME}' # remark\nB=2", "A", "x # ${HOME}");
        check("A=\"x\\n\\\"y\\\"\"\n", "A", "x\n\"y\"");
        check("A=\"two\nlines\"\nB=2\n", "A", "two\nlines");
        check("A=\"two\nlines\"\nB=2\n", "B", "2");
        check("A=p4$$w0rd$x", "A", "p4$$w0rd$x");
        check("A=b=c==", "A", "b=c==");
        check("A=1\r\nB=2\r\n", "A", "1");
    }

    #[test]
    fn references_see_the_process_and_earlier_lines() {
        check("A=${HOME}/x", "A", "/home/ana/x");
        check("A=1\nB=${A}2", "B", "12");
        check("A=[${NOPE}][${NOPE:-d}]", "A", "[][d]");
    }

    #[test]
    fn lines_that_are_no_assignment_are_told() {
        assert_eq!(parse("A=1\nwhat\nB='open\nC=3\n", &process).unreadable, [2, 3]);
    }
}
