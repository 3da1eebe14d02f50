//! One word, or a list of them.

use serde_json::{Value as Json, json};

use super::super::super::kind::{Kind, List};
use super::super::super::section::Value;
use super::super::super::text::Name;
use super::super::super::yaml::Content;

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
