//! YAML text to a tree that knows its lines.
//!
//! In: the text. Out: [`Node`]s whose scalars are still text, and the faults of the text itself.
//! Absent: what a scalar means; the field that reads it decides. Anchors, aliases and merge keys (`<<`)
//! work as in Chitragupta's loader; a key written twice is a fault there is not.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::fault::{Fault, WHOLE_FILE};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub line: Option<usize>,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// `plain`: without quotes, so it may be a number, a truth value or nothing.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The key of a map's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub text: String,
    pub line: Option<usize>,
    plain: bool,
}

impl Node {
    /// `key:` with nothing behind it, or `null`.
    pub fn is_null(&self) -> bool {
        const NULLS: [&str; 5] = ["", "~", "null", "Null", "NULL"];
        matches!(&self.content, Content::Scalar { text, plain: true } if NULLS.contains(&text.as_str()))
    }
}

/// The tree of a text; `None` for an empty one. Faults that leave a usable tree come with it.
pub(super) fn parse(text: &str) -> Result<(Option<Node>, Vec<Fault>), Fault> {
    let mut builder =
        Builder { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), copied: 0, depth: 0, faults: vec![] };
    let root = builder.documents().map_err(|stop| stop.into_fault())?;
    Ok((root, builder.faults))
}

const MAX_DEPTH: usize = 64;
const MAX_COPIED: usize = 100_000;

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Finished nodes by anchor.
    anchors: BTreeMap<usize, Node>,
    /// Nodes that aliases have repeated so far.
    copied: usize,
    depth: usize,
    faults: Vec<Fault>,
}

/// Why no tree can be built.
struct Stop {
    line: Option<usize>,
    problem: String,
    remedy: &'static str,
}

impl Stop {
    fn at(span: Span, problem: impl Into<String>, remedy: &'static str) -> Self {
        Self { line: Some(span.start.line()), problem: problem.into(), remedy }
    }

    fn into_fault(self) -> Fault {
        Fault { path: WHOLE_FILE.into(), line: self.line, problem: self.problem, remedy: self.remedy.into() }
    }
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        let problem = format!("this is not YAML: {} (column {})", error.info(), error.marker().col() + 1);
        let remedy = "check indentation, quotes and brackets there and on the line before";
        Self { line: Some(error.marker().line()), problem, remedy }
    }
}

impl Builder<'_> {
    fn next(&mut self) -> Result<(Event<'_>, Span), Stop> {
        let end = Stop { line: None, problem: "the text ends too early".into(), remedy: "restore the file's end" };
        Ok(self.parser.next().ok_or(end)??)
    }

    fn documents(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        let mut documents = 0;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::DocumentStart(_), span) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(Stop::at(
                            span,
                            "a second document begins",
                            "keep one document, without `---` between",
                        ));
                    }
                    root = Some(self.node("")?).filter(|node| !node.is_null());
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, path: &str) -> Result<Node, Stop> {
        let (event, span) = self.next()?;
        let line = Some(span.start.line());
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = is_plain(style, tag.as_deref(), span)?;
                (Content::Scalar { text: text.into_owned(), plain }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), span)?;
                (self.list(path, span)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), span)?;
                (self.map(path, span)?, anchor)
            }
            Event::Alias(anchor) => (self.alias(anchor, span)?, 0),
            other => return Err(Stop::at(span, format!("a value is missing ({other:?})"), "write one")),
        };
        let node = Node { line, content };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn deeper(&mut self, span: Span) -> Result<(), Stop> {
        self.depth += 1;
        let remedy = "no configuration is that deep; look for a wrong indentation or brackets";
        if self.depth > MAX_DEPTH { Err(Stop::at(span, "values lie too deep", remedy)) } else { Ok(()) }
    }

    fn list(&mut self, path: &str, span: Span) -> Result<Content, Stop> {
        self.deeper(span)?;
        let mut items = Vec::new();
        while !matches!(self.parser.peek(), Some(Ok((Event::SequenceEnd, _)))) {
            items.push(self.node(&format!("{path}[{}]", items.len()))?);
        }
        self.next()?;
        self.depth -= 1;
        Ok(Content::List(items))
    }

    fn map(&mut self, path: &str, span: Span) -> Result<Content, Stop> {
        self.deeper(span)?;
        let mut entries: Vec<(Key, Node)> = Vec::new();
        while !matches!(self.parser.peek(), Some(Ok((Event::MappingEnd, _)))) {
            let key = self.key(path)?;
            let (outer, path) = (path, join(path, &key.text));
            let value = self.node(&path)?;
            match entries.iter().position(|(earlier, _)| earlier.text == key.text) {
                Some(at) => self.faults.push(twice(path, &entries[at].0, &key)),
                None if key.plain && value.is_null() && key.text.contains(':') => self.faults.push(glued(outer, &key)),
                None => entries.push((key, value)),
            }
        }
        self.next()?;
        self.depth -= 1;
        merged(entries).map(Content::Map)
    }

    fn key(&mut self, path: &str) -> Result<Key, Stop> {
        let line = match self.parser.peek() {
            Some(Ok((_, span))) => Some(span.start.line()),
            _ => None,
        };
        match self.node(path)?.content {
            Content::Scalar { text, plain } => Ok(Key { text, line, plain }),
            _ => Err(Stop {
                line,
                problem: "a key is a list or a section".into(),
                remedy: "use a plain word as the key",
            }),
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Content, Stop> {
        let remedy = "give it an `&anchor` further up";
        let missing = Stop::at(span, "this `*alias` names a value that is not complete yet", remedy);
        let node = self.anchors.get(&anchor).ok_or(missing)?;
        self.copied += size(node);
        if self.copied > MAX_COPIED {
            return Err(Stop::at(span, "aliases repeat too much", "write the values out"));
        }
        Ok(node.content.clone())
    }
}

/// `{password:secret}` is a key without a value; what stands behind its colon is not told.
fn glued(outer: &str, key: &Key) -> Fault {
    let name = key.text.split(':').next().unwrap_or_default();
    let (path, problem) = (join(outer, name), "has no blank behind its colon".into());
    Fault { path, line: key.line, problem, remedy: format!("write `{name}: …`") }
}

fn twice(path: String, first: &Key, second: &Key) -> Fault {
    let problem = match first.line {
        Some(line) => format!("is written twice, first on line {line}"),
        None => "is written twice".into(),
    };
    Fault { path, line: second.line, problem, remedy: "keep one of them".into() }
}

fn size(node: &Node) -> usize {
    1 + match &node.content {
        Content::Scalar { .. } => 0,
        Content::List(items) => items.iter().map(size).sum(),
        Content::Map(entries) => entries.iter().map(|(_, value)| size(value)).sum(),
    }
}

/// `<<: *defaults`: what is written here wins, then what the earlier map says.
fn merged(entries: Vec<(Key, Node)>) -> Result<Vec<(Key, Node)>, Stop> {
    let is_merge = |key: &Key| key.plain && key.text == "<<";
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| is_merge(key));
    for (key, node) in merges {
        let maps = match node.content {
            Content::List(items) => items,
            _ => vec![node],
        };
        for map in maps {
            let Content::Map(inherited) = map.content else {
                let remedy = "write `<<: *name` with an anchor that stands before a section";
                return Err(Stop {
                    line: key.line,
                    problem: "`<<` merges something that is no section".into(),
                    remedy,
                });
            };
            let news = inherited.into_iter().filter(|(key, _)| !own.iter().any(|(mine, _)| mine.text == key.text));
            let news: Vec<_> = news.collect();
            own.extend(news);
        }
    }
    Ok(own)
}

fn is_plain(style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<bool, Stop> {
    let plain = style == ScalarStyle::Plain;
    match tag {
        None => Ok(plain),
        Some(tag) if tag.is_yaml_core_schema() => Ok(tag.suffix != "str"),
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Ok(false),
        Some(tag) => refuse_tag(Some(tag), span).map(|()| plain),
    }
}

fn refuse_tag(tag: Option<&Tag>, span: Span) -> Result<(), Stop> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() => {
            Err(Stop::at(span, format!("the tag `{tag}` means nothing here"), "remove the tag"))
        }
        _ => Ok(()),
    }
}

/// `path.key`, the key in quotes if it could be mistaken for several.
pub(super) fn join(path: &str, key: &str) -> String {
    let simple = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    let key = if simple { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
