//! Identities that come from labels of metrics or from the configuration, and the teams they belong to.
//!
//! In: names that were seen, what the operator wrote. Out: identity drafts. Absent: who pays; that is the principal,
//! its team is told beside it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Day, Identity};

/// Type of identities that were found in metrics.
pub const PRINCIPAL: &str = "principal";

/// Where identities come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Prometheus,
    Static,
    Both,
}

impl Origin {
    /// Are metrics asked who there is?
    pub fn asks(self) -> bool {
        self != Self::Static
    }

    /// Do the configured ones count?
    pub fn names(self) -> bool {
        self != Self::Prometheus
    }
}

/// Who there is, as configured.
#[derive(Debug, Clone)]
pub struct People {
    pub origin: Origin,
    /// Principal to team; exact.
    pub teams: BTreeMap<String, String>,
    pub default_team: String,
    /// Ids are distinct.
    pub fixed: Vec<Fixed>,
}

/// An identity that the operator named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    pub id: String,
    pub kind: String,
    pub name: Option<String>,
    pub team: Option<String>,
}

impl People {
    /// The identities there are, those that the operator named last: they win over discovered ones of the same id.
    pub fn identities(&self, ecosystem: &str, seen: &BTreeSet<String>) -> Vec<Identity> {
        let discovered = seen.iter().filter(|_| self.origin.asks()).map(|id| self.discovered(ecosystem, id));
        let fixed = self.fixed.iter().filter(|_| self.origin.names()).map(|fixed| {
            let name = fixed.name.clone().unwrap_or_else(|| fixed.id.clone());
            draft(ecosystem, &fixed.id, &fixed.kind, name, fixed.team.as_deref())
        });
        discovered.chain(fixed).collect()
    }

    /// The ids that the operator named, if they count.
    pub fn fixed_ids(&self) -> Vec<String> {
        let ids: BTreeSet<&String> = self.fixed.iter().filter(|_| self.origin.names()).map(|fixed| &fixed.id).collect();
        ids.into_iter().cloned().collect()
    }

    /// The types that the operator's identities have, if they count.
    pub fn fixed_types(&self) -> Vec<String> {
        let types: BTreeSet<&String> =
            self.fixed.iter().filter(|_| self.origin.names()).map(|fixed| &fixed.kind).collect();
        types.into_iter().cloned().collect()
    }

    fn discovered(&self, ecosystem: &str, id: &str) -> Identity {
        let team = self.teams.get(id).unwrap_or(&self.default_team);
        let name = if *team == self.default_team { id } else { team };
        draft(ecosystem, id, PRINCIPAL, name.to_owned(), Some(team))
    }
}

fn draft(ecosystem: &str, id: &str, kind: &str, name: String, team: Option<&str>) -> Identity {
    Identity {
        tenant: String::new(),
        day: Day::from(chrono::NaiveDate::default()),
        revision: 0,
        ordinal: 0,
        count: 0,
        ecosystem: ecosystem.to_owned(),
        identity_id: id.to_owned(),
        identity_type: kind.to_owned(),
        display_name: Some(name),
        owner_id: None,
        resource_id: None,
        created_at: None,
        deleted_at: None,
        attributes: team.map(|team| ("team".to_owned(), team.to_owned())).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teams_are_told_and_the_operator_has_the_last_word() {
        let people = People {
            origin: Origin::Both,
            teams: BTreeMap::from([("User:a".to_owned(), "data".to_owned())]),
            default_team: "UNASSIGNED".into(),
            fixed: vec![Fixed { id: "User:b".into(), kind: "robot".into(), name: Some("B".into()), team: None }],
        };
        let seen = ["User:a", "User:b", "User:c"].map(str::to_owned).into();
        let told: Vec<_> = people
            .identities("e", &seen)
            .into_iter()
            .map(|i| (i.identity_id, i.identity_type, i.display_name.unwrap(), i.attributes.get("team").cloned()))
            .collect();
        let row = |id: &str, kind: &str, name: &str, team: Option<&str>| {
            (id.to_owned(), kind.to_owned(), name.to_owned(), team.map(str::to_owned))
        };
        let expected = [
            row("User:a", PRINCIPAL, "data", Some("data")),
            row("User:b", PRINCIPAL, "User:b", Some("UNASSIGNED")),
            row("User:c", PRINCIPAL, "User:c", Some("UNASSIGNED")),
            row("User:b", "robot", "B", None),
        ];
        assert_eq!(told, expected);
        let fixed = People { origin: Origin::Static, ..people.clone() };
        assert_eq!((fixed.identities("e", &seen).len(), fixed.fixed_ids()), (1, vec!["User:b".to_owned()]));
        let found = People { origin: Origin::Prometheus, ..people };
        assert_eq!((found.identities("e", &seen).len(), found.fixed_types().len()), (3, 0));
    }
}
