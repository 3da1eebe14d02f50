//! Whom it is booked to, as an operator writes it: maps, patterns, teams, files.
//!
//! In: `identity_resolution_overrides`. Out: [`IdentityRules`] that are sound. A file's lines become a map like any
//! other, so they travel with the rules. Absent: what the ids mean.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::super::super::address::FilePath;
use super::super::super::fault::Warning;
use super::super::super::kind::{Kind, List, Names, wrong_shape};
use super::super::super::scalar::{Choice, quoted, scalar};
use super::super::super::section::{Section, Value, describe};
use super::super::super::suggest;
use super::super::super::text::Name;
use super::super::super::yaml::Content;
use super::{file, python};
use crate::domain::rule::IdentityRules;
use crate::domain::rule::identity::{EvenSplit, Step};

/// Most bytes that all names of a tenant's identities may have: they travel in every seal.
const LARGEST: usize = 1 << 20;

/// `identity_resolution_overrides`: product type, service or `any` to steps.
pub(super) fn overrides() -> Names<Identities> {
    Names(Identities)
}

/// A section of steps.
pub(super) struct Identities;

impl Kind for Identities {
    type Out = IdentityRules;

    fn schema(&self) -> Json {
        describe(section).1
    }

    fn read(&self, value: &Value<'_>) -> Option<IdentityRules> {
        match &value.node.content {
            Content::Map(entries) => {
                let mut s = value.section(entries);
                let rules = section(&mut s);
                s.finish();
                if rules.does_nothing() && !value.reader.faulty(&value.path) {
                    let message = "books nothing to anybody else: it has no steps and no `otherwise`".to_owned();
                    value.reader.warn(Warning { path: value.path.clone(), line: value.line, message });
                }
                Some(rules)
            }
            Content::Scalar { .. } => {
                let text = scalar(value, "a section of keys and values")?.text;
                match python::identities(text.trim()) {
                    Some((problem, remedy)) => value.fault(problem, remedy),
                    None => wrong_shape(value, "a section of keys and values"),
                }
                None
            }
            Content::List(_) => {
                wrong_shape(value, "a section of keys and values");
                None
            }
        }
    }

    fn placeholder(&self) -> IdentityRules {
        IdentityRules::default()
    }
}

fn section(s: &mut Section<'_>) -> IdentityRules {
    const COUNTS: Choice<EvenSplit> = Choice(&[("found", EvenSplit::Found), ("charged", EvenSplit::Charged)]);
    let steps = |s: &mut Section<'_>, key, doc| s.default(key, List(OneStep), vec![], doc);
    let doc = "for each identity that is found, the first step that knows it says who is charged";
    let principals = steps(s, "principals", doc);
    let resources = steps(s, "resources", "for the billed resource, the first step that knows it says whose it is");
    let doc = "who is charged for found identities that no step knows; without it they stay who they are";
    let otherwise = s.optional("otherwise", Name, doc);
    let doc = "an even split counts those who were `found`, or each one `charged` once";
    let even_split = s.default("even_split", COUNTS, EvenSplit::Found, doc);
    let steps = |steps: Vec<Option<Step>>| steps.into_iter().flatten().collect();
    IdentityRules { principals: steps(principals), resources: steps(resources), otherwise, even_split }
}

/// One step: a map, a pattern, teams, or a file.
struct OneStep;

const WAYS: [&str; 4] = ["map", "pattern", "teams", "file"];

impl Kind for OneStep {
    /// `None` after a fault.
    type Out = Option<Step>;

    fn schema(&self) -> Json {
        describe(keys).1
    }

    fn read(&self, value: &Value<'_>) -> Option<Self::Out> {
        let Content::Map(entries) = &value.node.content else {
            wrong_shape(value, "a section of keys and values");
            return Some(None);
        };
        let mut s = value.section(entries);
        let keys = keys(&mut s);
        let given: Vec<&str> = WAYS.into_iter().filter(|way| s.has(way)).collect();
        s.finish();
        if value.reader.faulty(&value.path) {
            return Some(None);
        }
        if given.len() != 1 {
            let problem = if given.is_empty() { "says nothing" } else { "says several things at once" };
            value.fault(problem, format!("write one of {}; another step for another", suggest::list(&WAYS)));
            return Some(None);
        }
        let step = keys.step(value).filter(|step| sound(value, step));
        Some(step)
    }

    fn placeholder(&self) -> Self::Out {
        None
    }
}

struct Keys {
    map: Option<Vec<(String, String)>>,
    pattern: Option<String>,
    identity: Option<String>,
    teams: Option<Vec<(String, Vec<String>)>>,
    file: Option<std::path::PathBuf>,
}

fn keys(s: &mut Section<'_>) -> Keys {
    Keys {
        map: s.optional("map", Names(Name), "id to identity"),
        pattern: s.optional("pattern", Name, "regular expression over ids"),
        identity: s.optional(
            "identity",
            Name,
            "with `pattern`: the identity, `{1}` and `{name}` stand for what was captured",
        ),
        teams: s.optional("teams", Names(List(Name)), "team to its members"),
        file: s.optional(
            "file",
            FilePath,
            "CSV of id and identity, or YAML; beside the configuration; read at start only",
        ),
    }
}

impl Keys {
    fn step(self, value: &Value<'_>) -> Option<Step> {
        let Self { map, pattern, identity, teams, file } = self;
        if identity.is_some() && pattern.is_none() {
            value.fault("has an `identity` without a `pattern`", "add the pattern that ids must match");
            return None;
        }
        if let Some(pattern) = pattern {
            let Some(identity) = identity else {
                value.fault("has a `pattern` without an `identity`", "add `identity`, such as '{1}'");
                return None;
            };
            return Some(Step::Pattern { pattern, identity });
        }
        let pairs = match (map, teams, file) {
            (Some(map), ..) => map,
            (_, Some(teams), _) => members(teams),
            (.., Some(path)) => {
                let read = file::pairs(&value.reader.folder.join(&path));
                match read {
                    Ok(pairs) => pairs,
                    Err((problem, remedy)) => {
                        value.fault(format!("{}: {problem}", path.display()), remedy);
                        return None;
                    }
                }
            }
            _ => return None,
        };
        once(value, pairs)
    }
}

fn members(teams: Vec<(String, Vec<String>)>) -> Vec<(String, String)> {
    let of_team = |(team, members): (String, Vec<String>)| members.into_iter().map(move |id| (id, team.clone()));
    teams.into_iter().flat_map(of_team).collect()
}

/// A map, if no id is booked to two identities.
fn once(value: &Value<'_>, pairs: Vec<(String, String)>) -> Option<Step> {
    let mut map: BTreeMap<String, String> = BTreeMap::new();
    for (id, identity) in pairs {
        if let Some(other) = map.get(&id).filter(|other| **other != identity) {
            let problem = format!("{} is booked to {} and to {}", quoted(&id), quoted(other), quoted(&identity));
            value.fault(problem, "keep one of them");
            return None;
        }
        map.insert(id, identity);
    }
    Some(Step::Map(map))
}

fn sound(value: &Value<'_>, step: &Step) -> bool {
    let rules = IdentityRules { principals: vec![step.clone()], ..IdentityRules::default() };
    let fault = rules.compile().err();
    if let Some(fault) = &fault {
        value.fault(fault.to_string(), "correct it; `(?<name>…)` captures by name, `{name}` puts it in");
    }
    fault.is_none()
}

/// Faults identities that are too many to travel in every seal.
pub(super) fn limit(s: &Section<'_>, identities: &BTreeMap<String, IdentityRules>) {
    let bytes = serde_json::to_string(identities).map_or(0, |json| json.len());
    if bytes > LARGEST {
        let problem = format!("has {bytes} bytes of names, more than the {LARGEST} that may travel with each day");
        s.fault("identity_resolution_overrides", problem, "put patterns in place of single ids");
    }
}
