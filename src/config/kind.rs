//! What may stand behind a key: containers, and the trait all kinds share.
//!
//! In: a [`Value`] of the file. Out: a checked value, or a fault. A kind also describes itself as JSON
//! Schema. Scalars are in `scalar`, addresses in `address`.

use std::marker::PhantomData;

use serde_json::{Value as Json, json};

use super::section::{Section, Value, describe};
use super::yaml::{Content, join};

/// A kind of value.
pub(super) trait Kind {
    type Out;

    /// Its JSON Schema.
    fn schema(&self) -> Json;

    /// Reads it; `None` after recording a fault.
    fn read(&self, value: &Value<'_>) -> Option<Self::Out>;

    /// Takes the place of a value that could not be read, so that reading goes on.
    fn placeholder(&self) -> Self::Out;

    /// A default, as the schema shows it.
    fn shown(&self, _: &Self::Out) -> Json {
        Json::Null
    }

    /// Does `key:` with nothing behind it stand for the default?
    fn may_be_empty(&self) -> bool {
        false
    }
}

/// A section.
pub(super) struct Object<F, R>(F, PhantomData<fn() -> R>);

/// A section that `read` reads.
pub(super) fn object<R, F: Fn(&mut Section<'_>) -> R>(read: F) -> Object<F, R> {
    Object(read, PhantomData)
}

impl<R, F: Fn(&mut Section<'_>) -> R> Object<F, R> {
    /// Reads one.
    pub fn apply(&self, section: &mut Section<'_>) -> R {
        (self.0)(section)
    }
}

impl<R, F: Fn(&mut Section<'_>) -> R> Kind for Object<F, R> {
    type Out = R;

    fn schema(&self) -> Json {
        describe(&self.0).1
    }

    fn read(&self, value: &Value<'_>) -> Option<R> {
        let Content::Map(entries) = &value.node.content else {
            wrong_shape(value, "a section of keys and values");
            return None;
        };
        let mut section = value.section(entries);
        let out = self.apply(&mut section);
        section.finish();
        Some(out)
    }

    fn placeholder(&self) -> R {
        describe(&self.0).0
    }

    fn may_be_empty(&self) -> bool {
        true
    }
}

/// A list of one kind. Entries that cannot be read are left out after their fault.
pub(super) struct List<K>(pub K);

impl<K: Kind> Kind for List<K> {
    type Out = Vec<K::Out>;

    fn schema(&self) -> Json {
        json!({"type": "array", "items": self.0.schema()})
    }

    fn read(&self, value: &Value<'_>) -> Option<Self::Out> {
        let Content::List(items) = &value.node.content else {
            wrong_shape(value, "a list");
            return None;
        };
        let paths = (0..).map(|at| format!("{}[{at}]", value.path));
        Some(paths.zip(items).filter_map(|(path, node)| self.0.read(&value.inner(path, node))).collect())
    }

    fn placeholder(&self) -> Self::Out {
        Vec::new()
    }

    fn shown(&self, out: &Self::Out) -> Json {
        out.iter().map(|item| self.0.shown(item)).collect()
    }

    fn may_be_empty(&self) -> bool {
        true
    }
}

/// A map from names of the operator's choice to one kind, in the order of the file.
pub(super) struct Names<K>(pub K);

impl<K: Kind> Kind for Names<K> {
    type Out = Vec<(String, K::Out)>;

    fn schema(&self) -> Json {
        json!({"type": "object", "additionalProperties": self.0.schema()})
    }

    fn read(&self, value: &Value<'_>) -> Option<Self::Out> {
        let Content::Map(entries) = &value.node.content else {
            wrong_shape(value, "a map of names to values");
            return None;
        };
        let read = entries.iter().filter_map(|(key, node)| {
            let mut inner = value.inner(join(&value.path, &key.text), node);
            inner.line = key.line;
            Some((key.text.clone(), self.0.read(&inner)?))
        });
        Some(read.collect())
    }

    fn placeholder(&self) -> Self::Out {
        Vec::new()
    }

    fn shown(&self, _: &Self::Out) -> Json {
        json!({})
    }

    fn may_be_empty(&self) -> bool {
        true
    }
}

/// Anything at all, not even searched for variables: it is not used.
pub(super) struct Anything;

impl Kind for Anything {
    type Out = ();

    fn schema(&self) -> Json {
        json!({})
    }

    fn read(&self, _: &Value<'_>) -> Option<()> {
        Some(())
    }

    fn placeholder(&self) {}
}

/// Faults a value for being a list instead of text and the like; its content is not told.
pub(super) fn wrong_shape(value: &Value<'_>, wanted: &str) {
    let found = match &value.node.content {
        _ if value.node.is_null() => "empty",
        Content::Scalar { .. } => "a single value",
        Content::List(_) => "a list",
        Content::Map(_) => "a section of keys and values",
    };
    value.fault(format!("is {found}, not {wanted}"), format!("write {wanted}, or remove the key"));
}
