//! The little that has to be known of PromQL.
//!
//! In: a text of any kind. Out: text that is safe inside an expression. How far one looks back is told by
//! [`promql`](crate::domain::promql). Absent: a grammar; the server has it.

/// A text as the inside of a double-quoted PromQL string.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_cannot_break_out() {
        assert_eq!(escape(r#"lkc-1"} or vector(1) #\"#), r#"lkc-1\"} or vector(1) #\\"#);
    }
}
