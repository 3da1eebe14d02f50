//! Ends what is under way, and wishes that were not begun.

use super::{Asked, Doing, Schedule, Seat};
use crate::domain::{Command, CommandKind};

/// A turn that somebody wants to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    pub tenant: String,
    pub turn: u64,
    /// Who wants it, for people.
    pub by: String,
}

impl Schedule {
    /// Looks for what is to be cancelled: the turns to stop, and the commands to cancel that found nothing, which are
    /// done with that. Wishes that were not begun are answered by [`Schedule::next`].
    ///
    /// `run_of`: the id of the run that a tenant's turn is.
    pub fn cancel(&mut self, run_of: impl Fn(&str) -> Option<String>) -> (Vec<Halt>, Vec<Asked>) {
        let (mut halts, mut idle) = (Vec::new(), Vec::new());
        for (tenant, seat) in &mut self.seats {
            let wanted = seat.waiting.extract_if(.., |asked| asked.command.kind == CommandKind::Cancel);
            for asked in wanted.collect::<Vec<_>>() {
                let by = asked.command.requested_by.clone();
                let waits = seat.withdraw(&asked.command);
                match seat.doing.as_mut().filter(|doing| is_meant(doing, &asked.command, run_of(tenant))) {
                    Some(doing) => {
                        // Done when the run has ended: what ends before that begins again, and is cancelled again.
                        doing.order.asked_mut().push(asked);
                        halts.push(Halt { tenant: tenant.clone(), turn: doing.turn, by });
                    }
                    None if waits => seat.withdrawn.push(asked),
                    None => idle.push(asked),
                }
            }
        }
        (halts, idle)
    }
}

impl Seat {
    /// Takes the wishes that are meant out of those that wait; tells whether there were any.
    fn withdraw(&mut self, command: &Command) -> bool {
        let meant: Vec<Asked> =
            self.waiting.extract_if(.., |asked| command.cancels.contains(&asked.command.id)).collect();
        let any = !meant.is_empty();
        self.withdrawn.extend(meant);
        any
    }
}

fn is_meant(doing: &Doing, command: &Command, run: Option<String>) -> bool {
    let names = |id: &String| command.cancels.contains(id);
    command.cancels.is_empty()
        || run.as_ref().is_some_and(names)
        || doing.order.asked().iter().any(|asked| names(&asked.command.id))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::super::{Order, Past, Rhythm};
    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn schedule() -> Schedule {
        let mut schedule = Schedule::new(1);
        let past = Past { suspended: Some("a test".to_owned()), ..Past::default() };
        schedule.take("a", past, Rhythm { refresh: None, gap: TimeDelta::zero() }, NOW);
        schedule
    }

    fn asked(offset: i64, kind: CommandKind, cancels: &[&str]) -> Asked {
        let command = Command {
            id: format!("c{offset}"),
            tenant: "a".to_owned(),
            kind,
            from: None,
            to: None,
            force: true,
            requested_at: NOW,
            requested_by: format!("by {offset}"),
            cancels: cancels.iter().map(|id| (*id).to_owned()).collect(),
        };
        Asked { command, place: (0, offset) }
    }

    fn run(_: &str) -> Option<String> {
        Some("run-1".to_owned())
    }

    fn places(asked: &[Asked]) -> Vec<i64> {
        asked.iter().map(|asked| asked.place.1).collect()
    }

    #[test]
    fn what_was_not_begun_never_begins() {
        let mut schedule = schedule();
        schedule.ask(asked(1, CommandKind::Gather, &[]));
        schedule.ask(asked(2, CommandKind::Cancel, &["c1"]));
        assert_eq!(schedule.cancel(run), (vec![], vec![]));
        let starts = schedule.next(NOW);
        let Order::Cancel { asked, why } = &starts[0].order else { panic!("{starts:?}") };
        assert_eq!((places(asked), why.as_str()), (vec![1, 2], "cancelled by by 2 before it began"));
        let answered = schedule.ended("a", starts[0].turn, Some(Past::default()), NOW).unwrap();
        assert_eq!(places(&answered), [1, 2]);
        assert_eq!(schedule.next(NOW), []);
    }

    #[test]
    fn what_is_under_way_is_stopped_by_its_own_id_and_by_those_of_its_wishes() {
        for meant in [&["run-1"][..], &["c1"], &["x", "c1"], &[]] {
            let mut schedule = schedule();
            schedule.ask(asked(1, CommandKind::Gather, &[]));
            let turn = schedule.next(NOW)[0].turn;
            schedule.ask(asked(2, CommandKind::Cancel, meant));
            let halt = Halt { tenant: "a".to_owned(), turn, by: "by 2".to_owned() };
            assert_eq!(schedule.cancel(run), (vec![halt], vec![]), "{meant:?}");
            // Told again, it counts once.
            schedule.ask(asked(2, CommandKind::Cancel, meant));
            assert_eq!(schedule.cancel(run), (vec![], vec![]));
            let answered = schedule.ended("a", turn, Some(Past::default()), NOW).unwrap();
            assert_eq!(places(&answered), [1, 2]);
        }
    }

    #[test]
    fn what_is_not_meant_goes_on() {
        let mut schedule = schedule();
        schedule.ask(asked(1, CommandKind::Gather, &[]));
        schedule.next(NOW);
        schedule.ask(asked(2, CommandKind::Gather, &[]));
        schedule.ask(asked(3, CommandKind::Cancel, &["run-0"]));
        let (halts, idle) = schedule.cancel(run);
        assert_eq!((halts, places(&idle)), (vec![], vec![3]), "it is done, and found nothing");
        // A wish that waits behind a run is withdrawn without touching the run.
        schedule.ask(asked(4, CommandKind::Cancel, &["c2"]));
        assert_eq!(schedule.cancel(run), (vec![], vec![]));
        assert_eq!(schedule.next(NOW), [], "the turn is taken");
    }

    #[test]
    fn a_turn_that_could_not_end_is_cancelled_when_it_is_taken_again() {
        let mut schedule = schedule();
        schedule.ask(asked(1, CommandKind::Gather, &[]));
        let turn = schedule.next(NOW)[0].turn;
        schedule.ask(asked(2, CommandKind::Cancel, &["c1"]));
        schedule.cancel(run);
        assert_eq!(schedule.ended("a", turn, None, NOW), Some(vec![]));
        assert_eq!(schedule.cancel(|_| None), (vec![], vec![]));
        let later = NOW + TimeDelta::seconds(60);
        assert!(matches!(&schedule.next(later)[0].order, Order::Cancel { asked, .. } if places(asked) == [1, 2]));
    }
}
