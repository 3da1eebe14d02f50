//! Whom it is booked to in place of who is found: principals to teams, resources to their owners.
//!
//! In: steps as data. Out: a [`Matcher`] from the id of a principal or of a billed resource to an identity.
//! Absent: where the steps come from (a file's lines are steps like any other), facts, money.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// How found identities and billed resources become the identities that are charged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityRules {
    /// For each identity that is found; the first step that knows it decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<Step>,
    /// For the billed resource: whom it belongs to. An even split falls on that identity alone, and it takes what
    /// would go to the resource itself; usage counts as ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Step>,
    /// For found identities that no step knows; without it they stay who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<String>,
    #[serde(default)]
    pub even_split: EvenSplit,
}

/// What an even split counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvenSplit {
    /// Those who were found: a team of three gets three parts.
    #[default]
    Found,
    /// Those who are charged: every team gets one part.
    Charged,
}

/// One step: does it know the id?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Id to identity.
    Map(BTreeMap<String, String>),
    /// Ids that match; `{1}` and `{name}` in `identity` stand for what was captured.
    Pattern { pattern: String, identity: String },
}

/// What is wrong with a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityFault {
    #[error("pattern {pattern:?} is no regular expression: {why}")]
    Pattern { pattern: String, why: String },
    #[error("identity {identity:?} names {{{group}}}, which pattern {pattern:?} does not capture")]
    Group { pattern: String, identity: String, group: String },
    #[error("identity {0:?} has a brace without its partner; a reference is written {{1}} or {{name}}")]
    Brace(String),
    #[error("{0:?} is booked to an identity without a name")]
    Nameless(String),
}

/// Most memory one compiled pattern may take, bytes.
const PATTERN_SIZE: usize = 1 << 20;

impl IdentityRules {
    /// Is everybody charged as found?
    pub fn does_nothing(&self) -> bool {
        self.principals.is_empty() && self.resources.is_empty() && self.otherwise.is_none()
    }

    /// Makes the steps ready.
    ///
    /// # Errors
    /// The first fault of a step.
    pub fn compile(&self) -> Result<Matcher, IdentityFault> {
        let steps = |steps: &[Step]| steps.iter().map(Ready::new).collect::<Result<_, _>>();
        if self.otherwise.as_deref() == Some("") {
            return Err(IdentityFault::Nameless("otherwise".to_owned()));
        }
        Ok(Matcher {
            principals: steps(&self.principals)?,
            resources: steps(&self.resources)?,
            otherwise: self.otherwise.clone(),
        })
    }
}

/// Steps made ready; patterns are compiled.
#[derive(Debug)]
pub struct Matcher {
    principals: Vec<Ready>,
    resources: Vec<Ready>,
    otherwise: Option<String>,
}

impl Matcher {
    /// Whom a found identity's part is booked to; `None`: to itself.
    pub fn principal(&self, id: &str) -> Option<String> {
        self.principals.iter().find_map(|step| step.identity(id)).or_else(|| self.otherwise.clone())
    }

    /// Whom a billed resource belongs to, if a step says so.
    pub fn resource(&self, id: &str) -> Option<String> {
        self.resources.iter().find_map(|step| step.identity(id))
    }
}

#[derive(Debug)]
enum Ready {
    Map(BTreeMap<String, String>),
    Pattern(Regex, Vec<Piece>),
}

/// A piece of an identity that is put together.
#[derive(Debug)]
enum Piece {
    Text(String),
    Group(usize),
}

impl Ready {
    fn new(step: &Step) -> Result<Self, IdentityFault> {
        match step {
            Step::Map(map) => match map.iter().find(|(_, identity)| identity.is_empty()) {
                Some((id, _)) => Err(IdentityFault::Nameless(id.clone())),
                None => Ok(Self::Map(map.clone())),
            },
            Step::Pattern { pattern, identity } => {
                let built = RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build();
                let regex = built.map_err(|error| IdentityFault::Pattern {
                    pattern: pattern.clone(),
                    // The first lines draw the pattern.
                    why: error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
                })?;
                let pieces = pieces(identity, &regex)?;
                Ok(Self::Pattern(regex, pieces))
            }
        }
    }

    /// An identity without a name is none.
    fn identity(&self, id: &str) -> Option<String> {
        match self {
            Self::Map(map) => map.get(id).cloned(),
            Self::Pattern(regex, pieces) => {
                let captures = regex.captures(id)?;
                let texts = pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => text.as_str(),
                    Piece::Group(group) => captures.get(*group).map_or("", |found| found.as_str()),
                });
                Some(texts.collect::<String>()).filter(|identity| !identity.is_empty())
            }
        }
    }
}

fn pieces(identity: &str, regex: &Regex) -> Result<Vec<Piece>, IdentityFault> {
    let brace = || IdentityFault::Brace(identity.to_owned());
    let (mut pieces, mut rest) = (Vec::new(), identity);
    while let Some((text, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}').ok_or_else(brace)?;
        if text.contains('}') {
            return Err(brace());
        }
        let by_number = name.parse().ok().filter(|number| *number < regex.captures_len());
        let group = by_number.or_else(|| regex.capture_names().position(|known| known == Some(name)));
        let group = group.ok_or_else(|| IdentityFault::Group {
            pattern: regex.as_str().to_owned(),
            identity: identity.to_owned(),
            group: name.to_owned(),
        })?;
        pieces.extend([Piece::Text(text.to_owned()), Piece::Group(group)]);
        rest = after;
    }
    if rest.contains('}') {
        return Err(brace());
    }
    pieces.push(Piece::Text(rest.to_owned()));
    if identity.is_empty() { Err(IdentityFault::Nameless(regex.as_str().to_owned())) } else { Ok(pieces) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(pattern: &str, identity: &str) -> Step {
        Step::Pattern { pattern: pattern.into(), identity: identity.into() }
    }

    fn map(pairs: &[(&str, &str)]) -> Step {
        Step::Map(pairs.iter().map(|(id, identity)| ((*id).into(), (*identity).into())).collect())
    }

    fn fault(step: Step) -> String {
        IdentityRules { principals: vec![step], ..IdentityRules::default() }.compile().unwrap_err().to_string()
    }

    #[test]
    fn the_first_step_that_knows_an_id_decides() {
        let rules = IdentityRules {
            principals: vec![
                map(&[("sa-1", "checkout")]),
                pattern("^sa-(?<team>[a-z]+)-", "team {team}"),
                pattern("^sa-", "robots"),
            ],
            resources: vec![pattern("^lkc-(.)(.)", "{2}{1}")],
            otherwise: None,
            even_split: EvenSplit::Found,
        };
        let matcher = rules.compile().unwrap();
        let told = ["sa-1", "sa-ml-7", "sa-2", "u-1"].map(|id| matcher.principal(id).unwrap_or_default());
        assert_eq!(told, ["checkout", "team ml", "robots", ""]);
        assert_eq!(matcher.resource("lkc-ab").as_deref(), Some("ba"));
        assert_eq!(matcher.resource("sa-1"), None);
    }

    #[test]
    fn whom_nobody_knows_goes_where_all_others_go() {
        let rules = IdentityRules { otherwise: Some("UNASSIGNED".into()), ..IdentityRules::default() };
        let matcher = rules.compile().unwrap();
        assert_eq!(matcher.principal("u-1").as_deref(), Some("UNASSIGNED"));
        assert_eq!(matcher.resource("lkc-1"), None);
    }

    #[test]
    fn what_captures_nothing_is_no_identity() {
        let rules = IdentityRules { principals: vec![pattern("^sa-(x?)", "{1}")], ..IdentityRules::default() };
        assert_eq!(rules.compile().unwrap().principal("sa-1"), None);
    }

    #[test]
    fn faults_name_pattern_and_identity() {
        assert!(fault(pattern("(", "a")).contains("pattern \"(\" is no regular expression: unclosed group"));
        assert!(fault(pattern("a", "{1}")).contains("names {1}, which pattern \"a\" does not capture"));
        assert!(fault(pattern("(?<x>a)", "{y}")).contains("names {y}"));
        assert!(fault(pattern("a", "{")).contains("brace"));
        assert!(fault(pattern("a", "x}")).contains("brace"));
        assert!(fault(pattern("a", "")).contains("without a name"));
        assert!(fault(map(&[("a", "")])).contains("\"a\" is booked to an identity without a name"));
        assert!(fault(pattern("a{1000}{1000}{1000}", "x")).contains("no regular expression"));
    }
}
