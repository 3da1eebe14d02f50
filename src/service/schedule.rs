//! Decides which tenant is gathered next.
//!
//! In: how the cycles of each tenant went, what was asked for, the moment. Out: what starts now, and when to look again.
//! Absent: clocks, tasks, topics.
//!
//! * A tenant has one cycle at a time. What is asked for meanwhile waits for its end.
//! * Whoever has waited longest starts first; a tenant that is due takes a place only while it is gathered.
//! * Wishes for the same days become one cycle. What need not be done is answered at once and takes no place.
//! * What is cancelled before it begins is answered without a cycle; what is under way is stopped.

mod cancel;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

pub use self::cancel::Halt;
use crate::domain::run::Trigger;
use crate::domain::{Command, CommandKind, Day};

/// How soon a cycle that could not begin (our own log was away) is tried again.
const STUMBLED: TimeDelta = TimeDelta::seconds(10);

/// How a tenant's cycles went, as its memory has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Past {
    /// `None`: it was never gathered.
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    /// The last cycle came to its own end, good or bad.
    pub finished: bool,
    /// Why it is not gathered any more.
    pub suspended: Option<String>,
}

/// The distances between a tenant's cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// From the end of a cycle to the next; `None`: one cycle by itself, and then only what is asked for.
    pub refresh: Option<TimeDelta>,
    /// From the start of a cycle to the next.
    pub gap: TimeDelta,
}

/// A command and where it stands in its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub command: Command,
    /// Partition and offset.
    pub place: (i32, i64),
}

/// What is to be done for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// One cycle.
    Gather { trigger: Trigger, asked: Vec<Asked>, from: Option<Day>, to: Option<Day>, resume: bool },
    /// Nothing but an answer.
    Skip { asked: Vec<Asked>, why: String },
    /// Nothing but an answer: somebody took it back.
    Cancel { asked: Vec<Asked>, why: String },
}

/// What starts now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    pub tenant: String,
    /// Tells this turn of the tenant from others that it had here.
    pub turn: u64,
    pub order: Order,
}

/// When a tenant with this past is due by itself.
pub fn due(past: &Past, rhythm: Rhythm, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if past.suspended.is_some() {
        return None;
    }
    // A clock that was set back must not make anybody wait for years.
    let Some(started) = past.started_at.filter(|started| *started <= now) else { return Some(now) };
    let refresh = rhythm.refresh?;
    if !past.finished {
        return Some(now);
    }
    Some((past.ended_at.unwrap_or(started) + refresh).max(started + rhythm.gap))
}

/// Everything that is known about who comes next.
#[derive(Debug)]
pub struct Schedule {
    at_once: usize,
    turns: u64,
    seats: BTreeMap<String, Seat>,
    /// Asked for tenants that are about to come to us.
    early: BTreeMap<String, Vec<Asked>>,
}

#[derive(Debug)]
struct Seat {
    rhythm: Rhythm,
    past: Past,
    due: Option<DateTime<Utc>>,
    /// Nothing starts before this moment: the last turn could not begin.
    rests: Option<DateTime<Utc>>,
    waiting: Vec<Asked>,
    /// Cancelled before it began, with the commands that say so; to be answered.
    withdrawn: Vec<Asked>,
    doing: Option<Doing>,
}

#[derive(Debug)]
struct Doing {
    turn: u64,
    order: Order,
}

impl Schedule {
    /// Of nobody yet; at most `at_once` tenants are gathered at the same time.
    pub fn new(at_once: usize) -> Self {
        Self { at_once: at_once.max(1), turns: 0, seats: BTreeMap::new(), early: BTreeMap::new() }
    }

    /// A tenant came to us.
    pub fn take(&mut self, tenant: &str, past: Past, rhythm: Rhythm, now: DateTime<Utc>) {
        let first = past.suspended.is_none().then_some(now);
        let due = if rhythm.refresh.is_none() { first } else { due(&past, rhythm, now) };
        let waiting = self.early.remove(tenant).unwrap_or_default();
        self.seats.insert(
            tenant.to_owned(),
            Seat { rhythm, past, due, rests: None, waiting, withdrawn: Vec::new(), doing: None },
        );
    }

    /// A tenant went to somebody else, and what was asked for it with it.
    pub fn leave(&mut self, tenant: &str) {
        self.seats.remove(tenant);
        self.early.remove(tenant);
    }

    /// Something is asked for. Told again, it counts once.
    pub fn ask(&mut self, asked: Asked) {
        let Some(seat) = self.seats.get_mut(&asked.command.tenant) else {
            let early = self.early.entry(asked.command.tenant.clone()).or_default();
            return if early.iter().all(|known| known.place != asked.place) {
                early.push(asked)
            };
        };
        let doing = seat.doing.iter().flat_map(|doing| doing.order.asked());
        if !doing.chain(&seat.waiting).chain(&seat.withdrawn).any(|known| known.place == asked.place) {
            seat.waiting.push(asked);
        }
    }

    /// What starts at this moment.
    pub fn next(&mut self, now: DateTime<Utc>) -> Vec<Start> {
        let mut starts = Vec::new();
        for (tenant, seat) in self.seats.iter_mut().filter(|(_, seat)| seat.is_free(now)) {
            if let Some(order) = seat.refuse(now) {
                starts.push(begin(tenant, seat, order, &mut self.turns));
            }
        }
        let gathers = |seat: &Seat| matches!(&seat.doing, Some(Doing { order: Order::Gather { .. }, .. }));
        let free = self.at_once.saturating_sub(self.seats.values().filter(|seat| gathers(seat)).count());
        let since = |(tenant, seat): (&String, &Seat)| Some((seat.since(now)?, tenant.clone()));
        let mut ready: Vec<_> = self.seats.iter().filter_map(since).collect();
        ready.sort_unstable();
        for (_, tenant) in ready.into_iter().take(free) {
            let Some(seat) = self.seats.get_mut(&tenant) else { continue };
            let order = seat.gather();
            starts.push(begin(&tenant, seat, order, &mut self.turns));
        }
        starts
    }

    /// When to ask [`Self::next`] again, unless something happens before. `now` is the moment it was asked for last: who
    /// was ready then and did not start waits for the end of another, and not for the clock.
    pub fn wake(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let idle = self.seats.values().filter(|seat| seat.doing.is_none());
        let ready = |seat: &Seat| seat.due.map(|due| seat.rests.map_or(due, |rests| rests.max(due))).or(seat.rests);
        idle.filter_map(ready).filter(|at| *at > now).min()
    }

    /// A turn has ended; returns what was asked for and is answered now, `None` if the turn is none of ours any more.
    ///
    /// `past` is `None` if nothing is known of it because it could not begin, or not be recorded: then it is taken again.
    pub fn ended(&mut self, tenant: &str, turn: u64, past: Option<Past>, now: DateTime<Utc>) -> Option<Vec<Asked>> {
        let seat = self.seats.get_mut(tenant)?;
        let doing = seat.doing.take_if(|doing| doing.turn == turn)?;
        match (past, doing.order) {
            (Some(_), Order::Skip { asked, .. } | Order::Cancel { asked, .. }) => Some(asked),
            (Some(past), Order::Gather { asked, from, to, .. }) => {
                // A look at chosen days does not put off the next look at all of them.
                if from.is_none() && to.is_none() {
                    seat.due = due(&past, seat.rhythm, now);
                }
                seat.past = past;
                Some(asked)
            }
            (None, order) => {
                let mut asked = order.into_asked();
                asked.append(&mut seat.waiting);
                seat.waiting = asked;
                seat.rests = Some(now + STUMBLED);
                Some(Vec::new())
            }
        }
    }
}

fn begin(tenant: &str, seat: &mut Seat, order: Order, turns: &mut u64) -> Start {
    *turns += 1;
    seat.doing = Some(Doing { turn: *turns, order: order.clone() });
    seat.rests = None;
    Start { tenant: tenant.to_owned(), turn: *turns, order }
}

impl Order {
    /// The commands behind it.
    pub fn asked(&self) -> &[Asked] {
        match self {
            Self::Gather { asked, .. } | Self::Skip { asked, .. } | Self::Cancel { asked, .. } => asked,
        }
    }

    fn asked_mut(&mut self) -> &mut Vec<Asked> {
        match self {
            Self::Gather { asked, .. } | Self::Skip { asked, .. } | Self::Cancel { asked, .. } => asked,
        }
    }

    /// The command that wants its days sealed again, changed or not: it is for chosen days, and forced.
    pub fn again(&self) -> Option<&str> {
        let chosen = |asked: &&Asked| asked.command.force && asked.command.from.is_some() && asked.command.to.is_some();
        match self {
            Self::Gather { asked, .. } => asked.iter().find(chosen).map(|asked| asked.command.id.as_str()),
            Self::Skip { .. } | Self::Cancel { .. } => None,
        }
    }

    fn into_asked(self) -> Vec<Asked> {
        match self {
            Self::Gather { asked, .. } | Self::Skip { asked, .. } | Self::Cancel { asked, .. } => asked,
        }
    }
}

impl Seat {
    fn is_free(&self, now: DateTime<Utc>) -> bool {
        self.doing.is_none() && self.rests.is_none_or(|rests| rests <= now)
    }

    /// Since when it could be gathered, if it can.
    fn since(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !self.is_free(now) {
            return None;
        }
        let asked = self.waiting.iter().map(|asked| asked.command.requested_at).min();
        [self.due.filter(|due| *due <= now), asked].into_iter().flatten().min()
    }

    /// An answer to what need not be done.
    fn refuse(&mut self, now: DateTime<Utc>) -> Option<Order> {
        if let Some(last) = self.withdrawn.last() {
            let why = format!("cancelled by {} before it began", last.command.requested_by);
            return Some(Order::Cancel { asked: std::mem::take(&mut self.withdrawn), why });
        }
        let why = self.waiting.iter().find_map(|asked| self.refusal(&asked.command, now))?;
        let refused = |asked: &mut Asked| self.past.refusal(self.rhythm, &asked.command, now).is_some();
        let asked = self.waiting.extract_if(.., refused).collect();
        Some(Order::Skip { asked, why })
    }

    fn refusal(&self, command: &Command, now: DateTime<Utc>) -> Option<String> {
        self.past.refusal(self.rhythm, command, now)
    }

    /// The oldest wish with all that are for the same days, or the cycle that is due.
    fn gather(&mut self) -> Order {
        let Some(first) = self.waiting.first() else {
            return Order::Gather { trigger: Trigger::Periodic, asked: vec![], from: None, to: None, resume: false };
        };
        let (from, to) = (first.command.from, first.command.to);
        let same = |asked: &mut Asked| (asked.command.from, asked.command.to) == (from, to);
        let asked: Vec<Asked> = self.waiting.extract_if(.., same).collect();
        let resume = asked.iter().any(|asked| asked.command.kind == CommandKind::Resume);
        Order::Gather { trigger: Trigger::Command, asked, from, to, resume }
    }
}

impl Past {
    /// Why a command is answered without doing anything, if it is.
    fn refusal(&self, rhythm: Rhythm, command: &Command, now: DateTime<Utc>) -> Option<String> {
        if command.force {
            return None;
        }
        match (command.kind, &self.suspended) {
            (CommandKind::Resume, Some(_)) => None,
            (CommandKind::Resume, None) => Some("it is not suspended; ask for a cycle with `tributary gather`".into()),
            (CommandKind::Gather, Some(why)) => {
                Some(format!("it is suspended: {why}; `tributary resume` lifts that, `--force` tries once"))
            }
            // Never among those that wait when this is asked.
            (CommandKind::Cancel, _) => None,
            (CommandKind::Gather, None) => {
                let ago = now - self.started_at.filter(|started| *started <= now)?;
                (ago < rhythm.gap).then(|| {
                    let (ago, gap) = (ago.num_seconds(), rhythm.gap.num_seconds());
                    format!(
                        "it was gathered {ago} s ago and min_refresh_gap_seconds is {gap}; `--force` asks all the same"
                    )
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
