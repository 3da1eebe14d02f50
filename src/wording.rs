//! How errors are told in one line, and texts of others on a terminal.

/// An error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// A text of others without what a terminal would obey: control characters as Rust writes them.
pub fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => plain.extend(c.escape_default()),
            false => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_no_text_of_others() {
        assert_eq!(printable("CI \u{1b}[31mred\u{7}\nback"), "CI \\u{1b}[31mred\\u{7}\\nback");
        assert_eq!(printable("Käufer 7"), "Käufer 7");
    }
}
