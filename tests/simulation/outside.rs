//! What the outside world says of the tenants that are gathered, and what must not become of it.

use std::collections::BTreeMap;

use tributary::domain::{Day, TenantDay};
use tributary::ecosystem::UsageNeed;
use tributary::gather::plan::{Content, Usage};

use crate::dice::Dice;
use crate::facts::{content, is_used};

/// Cycles that may fail to fetch usage before a day is sealed without it.
pub const LIMIT: u32 = 3;
/// Cycles in a row that bring nothing before a tenant is suspended.
pub const THRESHOLD: u32 = 2;

/// One tenant's provider.
#[derive(Debug)]
pub struct Tenant {
    pub name: String,
    /// Is it in the configuration?
    pub configured: bool,
    /// Neither bill nor inventory can be had.
    pub refuses: bool,
    /// Somebody has asked for its suspension to be lifted.
    pub resume: bool,
    /// Cycles in a row that brought nothing.
    pub in_vain: u32,
    pub days: BTreeMap<Day, Billed>,
}

/// A day of its bill.
#[derive(Debug, Clone)]
pub struct Billed {
    version: u64,
    /// Usage cannot be had.
    pub dark: bool,
    /// How often it was asked for in vain since the day was last sealed.
    asked_in_vain: u32,
    /// The version that was sealed last, and the usage that it lacks.
    sealed: Option<(u64, Vec<String>)>,
}

impl Tenant {
    pub fn new(name: String, days: impl Iterator<Item = Day>) -> Self {
        let billed = |day| Billed { version: version(&name, day, 0), dark: false, asked_in_vain: 0, sealed: None };
        let days = days.map(|day| (day, billed(day))).collect();
        Self { name, configured: true, refuses: false, resume: false, in_vain: 0, days }
    }

    /// Something changes: the bill, what can be had, what an operator wants.
    pub fn change(&mut self, dice: &mut Dice) {
        let days: Vec<Day> = self.days.keys().copied().collect();
        let Some(on) = dice.pick(&days) else { return };
        let Some(day) = self.days.get_mut(&on) else { return };
        match dice.below(10) {
            0..=3 => day.version = version(&self.name, on, dice.next()),
            4..=6 => day.dark = !day.dark,
            7 | 8 => self.refuses = !self.refuses,
            _ => self.resume = true,
        }
    }

    /// Is it suspended, by what its provider has answered?
    pub fn is_suspended(&self) -> bool {
        self.in_vain >= THRESHOLD
    }

    /// The day's bill, and the version it is.
    pub fn bill(&self, day: Day) -> (u64, Content) {
        let version = self.days[&day].version;
        (version, content(&TenantDay::new(self.name.clone(), day), version))
    }

    /// The answer to a question for usage.
    pub fn usage(&mut self, day: Day, version: u64, needs: &[UsageNeed]) -> Usage {
        let billed = self.days.get_mut(&day).expect("it was billed");
        if billed.dark && !needs.is_empty() {
            billed.asked_in_vain += 1;
            let failed = needs.iter().map(|need| (need.resource_id.clone(), "HTTP 503".to_owned())).collect();
            return Usage { digest: "dark".to_owned(), failed, none: false };
        }
        Usage { digest: version.to_string(), failed: BTreeMap::new(), none: needs.is_empty() }
    }

    /// A revision of a day was published, without the usage of `failed`.
    ///
    /// # Errors
    /// If a day was not waited for, or lost usage that it had.
    pub fn sealed(&mut self, day: Day, version: u64, failed: &[String]) -> Result<(), String> {
        let (name, billed) = (&self.name, self.days.get_mut(&day).expect("it was billed"));
        let (before, lacked) = billed.sealed.take().map_or((None, Vec::new()), |(v, lacked)| (Some(v), lacked));
        let newly: Vec<&String> = failed.iter().filter(|id| !lacked.contains(id)).collect();
        if !newly.is_empty() && before == Some(version) {
            return Err(format!("{name}/{day}: usage of {newly:?} was there, and was taken away"));
        }
        if !newly.is_empty() && billed.asked_in_vain < LIMIT {
            let asked = billed.asked_in_vain;
            return Err(format!("{name}/{day} was sealed without {newly:?} after {asked} attempts"));
        }
        billed.asked_in_vain = 0;
        billed.sealed = Some((version, failed.to_vec()));
        Ok(())
    }

    /// Everything of it that was sealed is forgotten.
    pub fn forgotten(&mut self) {
        self.in_vain = 0;
        for day in self.days.values_mut() {
            day.sealed = None;
            day.asked_in_vain = 0;
        }
    }

    /// Is the newest bill of a day sealed, with all usage that can be had?
    ///
    /// # Errors
    /// What is missing.
    pub fn check(&self, day: Day) -> Result<(), String> {
        let (name, billed) = (&self.name, &self.days[&day]);
        match &billed.sealed {
            Some((version, lacks)) if *version == billed.version && (billed.dark || lacks.is_empty()) => Ok(()),
            sealed => Err(format!("{name}/{day}: version {} is the newest, {sealed:?} is sealed", billed.version)),
        }
    }
}

/// A version of a day's bill, not far from `from`, whose lines were used if they go by usage: an answer without any value
/// would be taken for usage that has expired.
fn version(tenant: &str, day: Day, from: u64) -> u64 {
    let key = TenantDay::new(tenant, day);
    let fits = |version: &u64| content(&key, *version).needs.is_empty() || is_used(&key, *version);
    (from % 1_000_000..).find(fits).unwrap_or(from)
}
