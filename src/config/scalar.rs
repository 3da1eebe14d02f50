//! Single values: text, secrets, numbers, truth values, words to choose from.
//!
//! In: text, with or without quotes, after `${…}`. Out: typed values. Numeric text becomes a number and
//! the words of YAML 1.1 become truth values, as in Chitragupta; a number never becomes text.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;

use chrono::NaiveDate;
use serde_json::{Value as Json, json};

use super::kind::{Kind, wrong_shape};
use super::section::Value;
use super::substitute::substitute;
use super::suggest;
use super::yaml::Content;
use super::{Param, Secret};

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

const VARIABLE: &str = r"\$\{[^}]+\}";

/// The schema of something that may also come out of a variable.
fn or_text(schema: Json, pattern: &str) -> Json {
    json!({"anyOf": [schema, {"type": "string", "pattern": format!("{pattern}|{VARIABLE}")}]})
}

/// Text, possibly empty.
pub(super) struct Text;

impl Kind for Text {
    type Out = String;

    fn schema(&self) -> Json {
        json!({"type": "string"})
    }

    fn read(&self, value: &Value<'_>) -> Option<String> {
        text(value, false)
    }

    fn placeholder(&self) -> String {
        String::new()
    }

    fn shown(&self, out: &String) -> Json {
        json!(out)
    }
}

/// Text of a value; a number in its place is told unless it is a `secret`.
fn text(value: &Value<'_>, secret: bool) -> Option<String> {
    let scalar = scalar(value, "text")?;
    let found = match scalar.text.as_ref() {
        text if !scalar.plain => return Some(text.to_owned()),
        text if is_number(text) => "number",
        text if ["true", "false"].contains(&text.to_lowercase().as_str()) => "truth value",
        text => return Some(text.to_owned()),
    };
    let shown = if secret { "***" } else { scalar.text.as_ref() };
    value.fault(format!("the {found} {shown} is not text"), format!("put it in quotes: \"{shown}\""));
    None
}

/// Would Chitragupta's loader have read it as a number?
fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']).replace('_', "");
    let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let broken = digits.contains('.') && digits.starts_with(['.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    let special = [".inf", ".nan"].contains(&digits.to_lowercase().as_str());
    let hexadecimal = digits.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    whole || special || hexadecimal || broken && digits.parse::<f64>().is_ok()
}

/// Text with at least one character that is not blank.
pub(super) struct Name;

impl Kind for Name {
    type Out = String;

    fn schema(&self) -> Json {
        json!({"type": "string", "minLength": 1})
    }

    fn read(&self, value: &Value<'_>) -> Option<String> {
        let text = Text.read(value)?;
        if text.trim().is_empty() {
            value.fault(format!("{} is empty", quoted(&text)), "write a name");
            return None;
        }
        Some(text)
    }

    fn placeholder(&self) -> String {
        String::new()
    }

    fn shown(&self, out: &String) -> Json {
        json!(out)
    }
}

/// Letters, digits and `._-`, at most so many: what Kafka allows in names.
pub(super) struct Word {
    pub min: usize,
    pub max: usize,
}

impl Kind for Word {
    type Out = String;

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": format!("^[A-Za-z0-9._-]{{{},{}}}$|{VARIABLE}", self.min, self.max)})
    }

    fn read(&self, value: &Value<'_>) -> Option<String> {
        let text = Text.read(value)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if text.chars().all(allowed) && (self.min..=self.max).contains(&text.len()) {
            return Some(text);
        }
        let remedy = format!("use {} to {} letters, digits, dots, underscores and hyphens", self.min, self.max);
        value.fault(format!("{} is not a name Kafka allows", quoted(&text)), remedy);
        None
    }

    fn placeholder(&self) -> String {
        String::new()
    }

    fn shown(&self, out: &String) -> Json {
        json!(out)
    }
}

/// A credential; never empty.
pub(super) struct SecretText;

impl Kind for SecretText {
    type Out = Secret;

    fn schema(&self) -> Json {
        json!({"type": "string", "minLength": 1})
    }

    fn read(&self, value: &Value<'_>) -> Option<Secret> {
        let text = text(value, true)?;
        if text.is_empty() {
            value.fault("is empty", "write the secret, best as `${NAME}` with the value in the environment");
            return None;
        }
        Some(Secret::new(text))
    }

    fn placeholder(&self) -> Secret {
        Secret::new("")
    }
}

/// A credential that an empty text leaves out, as in `${PASSWORD:-}`.
pub(super) struct MaybeSecret;

impl Kind for MaybeSecret {
    type Out = Option<Secret>;

    fn schema(&self) -> Json {
        json!({"type": "string"})
    }

    fn read(&self, value: &Value<'_>) -> Option<Option<Secret>> {
        let text = text(value, true)?;
        Some((!text.is_empty()).then(|| Secret::new(text)))
    }

    fn placeholder(&self) -> Option<Secret> {
        None
    }
}

/// A whole number within bounds.
pub(super) struct Int<T>(pub RangeInclusive<T>);

impl<T: Copy + Display + PartialOrd + Into<i128> + TryFrom<i128>> Kind for Int<T> {
    type Out = T;

    fn schema(&self) -> Json {
        let (least, most): (i128, i128) = ((*self.0.start()).into(), (*self.0.end()).into());
        let mut number = json!({"type": "integer", "minimum": least as i64});
        if most < i128::from(u32::MAX) {
            number["maximum"] = json!(most as i64);
        }
        or_text(number, r"^\s*[-+]?\d+\s*$")
    }

    fn read(&self, value: &Value<'_>) -> Option<T> {
        let scalar = scalar(value, "a whole number")?;
        let bounds = self.bounds();
        let Some(number) = whole(&scalar.text) else {
            value.fault(format!("{} is not a whole number", quoted(&scalar.text)), format!("write one {bounds}"));
            return None;
        };
        if scalar.plain
            && scalar.text.trim_start_matches(['+', '-']).starts_with('0')
            && scalar.text.len() > 1
            && number != 0
        {
            let problem = format!("{} may mean two numbers: older YAML reads it as octal", scalar.text);
            value.fault(problem, "write it without zeros in front");
            return None;
        }
        let fits = T::try_from(number).ok().filter(|number| self.0.contains(number));
        if fits.is_none() {
            value.fault(format!("{number} is not {bounds}"), format!("write a whole number {bounds}"));
        }
        fits
    }

    fn placeholder(&self) -> T {
        *self.0.start()
    }

    fn shown(&self, out: &T) -> Json {
        let number: i128 = (*out).into();
        json!(number as i64)
    }
}

impl<T: Copy + Display + Into<i128>> Int<T> {
    fn bounds(&self) -> String {
        let most: i128 = (*self.0.end()).into();
        match most < i128::from(i32::MAX) {
            true => format!("between {} and {}", self.0.start(), self.0.end()),
            false => format!("at least {}", self.0.start()),
        }
    }
}

/// `10`, ` 10 `, `1_000`, `10.0`.
fn whole(text: &str) -> Option<i128> {
    let text = text.trim();
    let text = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    };
    text.replace('_', "").parse().ok()
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
        let forms = |word: &str| [word.to_owned(), word.to_lowercase(), word.to_uppercase()];
        let mut words: Vec<_> = self.0.iter().flat_map(|(word, _)| forms(word)).collect();
        words.sort();
        words.dedup();
        json!({"anyOf": [{"enum": words}, {"type": "string", "pattern": VARIABLE}]})
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
        let date = NaiveDate::parse_from_str(&scalar.text, "%Y-%m-%d").ok();
        if date.is_none() {
            value.fault(format!("{} is not a date", quoted(&scalar.text)), "write it as YYYY-MM-DD");
        }
        date
    }

    fn placeholder(&self) -> NaiveDate {
        NaiveDate::MIN
    }
}
