//! Single values: what they all share, and truth values, words to choose from, dates, free values.
//!
//! In: text, with or without quotes, after `${…}`. Out: typed values. The words of YAML 1.1 become truth
//! values, as in Chitragupta. Texts are in `text`, numbers in `number`.

use std::borrow::Cow;

use chrono::NaiveDate;
use serde_json::{Value as Json, json};

use super::Param;
use super::kind::{Kind, wrong_shape};
use super::section::Value;
use super::substitute::substitute;
use super::suggest;
use super::yaml::Content;
use crate::domain::Day;

/// A single value's text.
pub(super) struct Scalar<'a> {
    pub text: Cow<'a, str>,
    /// Written without quotes and not substituted: it may be a number or a truth value.
    pub plain: bool,
}

/// The text of a value with variables put in; `None` after recording a fault.
pub(super) fn scalar<'a>(value: &Value<'a>, wanted: &str) -> Option<Scalar<'a>> {
    let Content::Scalar { text, plain } = &value.node.content else {
        wrong_shape(value, wanted);
        return None;
    };
    if value.node.is_null() {
        value.fault("has no value", format!("write {wanted} behind it, or remove the key"));
        return None;
    }
    if value.verbatim || !text.contains("${") {
        return Some(Scalar { text: text.into(), plain: *plain });
    }
    match substitute(text, value.reader.env) {
        Ok(replaced) => Some(Scalar { plain: *plain && replaced == *text, text: replaced.into() }),
        Err(names) => {
            for name in names {
                let remedy = format!("set it in the environment or in `.env`, or write `${{{name}:-default}}`");
                value.fault(format!("the variable `{name}` is not set"), remedy);
            }
            None
        }
    }
}

/// A value as a fault shows it: in quotes, cut when long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

pub(super) const VARIABLE: &str = r"\$\{[^}]+\}";

/// The schema of something that may also come out of a variable.
pub(super) fn or_text(schema: Json, pattern: &str) -> Json {
    json!({"anyOf": [schema, {"type": "string", "pattern": format!("{pattern}|{VARIABLE}")}]})
}

/// A truth value.
pub(super) struct Flag;

impl Kind for Flag {
    type Out = bool;

    fn schema(&self) -> Json {
        or_text(
            json!({"type": "boolean"}),
            "^([Tt]rue|[Ff]alse|TRUE|FALSE|[Yy]es|[Nn]o|YES|NO|[Oo]n|[Oo]ff|ON|OFF|0|1)$",
        )
    }

    fn read(&self, value: &Value<'_>) -> Option<bool> {
        let scalar = scalar(value, "`true` or `false`")?;
        let flag = truth(&scalar.text);
        if flag.is_none() {
            value.fault(format!("{} is neither true nor false", quoted(&scalar.text)), "write `true` or `false`");
        }
        flag
    }

    fn placeholder(&self) -> bool {
        false
    }

    fn shown(&self, out: &bool) -> Json {
        json!(out)
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "on" | "t" | "y" | "1" => Some(true),
        "false" | "no" | "off" | "f" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// One of some words, whatever their case.
pub(super) struct Choice<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for Choice<T> {
    type Out = T;

    fn schema(&self) -> Json {
        // JSON Schema's patterns know no "whatever the case".
        let either = |c: char| match c.is_ascii_alphabetic() {
            true => format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase()),
            false => c.to_string(),
        };
        let words: Vec<_> = self.0.iter().map(|(word, _)| *word).collect();
        let forms: Vec<_> = words.iter().map(|word| word.chars().map(either).collect::<String>()).collect();
        or_text(json!({"enum": words}), &format!(r"^\s*({})\s*$", forms.join("|")))
    }

    fn read(&self, value: &Value<'_>) -> Option<T> {
        let scalar = scalar(value, "a word")?;
        let text = scalar.text.trim();
        let found = self.0.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, choice)| *choice);
        if found.is_none() {
            let words: Vec<_> = self.0.iter().map(|(word, _)| *word).filter(|word| !word.is_empty()).collect();
            let remedy = match suggest::nearest(text, &words) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("use one of {}", suggest::list(&words)),
            };
            value.fault(format!("{} is not known here", quoted(text)), remedy);
        }
        found
    }

    fn placeholder(&self) -> T {
        self.0[0].1
    }

    fn shown(&self, out: &T) -> Json {
        self.0.iter().find(|(_, choice)| choice == out).map_or(Json::Null, |(word, _)| json!(word))
    }
}

/// Any single value as its text, numbers included: librdkafka's properties.
pub(super) struct AsText;

impl Kind for AsText {
    type Out = String;

    fn schema(&self) -> Json {
        json!({"type": ["string", "number", "boolean"]})
    }

    fn read(&self, value: &Value<'_>) -> Option<String> {
        scalar(value, "a value").map(|scalar| scalar.text.into_owned())
    }

    fn placeholder(&self) -> String {
        String::new()
    }
}

/// A number, a text or a truth value, told apart by how it is written.
pub(super) struct Free;

impl Kind for Free {
    type Out = Param;

    fn schema(&self) -> Json {
        json!({"type": ["string", "number", "boolean"]})
    }

    fn read(&self, value: &Value<'_>) -> Option<Param> {
        let scalar = scalar(value, "a number, a text or a truth value")?;
        let text = scalar.text.into_owned();
        let number = text.replace('_', "").parse::<f64>().ok().filter(|number| number.is_finite());
        Some(match (scalar.plain, number, truth(&text)) {
            (true, Some(number), _) => Param::Number(number.to_string()),
            (true, None, Some(flag)) => Param::Flag(flag),
            _ => Param::Text(text),
        })
    }

    fn placeholder(&self) -> Param {
        Param::Flag(false)
    }
}

/// A calendar date.
pub(super) struct Date;

impl Kind for Date {
    type Out = NaiveDate;

    fn schema(&self) -> Json {
        or_text(json!({"type": "string", "format": "date"}), r"^\d{4}-\d{2}-\d{2}$")
    }

    fn read(&self, value: &Value<'_>) -> Option<NaiveDate> {
        let scalar = scalar(value, "a date")?;
        let date = scalar.text.parse().ok().map(Day::date);
        if date.is_none() {
            value.fault(format!("{} is not a date", quoted(&scalar.text)), "write it as YYYY-MM-DD");
        }
        date
    }

    fn placeholder(&self) -> NaiveDate {
        NaiveDate::MIN
    }
}
