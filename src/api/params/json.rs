//! JSON as typed values; of what is not what is asked for it says which member is wrong, and what is wanted there.
//!
//! The values are read by serde. Its own words are for programmers, so a body that it refuses is read a second time, by a
//! deserializer that keeps the way to where it is.

use std::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use crate::api::problem::{Fault, Problem};

/// What no text of the tables can hold, as JSON writes it.
const ZERO_BYTE: &[u8] = b"\\u0000";
/// Characters of a caller's text that are repeated.
const REPEATED: usize = 60;

/// Reads JSON.
///
/// # Errors
/// A [`Problem`] that says where it is not what is asked for.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.windows(ZERO_BYTE.len()).any(|part| part == ZERO_BYTE) {
        return Err(Problem::of_parameters(vec![Fault::new("body", "a text in it holds a zero byte (\\u0000)")]));
    }
    // Serde would take a list for the members of an object, too.
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    let read = serde_json::from_slice(bytes).map_err(|error| fault::<T>(bytes, &error.to_string()));
    let read = if is_object { read } else { read.and_then(|_: T| Err(fault::<T>(bytes, "an object is wanted"))) };
    read.map_err(|fault| Problem::of_parameters(vec![fault]))
}

/// What is wrong with a body that serde refuses as a `T`.
fn fault<T: DeserializeOwned>(bytes: &[u8], error: &str) -> Fault {
    if bytes.trim_ascii().is_empty() {
        return Fault::new("body", "it is empty; an object of JSON is wanted");
    }
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return Fault::new("body", format!("it is no JSON: {error}"));
    };
    match T::deserialize(At(&value)) {
        Err(Wrong { path, message, .. }) => Fault::new(if path.is_empty() { "body" } else { path.as_str() }, message),
        // The second reading takes the last of two members with one name.
        Ok(_) => Fault::new("body", error),
    }
}

/// What is wrong, and where.
#[derive(Debug)]
struct Wrong {
    /// `items[3].key`; empty for the whole.
    path: String,
    message: String,
    /// Was it said by a type about its text, without what is wanted?
    bare: bool,
}

impl Wrong {
    fn new(path: &str, message: String) -> Self {
        Self { path: path.to_owned(), message, bare: false }
    }

    /// The same, seen from outside of `step`, which is a member's name or `[place]`.
    fn within(mut self, step: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{dot}{}", self.path);
        self
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: Display>(message: T) -> Self {
        Self { bare: true, ..Self::new("", message.to_string()) }
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new("", format!("this is {}; {} is wanted", in_words(&found), wish(wanted)))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::invalid_type(found, wanted)
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::new("", format!("{} is none of {}", quoted(variant), known.join(", ")))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(field, format!("there is no such member here; there are {}", known.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(field, "it is missing, and has to be there".to_owned())
    }
}

/// What was found, in words that follow "this is".
fn in_words(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(text) => format!("the text {}", quoted(text)),
        Unexpected::Unit => "null".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(REPEATED) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// What a type says that it expects, in words that stand before "is wanted".
fn wish(of: &dyn Expected) -> String {
    let text = of.to_string();
    let words = match text.as_str() {
        "a string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "u32" | "u64" | "usize" => "a whole number that is not below 0",
        "a formatted date string" => "a day such as \"2026-02-28\"",
        "an RFC 3339 formatted date and time string" => "a moment such as \"2026-02-28T12:00:00Z\"",
        text if text.starts_with("struct ") => "an object",
        text if text.starts_with("enum ") => "a text",
        text => text,
    };
    words.to_owned()
}

/// A value, to be read as some type.
#[derive(Debug, Clone, Copy)]
struct At<'v>(&'v Value);

impl<'de> Deserializer<'de> for At<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => {
                let wanted = wish(&visitor);
                visitor.visit_borrowed_str(text).map_err(|wrong: Wrong| match wrong.bare {
                    true => Wrong::new("", format!("{} cannot be read; {wanted} is wanted", quoted(text))),
                    false => wrong,
                })
            }
            Value::Array(values) => visitor.visit_seq(Items { values: values.iter().enumerate() }),
            Value::Object(members) => visitor.visit_map(Members { members: members.iter(), at: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::String(text) => {
                let text: StrDeserializer<'_, Wrong> = text.as_str().into_deserializer();
                visitor.visit_enum(text)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Array(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// The members of an object.
struct Members<'v> {
    members: serde_json::map::Iter<'v>,
    /// The one whose name was read.
    at: Option<(&'v str, &'v Value)>,
}

impl<'v> MapAccess<'v> for Members<'v> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'v>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        self.at = self.members.next().map(|(name, value)| (name.as_str(), value));
        let name = self.at.map(|(name, _)| IntoDeserializer::<Wrong>::into_deserializer(name));
        name.map(|name: StrDeserializer<'_, Wrong>| seed.deserialize(name)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'v>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let (name, value) = self.at.take().unwrap_or(("", &Value::Null));
        seed.deserialize(At(value)).map_err(|wrong| wrong.within(name))
    }
}

/// The items of a list.
struct Items<'v> {
    values: std::iter::Enumerate<std::slice::Iter<'v, Value>>,
}

impl<'v> SeqAccess<'v> for Items<'v> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'v>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let next = self.values.next();
        next.map(|(at, value)| seed.deserialize(At(value)).map_err(|wrong| wrong.within(&format!("[{at}]"))))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate, Utc};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by nobody but serde")]
    struct Wanted {
        name: String,
        #[serde(default)]
        items: Vec<Item>,
        day: Option<NaiveDate>,
        at: Option<DateTime<Utc>>,
        top: Option<u32>,
        #[serde(default)]
        force: bool,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by nobody but serde")]
    struct Item {
        form: Form,
        keys: Option<Vec<String>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Form {
        Csv,
        Ndjson,
    }

    fn told(body: &str) -> String {
        let problem = json::<Wanted>(body.as_bytes()).expect_err(body);
        let fault = &problem.errors[0];
        format!("{}: {}", fault.pointer, fault.message)
    }

    #[test]
    fn the_member_is_named_with_what_is_wanted() {
        for (body, says) in [
            ("[]", "body: this is a list; an object is wanted"),
            (r#"["x"]"#, "body: this is a list; an object is wanted"),
            ("", "body: it is empty; an object of JSON is wanted"),
            (r#"{"name": 5}"#, "name: this is 5; a text is wanted"),
            (r#"{"name": null}"#, "name: this is null; a text is wanted"),
            ("{}", "name: it is missing, and has to be there"),
            (
                r#"{"name": "x", "colour": 1}"#,
                "colour: there is no such member here; there are name, items, day, at, top, force",
            ),
            (r#"{"name": "x", "force": "yes"}"#, "force: this is the text \"yes\"; true or false is wanted"),
            (r#"{"name": "x", "top": -1}"#, "top: this is -1; a whole number that is not below 0 is wanted"),
            (r#"{"name": "x", "top": 1.5}"#, "top: this is 1.5; a whole number that is not below 0 is wanted"),
            (
                r#"{"name": "x", "day": "2026-13-40"}"#,
                "day: \"2026-13-40\" cannot be read; a day such as \"2026-02-28\" is wanted",
            ),
            (r#"{"name": "x", "day": 7}"#, "day: this is 7; a day such as \"2026-02-28\" is wanted"),
            (
                r#"{"name": "x", "at": "soon"}"#,
                "at: \"soon\" cannot be read; a moment such as \"2026-02-28T12:00:00Z\" is wanted",
            ),
            (r#"{"name": "x", "items": {}}"#, "items: this is an object; a list is wanted"),
            (
                r#"{"name": "x", "items": [{"form": "csv"}, {"form": "pdf"}]}"#,
                "items[1].form: \"pdf\" is none of csv, ndjson",
            ),
            (r#"{"name": "x", "items": [{"form": 1}]}"#, "items[0].form: this is 1; a text is wanted"),
            (r#"{"name": "x", "items": [{}]}"#, "items[0].form: it is missing, and has to be there"),
            (
                r#"{"name": "x", "items": [{"form": "csv", "keys": ["a", 1]}]}"#,
                "items[0].keys[1]: this is 1; a text is wanted",
            ),
        ] {
            assert_eq!(told(body), says, "{body}");
        }
        let form = json::<Item>(br#"{"form": "ndjson"}"#).expect("an item").form;
        assert!(matches!(form, Form::Ndjson) && !matches!(form, Form::Csv));
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        assert_eq!(told("{\"name\": \"x\",\n]"), "body: it is no JSON: key must be a string at line 2 column 1");
        assert!(told(r#"{"name": "x", "name": "y"}"#).contains("duplicate field `name`"));
        assert!(told("{\"name\": \"\\u0000\"}").contains("zero byte"));
        let long = told(&format!(r#"{{"name": "x", "force": "{}"}}"#, "é".repeat(5000)));
        assert!(long.len() < 250, "{long}");
    }
}
