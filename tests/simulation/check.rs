//! What must hold when everything has come to rest.

use tributary::domain::TenantDay;

use crate::facts::{Quality, Revision};
use crate::log::Log;
use crate::run::{Run, Wrong};

impl Run {
    /// Is nobody to take up this revision any more, because its day is too old, or its tenant was forgotten?
    fn is_in_vain(&self, key: &TenantDay, revision: u32) -> bool {
        self.kept.expires(key) || revision <= self.kafka.last_forgotten(&key.tenant)
    }

    /// What the log holds.
    ///
    /// # Errors
    /// What is doubled or out of order.
    pub(super) fn log(&self) -> Result<Log, Wrong> {
        Log::read(&self.kafka, |key, revision| self.is_in_vain(key, revision))
    }

    /// Outcomes of revisions that were forgotten with their tenant; some are allowed to those who did not know yet.
    ///
    /// # Errors
    /// As [`Self::log`].
    pub(super) fn taken_up(&self) -> Result<usize, Wrong> {
        let forgotten = |(key, revision): &&(TenantDay, u32)| *revision <= self.kafka.last_forgotten(&key.tenant);
        Ok(self.log()?.outcomes.iter().filter(forgotten).count())
    }

    /// Compares the log and the tables with what was published.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let log = self.log()?;
        for (key, revisions) in &self.published {
            for revision in revisions {
                self.check_revision(&log, key, revision)?;
            }
            self.check_day(&log, key, revisions)?;
        }
        match self.set_aside.iter().find(|source| !log.quarantined.contains(*source)) {
            Some(source) => Err(format!("{source} is not in the quarantine")),
            None => Ok(()),
        }
    }

    fn check_revision(&self, log: &Log, key: &TenantDay, revision: &Revision) -> Result<(), Wrong> {
        let rows = log.rows.get(key).and_then(|rows| rows.get(&revision.revision));
        match (&revision.quality, rows) {
            (Quality::Sound(expected) | Quality::Piecewise(expected), Some(rows)) if !rows.values().eq(expected) => {
                return Err(format!("{key} revision {}: {rows:#?}, not {expected:#?}", revision.revision));
            }
            (Quality::Unsound | Quality::Poisoned { .. }, Some(_)) => {
                return Err(format!("{key} revision {} has rows", revision.revision));
            }
            _ => {}
        }
        let refused = log.refused.contains(&(key.clone(), revision.revision));
        if revision.is_sound() && refused && !self.is_in_vain(key, revision.revision) {
            return Err(format!("{key} revision {} is sound and was refused", revision.revision));
        }
        Ok(())
    }

    fn check_day(&self, log: &Log, key: &TenantDay, revisions: &[Revision]) -> Result<(), Wrong> {
        let holds = log.allocated.get(key).copied();
        let (shown, rows) = self.tables.day(key)?;
        let last = revisions.iter().filter(|of| !self.is_in_vain(key, of.revision)).max_by_key(|of| of.revision);
        let Some(last) = last else {
            return match (holds, shown) {
                (None, None) if rows.is_empty() => Ok(()),
                _ => Err(format!("{key} came back: the log holds {holds:?}, tables show {shown:?} {rows:#?}")),
            };
        };
        // What was allocated in vain is no longer the key's last outcome, or has a tombstone.
        let holds = holds.filter(|revision| !self.is_in_vain(key, *revision));
        if last.is_sound() && holds != Some(last.revision) {
            return Err(format!("{key} revision {} is the last, {holds:?} holds", last.revision));
        }
        if last.is_refused() && !log.refused.contains(&(key.clone(), last.revision)) {
            return Err(format!("{key} revision {} was not refused", last.revision));
        }
        let of_holding = holds.and_then(|holds| log.rows.get(key)?.get(&holds));
        let mut expected: Vec<String> = of_holding.into_iter().flat_map(|rows| rows.values().cloned()).collect();
        expected.sort_unstable();
        if (shown, &rows) != (holds, &expected) {
            return Err(format!("{key}: tables show {shown:?} {rows:#?}, the log holds {holds:?} {expected:#?}"));
        }
        Ok(())
    }

    /// Has every tenant that is gathered its newest bill sealed, and all usage that can be had?
    ///
    /// # Errors
    /// The first day that has not.
    pub(super) fn check_outside(&self) -> Result<(), Wrong> {
        for tenant in self.outside.iter().filter(|tenant| tenant.configured) {
            let kept = tenant.days.keys().filter(|day| **day >= self.kept.first(&tenant.name));
            kept.into_iter().try_for_each(|day| tenant.check(*day))?;
        }
        Ok(())
    }
}
