//! One cycle of one tenant: ask, decide, commit, remember.
//!
//! In: a source, the rules, a clock. Out: committed transactions and a [`CycleReport`]. Absent: decisions (the
//! pure modules'), schedules, retries of requests (the source's).
//!
//! A crash between any two awaits is harmless:
//! * Before a commit nothing is visible; the next cycle asks again and decides the same.
//! * Transactions are self-contained. The first has the inventory, the listing counters and the bad rows with
//!   the memory that they were set aside: deletions noticed once are not noticed again at a later moment. Then
//!   each sealed day comes with its own memory: a revision and its number are known together or not at all.
//! * Memory is changed after the commit. A cycle takes its [`Gatherer`] by value and gives it back only if it
//!   ended well, so a memory that may lag behind the log (a failed commit, a dropped future) is out of reach:
//!   [`Gatherer::open`] is the only way on. It first fences the old producer, which settles what was in flight,
//!   and then reads the log.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};

use crate::clock::Clock;
use crate::domain::{Day, GatheredDay, GatheredTenant, RuleBook, Run};
use crate::ecosystem::{Bill, Gap, Inventory, Source, UsageOf};
use crate::journal::{Codec, Connection};
use crate::wording::chain;

use super::day::{self, Cycle, Due};
use super::inventory::{self, Deletion};
use super::memory::{Change, Memory};
use super::plan::{self, Limits, Step, Verdict};
use super::publish::{Publisher, Transaction};
use super::report::{CycleReport, Phase, Progress};
use super::telling::Telling;
use super::window::{self, Window};
use super::{Ask, GatherError, TenantSettings, quarantine, topics};

/// Days whose usage is in memory at the same time.
const DAYS_AT_ONCE: usize = 4;

/// A tenant's memory and its way into the log.
#[derive(Debug)]
pub struct Gatherer {
    settings: TenantSettings,
    memory: Memory,
    publisher: Arc<Mutex<Publisher>>,
}

/// A period `[from, to)` that bills are asked for.
type Period = (Day, Day);

impl Gatherer {
    /// Takes the tenants over from whoever gathered them before, and reads what is remembered. Blocks.
    ///
    /// # Errors
    /// [`GatherError`] if the log does not answer or holds what cannot be read.
    pub fn open(
        connection: &Connection,
        codec: &Arc<Codec>,
        tenants: Vec<TenantSettings>,
    ) -> Result<Vec<Self>, GatherError> {
        let open = |settings: &TenantSettings| Publisher::open(connection, &settings.tenant_id, Arc::clone(codec));
        // Before memory is read: afterwards nobody else can add to it.
        let publishers: Vec<Publisher> = tenants.iter().map(open).collect::<Result<_, _>>()?;
        let mut memories = Memory::load(connection, codec)?;
        let gatherers = tenants.into_iter().zip(publishers).map(|(settings, publisher)| Self {
            memory: memories.remove(&settings.tenant_id).unwrap_or_default(),
            settings,
            publisher: Arc::new(Mutex::new(publisher)),
        });
        Ok(gatherers.collect())
    }

    /// The tenant's configured id.
    pub fn tenant(&self) -> &str {
        &self.settings.tenant_id
    }

    /// How the tenant's cycles went; `None`: there was none.
    pub fn cycles(&self) -> Option<&GatheredTenant> {
        self.memory.cycles.as_ref()
    }

    /// Records runs that started or ended, and what is to be remembered of the tenant's cycles.
    ///
    /// # Errors
    /// [`GatherError`]; the gatherer is of no more use then.
    pub async fn record(&mut self, runs: Vec<Run>, cycles: Option<GatheredTenant>) -> Result<(), GatherError> {
        self.commit(Transaction { runs, ..Transaction::of(cycles.map(Change::Cycles)) }).await
    }

    /// Gathers the tenant once. What the source does not answer is in the report, not an error.
    ///
    /// # Errors
    /// [`GatherError`] if the log failed; the gatherer is gone then, [`Gatherer::open`] makes a new one.
    pub async fn cycle(
        mut self,
        source: &Source,
        rules: &RuleBook,
        clock: &Clock,
        ask: &Ask,
        progress: impl Fn(Progress),
    ) -> Result<(Self, CycleReport), GatherError> {
        let (now, of, tenant) = (clock.now(), &self.settings, self.settings.tenant_id.clone());
        let window = Window::at(now, of.lookback_days, of.cutoff_days, of.retention_days);
        let window = window.of_days(ask.from, ask.to);
        let mut report = CycleReport::new(&tenant, window);
        let mut telling = Telling::of(ask.run.clone());
        let whole = ask.from.is_none() && ask.to.is_none();
        let mut periods = window.periods(self.memory.held_days().filter(|_| whole));
        if source.is_measured() && ask.again.is_none() {
            let settled = |day| self.memory.days.get(&day).is_some_and(|day| plan::is_settled(day, now));
            periods = window::without(&periods, settled);
        }
        let seen = async { tokio::join!(source.inventory(), bill_of(source, &periods, &progress)) };
        let Some((seen, (bill, unbilled))) = ask.stop.run_until_cancelled(seen).await else {
            report.stopped = true;
            report.all_days = self.memory.sealed_days(window.oldest);
            return Ok((self, report));
        };
        report.fruitless = seen.is_err() || (!periods.is_empty() && unbilled.len() == periods.len());
        let (seen, incomplete) = inventory::judge(seen);
        self.remember(&seen, &bill, window, now, &mut report).await?;
        let cycle = Cycle {
            tenant: &tenant,
            ecosystem: source.ecosystem(),
            now,
            rules,
            rules_json: serde_json::to_string(rules).expect("a rule book is plain data"),
            incomplete,
            request: ask.again.clone(),
        };
        unbilled.iter().for_each(|(_, why)| report.fail(why));
        cycle.incomplete.iter().for_each(|why| report.fail(why));
        let billed = |day: &Day| !unbilled.iter().any(|((from, to), _)| from <= day && day < to);
        let days = periods.iter().flat_map(|(from, to)| from.until(*to)).filter(billed).collect();
        let due = self.look_at(days, bill, &cycle, (&mut report, &mut telling)).await?;
        self.fetch_and_seal(due, source, &cycle, (ask, &progress), (&mut report, &mut telling)).await?;
        report.all_days = self.memory.sealed_days(window.oldest);
        Ok((self, report))
    }

    /// Commits what exists and what was set aside.
    async fn remember(
        &mut self,
        seen: &Inventory,
        bill: &Bill,
        window: Window,
        now: DateTime<Utc>,
        report: &mut CycleReport,
    ) -> Result<(), GatherError> {
        let threshold = self.settings.zero_gather_deletion_threshold;
        let deletion = Deletion { now, horizon: window.oldest.start(), threshold };
        let news = inventory::observe(&self.memory.entities, &self.memory.listings, seen, deletion);
        let quarantined = quarantine::entries(&self.settings.tenant_id, bill, &self.memory.bad_rows, now);
        report.quarantined = quarantined.len();
        let topics = topics::orphaned(&self.memory.entities, &news.forgotten);
        let entities = news.entities.into_iter().map(Change::Entity);
        let forgotten = news.forgotten.into_iter().map(|(kind, id)| Change::Forget(kind, id));
        let listings = news.listings.into_iter().map(Change::Listing);
        let bad_rows = quarantined.iter().map(|entry| Change::BadRow(entry.id.clone()));
        let days = self.memory.outdated(&window);
        let changes = entities.chain(forgotten).chain(topics).chain(days).chain(listings).chain(bad_rows).collect();
        self.commit(Transaction { quarantined, changes, ..Transaction::default() }).await
    }

    /// Decides about each day before usage; gives back those whose usage is wanted.
    async fn look_at(
        &mut self,
        days: Vec<Day>,
        mut bill: Bill,
        cycle: &Cycle<'_>,
        (report, telling): (&mut CycleReport, &mut Telling),
    ) -> Result<Vec<Due>, GatherError> {
        let (mut wanted, mut changes) = (Vec::new(), Vec::new());
        let billed: Vec<Day> = days.iter().copied().filter(|day| plan::was_billed(self.memory.days.get(day))).collect();
        let taken_back: BTreeSet<Day> = billed.iter().copied().filter(|day| !bill.days.contains_key(day)).collect();
        let doubt = plan::doubt(billed.len(), taken_back.len());
        doubt.iter().for_each(|why| report.fail(why));
        for day in days {
            let row = bill.days.remove(&day);
            let remembered = self.memory.days.get(&day);
            if row.is_none() && remembered.is_none() {
                continue;
            }
            let content = day::content(&self.memory.entities, day, row.as_ref(), cycle);
            let doubted = doubt.as_deref().filter(|_| taken_back.contains(&day));
            let gap = row.as_ref().and_then(|row| row.gap.as_ref());
            let step = match (doubted, gap.and_then(|gap| plan::with_gap(remembered, &content, gap))) {
                (Some(why), _) => Step::Hold(plan::held(remembered, &content, why)),
                (None, Some(step)) => step,
                (None, None) => {
                    plan::before_usage(remembered, &content, cycle.incomplete.as_deref(), cycle.request.is_some())
                }
            };
            if let (Some(Gap::Final(why)), Step::AskUsage) = (gap, &step) {
                report.flagged.push((day, why.clone()));
            }
            match step {
                Step::Skip(memory) => {
                    report.unchanged += usize::from(remembered.is_some_and(|day| day.revision > 0));
                    changes.extend(memory.map(Change::Day));
                }
                Step::Hold(memory) => {
                    report.held.push((day, memory.held.clone().unwrap_or_default()));
                    changes.extend((remembered != Some(&memory)).then_some(Change::Day(memory)));
                }
                Step::AskUsage => wanted.push(Due { content, bill: row.unwrap_or_default() }),
            }
            // Hashing a large inventory takes a while; others want the thread too.
            tokio::task::yield_now().await;
        }
        report.wanted = Some(report.unchanged + report.held.len() + wanted.len());
        self.commit(Transaction { runs: telling.with(report, 0), ..Transaction::of(changes) }).await?;
        Ok(wanted)
    }

    /// Fetches usage, a few days at once, and seals in day order.
    async fn fetch_and_seal(
        &mut self,
        due: Vec<Due>,
        source: &Source,
        cycle: &Cycle<'_>,
        (ask, progress): (&Ask, &impl Fn(Progress)),
        (report, telling): (&mut CycleReport, &mut Telling),
    ) -> Result<(), GatherError> {
        let total = due.len();
        let fetches = due.into_iter().map(|due| async move {
            let answers = match due.content.needs.as_slice() {
                [] => Vec::new(),
                needs => source.usage(due.content.day, needs).await,
            };
            (due, answers)
        });
        let mut fetched = stream::iter(fetches).buffered(DAYS_AT_ONCE);
        let mut done = 0;
        loop {
            let Some(next) = ask.stop.run_until_cancelled(fetched.next()).await else {
                report.stopped = true;
                return Ok(());
            };
            let Some((due, answers)) = next else { return Ok(()) };
            self.seal(due, answers, cycle, (report, telling)).await?;
            done += 1;
            progress(Progress { phase: Phase::Days, done, total });
        }
    }

    /// Decides about a day with its usage, and commits what follows.
    async fn seal(
        &mut self,
        due: Due,
        answers: Vec<UsageOf>,
        cycle: &Cycle<'_>,
        (report, telling): (&mut CycleReport, &mut Telling),
    ) -> Result<(), GatherError> {
        let (content, answer) = (due.content.clone(), day::answer(answers, cycle.rules));
        answer.denied.iter().for_each(|why| report.fail(why));
        let remembered = self.memory.days.get(&content.day);
        let TenantSettings { allocation_retry_limit, topic_attribution_retry_limit, .. } = self.settings;
        let limits = Limits { usage: allocation_retry_limit, topics: topic_attribution_retry_limit };
        let again = cycle.request.is_some();
        match plan::after_usage(remembered, &content, &answer.usage, limits, again, cycle.now) {
            Verdict::Skip(memory) => {
                report.unchanged += 1;
                if again {
                    report.fail(&format!("{} was not sealed again: usage that it has could not be had", content.day));
                }
                let runs = if memory.is_some() { telling.with(report, 0) } else { telling.alone(report) };
                self.commit(Transaction { runs, ..Transaction::of(memory.map(Change::Day)) }).await
            }
            Verdict::Hold(memory) => self.hold(memory, report, telling).await,
            Verdict::Seal { why, memory } => {
                let memory = plan::numbered(memory, self.memory.last_forgotten);
                let sealed = (memory.day, memory.revision);
                let entities = &self.memory.entities;
                let topics = topics::observe(entities, content.day, &answer.values);
                let revision = Some(day::revision(entities, &topics, due, answer, why, &memory, cycle));
                let changes = topics.into_iter().chain([Change::Day(memory)]);
                let runs = telling.with(report, 1);
                match self.commit(Transaction { revision, runs, ..Transaction::of(changes) }).await {
                    Err(GatherError::Encode(error)) => {
                        let why = format!("the day cannot be written: {}", chain(&error));
                        let held = plan::held(self.memory.days.get(&content.day), &content, &why);
                        self.hold(held, report, telling).await
                    }
                    done => done.map(|()| report.sealed.push(sealed)),
                }
            }
        }
    }

    async fn hold(
        &mut self,
        memory: GatheredDay,
        report: &mut CycleReport,
        telling: &mut Telling,
    ) -> Result<(), GatherError> {
        report.held.push((memory.day, memory.held.clone().unwrap_or_default()));
        self.commit(Transaction { runs: telling.with(report, 0), ..Transaction::of([Change::Day(memory)]) }).await
    }

    /// Commits, then remembers.
    async fn commit(&mut self, transaction: Transaction) -> Result<(), GatherError> {
        if transaction.is_empty() {
            return Ok(());
        }
        let publisher = Arc::clone(&self.publisher);
        let publish = move || {
            // Poisoned or not: a publisher that failed is not used again.
            let mut publisher = publisher.lock().unwrap_or_else(PoisonError::into_inner);
            publisher.publish(&transaction).map(|()| transaction.changes)
        };
        let changes = match tokio::task::spawn_blocking(publish).await {
            Ok(published) => published?,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return Err(GatherError::Stopping),
            },
        };
        changes.into_iter().for_each(|change| self.memory.apply(change));
        Ok(())
    }
}

/// The bills of all periods as one, and the periods whose bill could not be had, with the reasons.
async fn bill_of(source: &Source, periods: &[Period], progress: &impl Fn(Progress)) -> (Bill, Vec<(Period, String)>) {
    let (mut bill, mut failed, total) = (Bill::default(), Vec::new(), periods.len());
    for (done, (from, to)) in periods.iter().enumerate() {
        progress(Progress { phase: Phase::Bill, done, total });
        match source.bill(*from, *to).await {
            Ok(part) => {
                bill.days.extend(part.days);
                bill.undated.extend(part.undated);
            }
            Err(why) => failed.push(((*from, *to), format!("bill of {from} to {to}: {why}"))),
        }
    }
    progress(Progress { phase: Phase::Bill, done: total, total });
    (bill, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles only if a cycle can be spawned.
    #[allow(dead_code, reason = "a check by the compiler")]
    fn a_cycle_can_be_spawned(
        gatherer: Gatherer,
        source: &'static Source,
        rules: &'static RuleBook,
        clock: &'static Clock,
        ask: &'static Ask,
    ) {
        drop(tokio::spawn(gatherer.cycle(source, rules, clock, ask, |_| ())));
    }
}
