//! One description of a section that both reads it and says what may stand in it.
//!
//! In: a [`Node`] and calls like `section.default("port", Int(1..=65535), 8080, "…")`. Out: values, faults
//! and warnings; or, run without a node by [`describe`], the section's JSON Schema. Absent: any knowledge
//! of what the keys mean. A fault never stops the reading: a stand-in value takes the place, so that
//! all faults are found at once.

use serde_json::{Map, Value as Json, json};

use super::fault::{Fault, Warning};
use super::kind::Kind;
use super::reader::Reader;
use super::suggest;
use super::yaml::{Content, Key, Node, join};

/// What `read` would read: its JSON Schema.
pub(super) fn describe<R>(read: impl FnOnce(&mut Section<'_>) -> R) -> (R, Json) {
    let reader = Reader::describing();
    let mut section = Section::new(&reader, String::new(), None, None);
    let out = read(&mut section);
    (out, section.schema())
}

/// A value that a [`Kind`] reads, with the place it stands at.
pub(super) struct Value<'a> {
    pub reader: &'a Reader<'a>,
    pub path: String,
    pub line: Option<usize>,
    pub node: &'a Node,
    /// Not searched for `${…}`: it is a variable's value itself.
    pub verbatim: bool,
}

impl<'a> Value<'a> {
    /// Records a fault of this value.
    pub fn fault(&self, problem: impl Into<String>, remedy: impl Into<String>) {
        let (problem, remedy) = (problem.into(), remedy.into());
        self.reader.fault(Fault { path: self.path.clone(), line: self.line, problem, remedy });
    }

    /// A value inside this one.
    pub fn inner<'b>(&'b self, path: String, node: &'b Node) -> Value<'b> {
        Value { reader: self.reader, path, line: node.line.or(self.line), node, verbatim: self.verbatim }
    }

    /// This value as a section.
    pub fn section(&self, entries: &'a [(Key, Node)]) -> Section<'a> {
        Section::new(self.reader, self.path.clone(), self.line, Some(entries))
    }
}

/// Something inside a key's value.
#[derive(Clone, Copy)]
pub(super) enum Inner<'a> {
    Key(&'a str),
    Item(usize),
}

/// A map with known keys, while it is read.
pub(super) struct Section<'a> {
    reader: &'a Reader<'a>,
    path: String,
    line: Option<usize>,
    /// `None`: the section is not in the file.
    entries: Option<&'a [(Key, Node)]>,
    known: Vec<&'static str>,
    properties: Map<String, Json>,
    required: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub fn new(reader: &'a Reader<'a>, path: String, line: Option<usize>, entries: Option<&'a [(Key, Node)]>) -> Self {
        Self { reader, path, line, entries, known: vec![], properties: Map::new(), required: vec![] }
    }

    /// A key that must be there.
    pub fn required<K: Kind>(&mut self, key: &'static str, kind: K, doc: &str) -> K::Out {
        self.describe(key, &kind, doc, false, Json::Null);
        self.required.push(key);
        match self.value(key) {
            Some(value) => kind.read(&value).unwrap_or_else(|| kind.placeholder()),
            None => {
                self.fault(key, "is missing", format!("add it: {doc}"));
                kind.placeholder()
            }
        }
    }

    /// A key with a default. An empty value is a fault, except for lists and maps.
    pub fn default<K: Kind>(&mut self, key: &'static str, kind: K, default: K::Out, doc: &str) -> K::Out {
        self.describe(key, &kind, doc, kind.may_be_empty(), kind.shown(&default));
        match self.value(key) {
            Some(value) if !(value.node.is_null() && kind.may_be_empty()) => kind.read(&value).unwrap_or(default),
            _ => default,
        }
    }

    /// A key that may be left out or empty.
    pub fn optional<K: Kind>(&mut self, key: &'static str, kind: K, doc: &str) -> Option<K::Out> {
        self.describe(key, &kind, doc, true, Json::Null);
        let value = self.value(key).filter(|value| !value.node.is_null())?;
        kind.read(&value)
    }

    /// An optional key that a variable of the environment overrides; an empty variable does not count.
    pub fn optional_or_env<K: Kind>(
        &mut self,
        key: &'static str,
        variable: &str,
        kind: K,
        doc: &str,
    ) -> Option<K::Out> {
        let Some(text) = (self.reader.env)(variable).filter(|text| !text.is_empty()) else {
            return self.optional(key, kind, doc);
        };
        self.known.push(key);
        let node = Node { line: None, content: Content::Scalar { text, plain: false } };
        let path = format!("environment variable {variable}");
        kind.read(&Value { reader: self.reader, path, line: None, node: &node, verbatim: true })
    }

    /// A section all of whose keys have defaults, or whose missing keys are told one by one.
    pub fn section<R>(&mut self, key: &'static str, read: impl Fn(&mut Section<'_>) -> R, doc: &str) -> R {
        let kind = super::kind::object(read);
        self.describe(key, &kind, doc, true, Json::Null);
        match self.value(key).filter(|value| !value.node.is_null()) {
            Some(value) => kind.read(&value).unwrap_or_else(|| kind.placeholder()),
            None => {
                let mut empty = Section::new(self.reader, join(&self.path, key), self.line, None);
                kind.apply(&mut empty)
            }
        }
    }

    /// A key of Chitragupta that has no meaning here: still checked, then left with a warning.
    pub fn ignored<K: Kind>(&mut self, key: &'static str, kind: K, instead: &str) {
        self.describe(key, &kind, instead, true, Json::Null);
        if let Some(Json::Object(property)) = self.properties.get_mut(key) {
            property.insert("deprecated".into(), true.into());
        }
        if let Some(value) = self.value(key).filter(|value| !value.node.is_null()) {
            kind.read(&value);
            self.warn(key, format!("has no effect: {instead}"));
        }
    }

    /// Says that a key's value may have any of these shapes, where another key decides which.
    pub fn shapes(&mut self, key: &'static str, shapes: impl FnOnce() -> Vec<Json>) {
        if self.reader.describing {
            let doc = self.properties.get(key).map_or(Json::Null, |property| property["description"].clone());
            self.properties.insert(key.into(), json!({"anyOf": shapes(), "description": doc}));
        }
    }

    /// Accepts a key without looking at it, after a fault that makes it unreadable.
    pub fn pass(&mut self, key: &'static str) {
        self.known.push(key);
    }

    /// A variable of the environment.
    pub fn variable(&self, name: &str) -> Option<String> {
        (self.reader.env)(name)
    }

    /// Is the key in the file, with something behind it?
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some_and(|(_, node)| !node.is_null())
    }

    /// Are these keys free of faults? What compares several keys asks first.
    pub fn sound(&self, keys: &[&str]) -> bool {
        !keys.iter().any(|key| self.reader.faulty(&join(&self.path, key)))
    }

    /// Records a fault of a key, or of the section if the key is not there.
    pub fn fault(&self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        let (path, line) = self.at(key);
        self.reader.fault(Fault { path, line, problem: problem.into(), remedy: remedy.into() });
    }

    /// Records a fault of something inside a key's map or list.
    pub fn fault_inside(&self, key: &str, inner: Inner<'_>, problem: impl Into<String>, remedy: impl Into<String>) {
        let (path, line) = self.at(key);
        let content = self.entry(key).map(|(_, node)| &node.content);
        let (path, inner_line) = match (inner, content) {
            (Inner::Key(name), Some(Content::Map(entries))) => {
                let entry = entries.iter().find(|(entry, _)| entry.text == name);
                (join(&path, name), entry.and_then(|(key, _)| key.line))
            }
            (Inner::Item(at), Some(Content::List(items))) => {
                (format!("{path}[{at}]"), items.get(at).and_then(|item| item.line))
            }
            _ => (path, None),
        };
        let (problem, remedy) = (problem.into(), remedy.into());
        self.reader.fault(Fault { path, line: inner_line.or(line), problem, remedy });
    }

    /// Records a warning of a key.
    pub fn warn(&self, key: &str, message: impl Into<String>) {
        let (path, line) = self.at(key);
        self.reader.warn(Warning { path, line, message: message.into() });
    }

    /// Faults every key nobody asked for. At the top `x-…` is free: a place for anchors.
    pub fn finish(&self) {
        for (key, _) in self.entries.into_iter().flatten() {
            let anchors = self.path.is_empty() && key.text.starts_with("x-");
            if !anchors && !self.known.contains(&key.text.as_str()) {
                let path = join(&self.path, &key.text);
                let (problem, remedy) = suggest::unknown("key", &key.text, &self.known);
                self.reader.fault(Fault { path, line: key.line, problem, remedy });
            }
        }
    }

    /// The JSON Schema of what was asked for.
    pub fn schema(self) -> Json {
        let mut schema = json!({"type": "object", "properties": self.properties, "additionalProperties": false});
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        schema
    }

    fn at(&self, key: &str) -> (String, Option<usize>) {
        let line = self.entry(key).map_or(self.line, |(key, _)| key.line);
        (join(&self.path, key), line)
    }

    fn entry(&self, key: &str) -> Option<&'a (Key, Node)> {
        self.entries?.iter().find(|(entry, _)| entry.text == key)
    }

    fn value(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        let (_, node) = self.entry(key)?;
        let (path, line) = self.at(key);
        Some(Value { reader: self.reader, path, line, node, verbatim: false })
    }

    /// `nullable`: the key may have nothing behind it.
    fn describe<K: Kind>(&mut self, key: &'static str, kind: &K, doc: &str, nullable: bool, default: Json) {
        if !self.reader.describing {
            return;
        }
        let mut property = kind.schema();
        if nullable {
            property = or_null(property);
        }
        property["description"] = doc.into();
        if !default.is_null() {
            property["default"] = default;
        }
        self.properties.insert(key.into(), property);
    }
}

fn or_null(mut schema: Json) -> Json {
    match &schema["type"] {
        Json::String(name) => schema["type"] = json!([name, "null"]),
        Json::Array(names) => schema["type"] = names.iter().cloned().chain([json!("null")]).collect(),
        _ => {
            if let Some(Json::Array(shapes)) = schema.get_mut("anyOf") {
                shapes.push(json!({"type": "null"}));
            }
        }
    }
    schema
}
