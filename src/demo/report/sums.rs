//! Whose a row is, and exact sums by team, product or whatever is asked.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use super::{Facts, Row};
use crate::domain::{Amount, Day};

impl Facts {
    /// What was allocated, in all.
    pub fn allocated(&self) -> Amount {
        self.rows.iter().map(|r| r.amount).sum()
    }

    /// First and last day; equal if there are no rows.
    pub fn days(&self) -> (Day, Day) {
        let days = || self.rows.iter().map(|r| r.day);
        let nothing = Day::from(chrono::NaiveDate::default());
        (days().min().unwrap_or(nothing), days().max().unwrap_or(nothing))
    }
}

pub const PEOPLE: &str = "(people)";
pub const NOBODY: &str = "(nobody)";

impl Row {
    /// The team by the prefix of an account's name; users are people, and what has no known identity is nobody's.
    pub fn team(&self) -> String {
        match (&self.identity_name, self.identity_type.as_deref()) {
            (Some(_), Some("user")) => PEOPLE.to_owned(),
            (Some(name), _) => name.split(['-', '_', '.']).next().unwrap_or(name).to_owned(),
            (None, _) => NOBODY.to_owned(),
        }
    }

    pub fn resource(&self) -> &str {
        match &self.resource_name {
            Some(name) => name,
            None if self.resource_id.starts_with("unresolved:") => "(no resource)",
            None => &self.resource_id,
        }
    }

    /// Why nobody is known.
    pub fn why(&self) -> String {
        match self.target.as_str() {
            "identity" => format!("unknown {}", self.identity_id),
            _ => self.detail.clone().unwrap_or_else(|| self.target.clone()).replace('_', " "),
        }
    }
}

/// What belongs to one line of a table.
#[derive(Debug, Clone, Default)]
pub struct Sums {
    pub used: Amount,
    pub shared: Amount,
    pub daily: BTreeMap<Day, Amount>,
}

impl Sums {
    pub fn total(&self) -> Amount {
        self.used + self.shared
    }

    fn add(&mut self, row: &Row) {
        *if row.cost_type == "usage" { &mut self.used } else { &mut self.shared } += row.amount;
        *self.daily.entry(row.day).or_default() += row.amount;
    }

    pub fn merge(mut self, other: &Self) -> Self {
        self.used += other.used;
        self.shared += other.shared;
        other.daily.iter().for_each(|(day, amount)| *self.daily.entry(*day).or_default() += *amount);
        self
    }
}

/// Sums by a key, the largest first; rows without a key are left out.
pub fn ranked<'a, K: Hash + Ord>(facts: &'a Facts, key: impl Fn(&'a Row) -> Option<K>) -> Vec<(K, Sums)> {
    let mut sums: HashMap<K, Sums> = HashMap::new();
    for row in &facts.rows {
        if let Some(key) = key(row) {
            sums.entry(key).or_default().add(row);
        }
    }
    let mut ranked: Vec<_> = sums.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total().cmp(&a.1.total()).then_with(|| a.0.cmp(&b.0)));
    ranked
}

/// Teams by cost; people and nobody at the end.
pub fn by_team(facts: &Facts) -> Vec<(String, Sums)> {
    let mut teams = ranked(facts, |r| Some(r.team()));
    teams.sort_by_key(|(team, _)| [PEOPLE, NOBODY].iter().position(|t| t == team).map_or(0, |at| at + 1));
    teams
}
