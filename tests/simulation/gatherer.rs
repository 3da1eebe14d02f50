//! A gatherer of one tenant whose decisions are the program's own: what is due, what is sealed, held, suspended.
//!
//! Each step ends with one commit, as in `gather::worker` and `service::cycle`, so that anything may happen between two.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use tributary::domain::run::{RunStatus, Trigger};
use tributary::domain::{Day, Run, TenantDay};
use tributary::gather::CycleReport;
use tributary::gather::memory::{Change, Memory};
use tributary::gather::plan::{self, Limits, Step, Verdict};
use tributary::gather::window::Window;
use tributary::service::outcome::{self, End};
use tributary::service::schedule::{Rhythm, due};

use crate::allocator::Fault;
use crate::facts::Revision;
use crate::outside::{LIMIT, THRESHOLD, Tenant};

const SETTINGS: &str = "settings";
/// Cycles are an hour apart.
const RHYTHM: Rhythm = Rhythm { refresh: Some(TimeDelta::hours(1)), gap: TimeDelta::zero() };

/// Topic `gather-state`, and who may write to it.
#[derive(Debug, Default)]
pub struct Memories {
    by_tenant: BTreeMap<String, Memory>,
    /// Rises whenever somebody opens the tenant's producer: whoever had it before is put out.
    epochs: BTreeMap<String, u64>,
}

impl Memories {
    fn open(&mut self, tenant: &str) -> u64 {
        let epoch = self.epochs.entry(tenant.to_owned()).or_default();
        *epoch += 1;
        *epoch
    }

    /// The tombstones of everything that is remembered of a tenant.
    pub fn forget(&mut self, tenant: &str) {
        self.open(tenant);
        self.by_tenant.remove(tenant);
    }
}

/// What a step is taken in.
pub struct Surroundings<'a> {
    pub memories: &'a mut Memories,
    pub tenant: &'a mut Tenant,
    pub now: DateTime<Utc>,
    /// The first day that is kept.
    pub oldest: Day,
    pub last_forgotten: u32,
}

#[derive(Debug)]
enum State {
    /// It does not know what is remembered.
    Away,
    Idle(Box<Memory>),
    Cycle(Box<Cycle>),
}

#[derive(Debug)]
struct Cycle {
    memory: Memory,
    run: Run,
    report: CycleReport,
    /// The days that are left, the last one first.
    days: Vec<Day>,
}

#[derive(Debug)]
pub struct Gatherer {
    fault: Fault,
    epoch: u64,
    state: State,
}

impl Gatherer {
    pub fn new(fault: Fault) -> Self {
        Self { fault, epoch: 0, state: State::Away }
    }

    /// Dies and starts again.
    pub fn crash(&mut self) {
        self.state = State::Away;
    }

    /// One step; gives back what it published, and whether it has anything else to do at this moment.
    ///
    /// # Errors
    /// If it does what it must not.
    pub fn step(&mut self, of: &mut Surroundings<'_>) -> Result<(Option<Revision>, bool), String> {
        if !of.tenant.configured {
            self.state = State::Away;
            return Ok((None, false));
        }
        match std::mem::replace(&mut self.state, State::Away) {
            State::Away => {
                self.epoch = of.memories.open(&of.tenant.name);
                let mut memory = of.memories.by_tenant.get(&of.tenant.name).cloned().unwrap_or_default();
                memory.last_forgotten = of.last_forgotten;
                self.state = State::Idle(Box::new(memory));
                Ok((None, true))
            }
            State::Idle(memory) => Ok((None, self.begin(*memory, of)?)),
            State::Cycle(mut cycle) => {
                let Some(day) = cycle.days.pop() else {
                    self.end(*cycle, of);
                    return Ok((None, true));
                };
                let published = self.look_at(&mut cycle, day, of)?;
                if !matches!(published, Done::PutOut) {
                    self.state = State::Cycle(cycle);
                }
                Ok((if let Done::Sealed(revision) = published { Some(*revision) } else { None }, true))
            }
        }
    }

    fn begin(&mut self, memory: Memory, of: &mut Surroundings<'_>) -> Result<bool, String> {
        let known = memory.cycles.clone().map(|known| outcome::under_settings(known, SETTINGS));
        let past = known.as_ref().map(outcome::past_of).unwrap_or_default();
        let resumed = of.tenant.resume && past.suspended.is_some();
        if !resumed && due(&past, RHYTHM, of.now).is_none_or(|due| due > of.now) {
            self.state = State::Idle(Box::new(memory));
            return Ok(false);
        }
        let (failures_in_a_row, suspended) = outcome::inherited(known.as_ref(), resumed);
        let run = Run { failures_in_a_row, suspended, ..started(&of.tenant.name, of.now) };
        let days: Vec<Day> = of.tenant.days.keys().rev().copied().filter(|day| *day >= of.oldest).collect();
        let end = of.tenant.days.keys().last().map_or(of.oldest, |day| day.plus(1));
        let window = Window { start: of.oldest, end, oldest: of.oldest, forgotten: of.oldest.minus(760) };
        let mut report = CycleReport::new(&of.tenant.name, window);
        let mut changes = memory.outdated(&window);
        changes.push(Change::Cycles(outcome::memory(&run, SETTINGS.to_owned())));
        report.fruitless = of.tenant.refuses;
        if of.tenant.refuses {
            report.fail("bill: HTTP 401");
        }
        let days = if of.tenant.refuses { Vec::new() } else { days };
        let mut cycle = Cycle { memory, run, report, days };
        if self.commit(&mut cycle.memory, changes, of) {
            if of.tenant.is_suspended() && !resumed {
                return Err(format!("{} was gathered although it is suspended", of.tenant.name));
            }
            self.state = State::Cycle(Box::new(cycle));
            of.tenant.resume = false;
            of.tenant.in_vain = if resumed { 0 } else { of.tenant.in_vain };
        }
        Ok(true)
    }

    fn look_at(&self, cycle: &mut Cycle, day: Day, of: &mut Surroundings<'_>) -> Result<Done, String> {
        let (version, content) = of.tenant.bill(day);
        let remembered = cycle.memory.days.get(&day);
        let verdict = match plan::before_usage(remembered, &content, None, false) {
            Step::Skip(memory) => Verdict::Skip(memory),
            Step::Hold(memory) => Verdict::Hold(memory),
            Step::AskUsage => {
                let usage = of.tenant.usage(day, version, &content.needs);
                let limits = Limits { usage: LIMIT, topics: LIMIT };
                plan::after_usage(remembered, &content, &usage, limits, false, of.now)
            }
        };
        let (changes, sealed) = match verdict {
            Verdict::Skip(memory) => (memory.into_iter().map(Change::Day).collect(), None),
            Verdict::Hold(memory) => (vec![Change::Day(memory)], None),
            Verdict::Seal { memory, .. } => {
                let memory = plan::numbered(memory, cycle.memory.last_forgotten);
                (vec![Change::Day(memory.clone())], Some(memory))
            }
        };
        if !self.commit(&mut cycle.memory, changes, of) {
            return Ok(Done::PutOut);
        }
        let Some(memory) = sealed else { return Ok(Done::Nothing) };
        cycle.report.sealed.push((day, memory.revision));
        of.tenant.sealed(day, version, &memory.metrics_failed)?;
        let key = TenantDay::new(of.tenant.name.clone(), day);
        Ok(Done::Sealed(Box::new(Revision::gathered(&key, memory.revision, version, &memory.metrics_failed))))
    }

    fn end(&mut self, mut cycle: Cycle, of: &mut Surroundings<'_>) {
        let run = outcome::judge(cycle.run, End::Done, &cycle.report, THRESHOLD, of.now);
        let changes = vec![Change::Cycles(outcome::memory(&run, SETTINGS.to_owned()))];
        if self.commit(&mut cycle.memory, changes, of) {
            of.tenant.in_vain = if cycle.report.fruitless { of.tenant.in_vain + 1 } else { 0 };
            self.state = State::Idle(Box::new(cycle.memory));
        }
    }

    /// Commits, then remembers; false: somebody else has the tenant by now, and nothing of it is written.
    fn commit(&self, memory: &mut Memory, changes: Vec<Change>, of: &mut Surroundings<'_>) -> bool {
        if of.memories.epochs.get(&of.tenant.name) != Some(&self.epoch) && self.fault != Fault::PutOut {
            return false;
        }
        let written = of.memories.by_tenant.entry(of.tenant.name.clone()).or_default();
        for change in changes {
            written.apply(change.clone());
            memory.apply(change);
        }
        true
    }
}

/// What became of a day.
enum Done {
    Nothing,
    Sealed(Box<Revision>),
    PutOut,
}

fn started(tenant: &str, now: DateTime<Utc>) -> Run {
    Run {
        tenant: tenant.to_owned(),
        id: now.to_rfc3339(),
        instance: "simulated".to_owned(),
        trigger: Trigger::Periodic,
        commands: Vec::new(),
        started_at: now,
        ended_at: None,
        status: RunStatus::Running,
        from: None,
        to: None,
        wanted: None,
        sealed: 0,
        unchanged: 0,
        held: 0,
        quarantined: 0,
        errors: Vec::new(),
        failures_in_a_row: 0,
        suspended: None,
        next_due_at: None,
    }
}
