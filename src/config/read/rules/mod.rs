//! An operator's own rules: how product types are split, whom it is booked to, and what is allocated by time.
//!
//! In: `allocator_overrides`, `identity_resolution_overrides`, `interval_rule` of `plugin_settings`. Out:
//! [`Rules`]. Absent: the ecosystem's own rules; of them only the words are known, as a [`Vocabulary`].

mod file;
mod identities;
mod python;
mod splits;
mod vocabulary;
mod words;

pub use file::map_file;
pub use vocabulary::{CONFLUENT_WORDS, EXTERNAL_WORDS, GENERIC_WORDS, SELF_MANAGED_WORDS, Vocabulary};

use serde_json::{Value as Json, json};

use super::super::kind::{Kind, List};
use super::super::scalar::quoted;
use super::super::section::{Inner, Section, Value};
use super::super::text::Name;
use super::super::yaml::{Content, Node};
use super::super::{Rules, suggest};
use crate::domain::rule::ANY;
use crate::domain::rule::change::{Changes, OTHERWISE};

/// Reads the three keys.
pub(super) fn rules(s: &mut Section<'_>, words: Vocabulary) -> Rules {
    let doc = "how a product type's cost is split in place of the built-in rule; `otherwise`: types without a rule";
    let splits = s.default("allocator_overrides", Kept(splits::overrides(words)), (vec![], Json::Null), doc);
    let doc = "whom it is booked to in place of who is found, by product type, by service, or `any`";
    let none = (vec![], Json::Null);
    let identities = s.default("identity_resolution_overrides", Kept(identities::overrides()), none, doc);
    let doc = "product types, services or `any` whose lines are allocated for the part of their interval in which \
               the resource existed; the rest goes to UNALLOCATED";
    let interval = s.default("interval_rule", List(Name), vec![], doc);
    let known: Vec<&str> = words.products.iter().chain(words.services).copied().collect();
    for (key, special, names) in [
        ("allocator_overrides", OTHERWISE, splits.0.iter().map(|(name, _)| name).collect::<Vec<_>>()),
        ("identity_resolution_overrides", ANY, identities.0.iter().map(|(name, _)| name).collect()),
    ] {
        let known: Vec<&str> = if special == OTHERWISE { words.products.to_vec() } else { known.clone() };
        for name in names {
            doubt(s, key, name, &known, special);
        }
    }
    for (at, name) in interval.iter().enumerate() {
        if let Some(near) = unknown(name, &known, ANY) {
            s.fault_inside("interval_rule", Inner::Item(at), format!("{} is not known", quoted(name)), near);
        }
    }
    let written = [("allocator_overrides", splits.1), ("identity_resolution_overrides", identities.1)];
    let written = written.into_iter().filter(|(_, written)| !written.is_null());
    let mut written: serde_json::Map<String, Json> = written.map(|(key, json)| (key.to_owned(), json)).collect();
    if !interval.is_empty() {
        written.insert("interval_rule".to_owned(), json!(interval));
    }
    let named = |(name, split): (String, Option<splits::Read>)| Some((name, split?.into_override()));
    let changes = Changes {
        products: splits.0.into_iter().filter_map(named).collect(),
        identities: identities.0.into_iter().collect(),
        interval_rule: interval,
    };
    identities::limit(s, &changes.identities);
    Rules { changes, written }
}

/// A name nobody knows may be a product type of tomorrow, so it holds; it may also be a slip of the pen.
fn doubt(s: &Section<'_>, key: &str, name: &str, known: &[&str], special: &str) {
    if unknown(name, known, special).is_none() {
        return;
    }
    if let Some(near) = suggest::nearest(name, known).filter(|_| !known.is_empty()) {
        s.warn(key, format!("`{name}` is no name this version knows, and is used as it is; did you mean `{near}`?"));
    }
}

/// What to write in place of a name that is not known.
fn unknown(name: &str, known: &[&str], special: &str) -> Option<String> {
    // Without words of its own an ecosystem takes any name.
    if name == special || known.is_empty() || known.contains(&name) {
        return None;
    }
    let near = suggest::nearest(name, known);
    Some(near.map_or_else(
        || format!("use a product type, a service or `{special}`"),
        |near| format!("did you mean `{near}`?"),
    ))
}

/// A value, and how it was written.
struct Kept<K>(K);

impl<K: Kind> Kind for Kept<K> {
    type Out = (K::Out, Json);

    fn schema(&self) -> Json {
        self.0.schema()
    }

    fn read(&self, value: &Value<'_>) -> Option<Self::Out> {
        Some((self.0.read(value)?, as_json(value.node)))
    }

    fn placeholder(&self) -> Self::Out {
        (self.0.placeholder(), Json::Null)
    }

    fn may_be_empty(&self) -> bool {
        self.0.may_be_empty()
    }
}

fn as_json(node: &Node) -> Json {
    match &node.content {
        Content::Scalar { text, plain: true } => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        Content::Scalar { text, .. } => json!(text),
        Content::List(items) => items.iter().map(as_json).collect(),
        Content::Map(entries) => {
            Json::Object(entries.iter().map(|(key, node)| (key.text.clone(), as_json(node))).collect())
        }
    }
}
