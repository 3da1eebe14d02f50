//! Words that stand for a split, and lists of names.

use serde_json::{Value as Json, json};

use super::super::super::kind::{Kind, List};
use super::super::super::scalar::{quoted, scalar};
use super::super::super::section::Value;
use super::super::super::suggest;
use super::super::super::text::Name;
use super::super::super::yaml::Content;
use super::python;
use crate::domain::rule::Split;

/// One name or several.
pub(super) struct OneOrMore;

/// Names that say over whom an even split goes.
pub(super) struct Few(pub Vec<String>);

impl Kind for OneOrMore {
    type Out = Vec<String>;

    fn schema(&self) -> Json {
        json!({"anyOf": [Name.schema(), {"type": "array", "items": Name.schema(), "minItems": 1}]})
    }

    fn read(&self, value: &Value<'_>) -> Option<Vec<String>> {
        let names = match &value.node.content {
            Content::List(_) => List(Name).read(value)?,
            _ => vec![Name.read(value)?],
        };
        if names.is_empty() {
            value.fault("is an empty list", "write at least one name, or remove the key");
            return None;
        }
        Some(names)
    }

    fn placeholder(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Splits that may stand alone.
pub(super) const WORDS: [&str; 4] = ["even", "owner", "resource", "unallocated"];
/// Keys of a section, one of which says how to split.
pub(super) const WAYS: [&str; 7] = ["even", "by_usage", "shares", "to", "split", "first_that_fits", "mix"];

/// A split that needs no more than its name.
pub(super) struct Word;

impl Kind for Word {
    type Out = Split;

    fn schema(&self) -> Json {
        json!({"enum": WORDS})
    }

    fn read(&self, value: &Value<'_>) -> Option<Split> {
        word(value)
    }

    fn placeholder(&self) -> Split {
        Split::Unallocated
    }
}

/// The split that a word stands for.
pub(super) fn word(value: &Value<'_>) -> Option<Split> {
    let text = scalar(value, "a split")?.text.trim().to_owned();
    let split = match text.as_str() {
        "even" => Some(Split::EvenActive),
        "owner" => Some(Split::ToOwner),
        "resource" => Some(Split::ToResource),
        "unallocated" => Some(Split::Unallocated),
        _ => None,
    };
    if split.is_none() {
        let (problem, remedy) = python::split(&text).unwrap_or_else(|| {
            let near =
                suggest::nearest(&text, &[&WORDS[..], &WAYS].concat()).map(|near| format!("did you mean `{near}`?"));
            let words =
                format!("write one of {}, or a section with one of {}", suggest::list(&WORDS), suggest::list(&WAYS));
            (format!("{} is no split", quoted(&text)), near.unwrap_or(words))
        });
        value.fault(problem, remedy);
    }
    split
}
