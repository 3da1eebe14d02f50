//! Series as text: OpenMetrics 1.0, or Prometheus' older format.

use std::fmt::Write as _;

use crate::domain::Amount;

/// The two formats differ in the unit of timestamps and in how they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    OpenMetrics,
    Text,
}

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    pub name: &'a str,
    /// As [`labels`] writes them.
    pub labels: &'a str,
    pub value: Amount,
    /// Seconds since 1970; `None`: of now.
    pub at: Option<i64>,
}

impl Format {
    /// What an `Accept` header asks for.
    pub fn asked(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// The `Content-Type` of it.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// How it ends.
    pub const fn end(self) -> &'static str {
        match self {
            Self::OpenMetrics => "# EOF\n",
            Self::Text => "",
        }
    }

    /// Appends a sample. Amounts are written with all their digits.
    pub fn push(self, line: Line<'_>, out: &mut String) {
        // Writing into a text does not fail.
        let _ = write!(out, "{}{} {}", line.name, line.labels, line.value);
        let _ = match (self, line.at) {
            (_, None) => Ok(()),
            (Self::OpenMetrics, Some(at)) => write!(out, " {at}"),
            (Self::Text, Some(at)) => write!(out, " {at}000"),
        };
        out.push('\n');
    }
}

/// What stands before the series of a family.
pub fn header(name: &str, help: &str) -> String {
    format!("# HELP {name} {help}\n# TYPE {name} gauge\n")
}

/// `{a="x",b="y"}`; a label without a value is left out, which means the same.
pub fn labels<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::from("{");
    for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(name);
        out.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_empty_labels_left_out() {
        let pairs = [("a", "x\\y"), ("b", ""), ("c", "say \"hi\"\nthere"), ("d", "é{},")];
        let written = labels(pairs.into_iter());
        assert_eq!(written, r#"{a="x\\y",c="say \"hi\"\nthere",d="é{},"}"#);
        assert_eq!(labels([].into_iter()), "{}");
    }

    #[test]
    fn the_formats_differ_in_the_unit_of_time() {
        let line = Line { name: "m", labels: "{}", value: "-0.10".parse().unwrap(), at: Some(1_767_657_600) };
        let (mut open, mut text) = (String::new(), String::new());
        Format::OpenMetrics.push(line, &mut open);
        Format::Text.push(line, &mut text);
        Format::Text.push(Line { at: None, ..line }, &mut text);
        assert_eq!((open.as_str(), text.as_str()), ("m{} -0.1 1767657600\n", "m{} -0.1 1767657600000\nm{} -0.1\n"));
    }

    #[test]
    fn the_format_is_what_the_scraper_asks_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3";
        assert_eq!(Format::asked(prometheus), Format::OpenMetrics);
        assert_eq!(Format::asked("*/*"), Format::Text);
    }
}
