//! Who comes next, in small stories.

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

const RHYTHM: Rhythm = Rhythm { refresh: Some(TimeDelta::seconds(600)), gap: TimeDelta::seconds(300) };

fn ended(started: i64, ended: i64) -> Past {
    Past { started_at: Some(at(started)), ended_at: Some(at(ended)), finished: true, suspended: None }
}

fn schedule(at_once: usize, tenants: &[&str]) -> Schedule {
    let mut schedule = Schedule::new(at_once);
    tenants.iter().for_each(|tenant| schedule.take(tenant, Past::default(), RHYTHM, at(0)));
    schedule
}

fn asked(tenant: &str, offset: i64, change: impl FnOnce(&mut Command)) -> Asked {
    let mut command = Command {
        id: format!("c{offset}"),
        tenant: tenant.into(),
        kind: CommandKind::Gather,
        from: None,
        to: None,
        force: false,
        requested_at: at(offset),
        requested_by: "test".into(),
        cancels: Vec::new(),
    };
    change(&mut command);
    Asked { command, place: (0, offset) }
}

fn forced(command: &mut Command) {
    command.force = true;
}

/// `a` gathers by itself, `a!c1,c2` because of commands, `a?c1` is skipped.
fn told(starts: &[Start]) -> Vec<String> {
    let told = |start: &Start| {
        let ids: Vec<&str> = start.order.asked().iter().map(|asked| asked.command.id.as_str()).collect();
        let sign = match &start.order {
            Order::Skip { .. } => "?",
            Order::Cancel { .. } => "-",
            Order::Gather { trigger: Trigger::Command, .. } => "!",
            Order::Gather { .. } => "",
        };
        format!("{}{sign}{}", start.tenant, ids.join(","))
    };
    starts.iter().map(told).collect()
}

fn next(schedule: &mut Schedule, now: i64) -> Vec<String> {
    told(&schedule.next(at(now)))
}

#[test]
fn a_cycle_follows_an_interval_after_the_end_of_the_one_before() {
    let mut schedule = schedule(4, &["a"]);
    let first = schedule.next(at(0));
    assert_eq!((told(&first), next(&mut schedule, 1)), (vec!["a".to_owned()], vec![]));
    schedule.ended("a", first[0].turn, Some(ended(0, 50)), at(50));
    assert_eq!((schedule.wake(at(50)), next(&mut schedule, 649)), (Some(at(650)), vec![]));
    assert_eq!(next(&mut schedule, 650), ["a"]);
}

#[test]
fn the_gap_between_two_starts_outlives_a_restart() {
    let short = Rhythm { refresh: Some(TimeDelta::seconds(10)), ..RHYTHM };
    let mut schedule = Schedule::new(1);
    schedule.take("a", ended(-100, -90), short, at(0));
    assert_eq!((next(&mut schedule, 199), schedule.wake(at(199))), (vec![], Some(at(200))));
    assert_eq!(next(&mut schedule, 200), ["a"]);
}

#[test]
fn an_interrupted_cycle_is_begun_again_at_once() {
    let mut schedule = Schedule::new(1);
    schedule.take("a", Past { finished: false, ended_at: None, ..ended(-5, 0) }, RHYTHM, at(0));
    assert_eq!(next(&mut schedule, 0), ["a"]);
}

#[test]
fn a_past_that_lies_in_the_future_makes_nobody_wait() {
    let mut schedule = Schedule::new(1);
    schedule.take("a", ended(86_400, 86_500), RHYTHM, at(0));
    assert_eq!(next(&mut schedule, 0), ["a"]);
}

#[test]
fn without_an_interval_there_is_one_cycle() {
    let once = Rhythm { refresh: None, ..RHYTHM };
    let mut schedule = Schedule::new(1);
    schedule.take("a", ended(-100_000, -99_000), once, at(0));
    let first = schedule.next(at(0));
    schedule.ended("a", first[0].turn, Some(ended(0, 50)), at(50));
    assert_eq!((next(&mut schedule, 100_000), schedule.wake(at(100_000))), (vec![], None));
}

#[test]
fn a_slow_tenant_and_a_failing_one_delay_nobody_and_places_go_round_in_order() {
    let mut schedule = schedule(2, &["a", "b", "c", "d"]);
    let first = schedule.next(at(0));
    assert_eq!(told(&first), ["a", "b"]);
    assert_eq!(schedule.wake(at(0)), None, "who waits for a place is not woken by the clock");
    schedule.ended("b", first[1].turn, Some(ended(0, 1)), at(1));
    let third = schedule.next(at(1));
    assert_eq!(told(&third), ["c"]);
    // `b` is due again, but `d` has waited longer.
    schedule.ended("c", third[0].turn, Some(ended(1, 700)), at(700));
    assert_eq!(next(&mut schedule, 700), ["d"]);
}

#[test]
fn wishes_for_the_same_days_are_one_cycle_and_wait_for_the_one_under_way() {
    let mut schedule = schedule(4, &["a"]);
    let first = schedule.next(at(0));
    let day = |text: &str| Some(text.parse::<Day>().unwrap());
    schedule.ask(asked("a", 1, forced));
    schedule.ask(asked("a", 2, |c| (c.force, c.from) = (true, day("2026-02-01"))));
    schedule.ask(asked("a", 3, forced));
    schedule.ask(asked("a", 3, forced));
    assert_eq!(next(&mut schedule, 3), [""; 0]);
    schedule.ended("a", first[0].turn, Some(ended(0, 4)), at(4));
    let second = schedule.next(at(4));
    assert_eq!(told(&second), ["a!c1,c3"]);
    schedule.ended("a", second[0].turn, Some(ended(4, 5)), at(5));
    let third = schedule.next(at(5));
    assert_eq!(told(&third), ["a!c2"]);
    schedule.ended("a", third[0].turn, Some(ended(5, 100)), at(100));
    assert_eq!(schedule.wake(at(100)), Some(at(605)), "chosen days do not put off the whole window");
}

#[test]
fn what_need_not_be_done_is_answered_at_once() {
    let mut schedule = schedule(1, &["a", "b"]);
    let first = schedule.next(at(0));
    schedule.ended("a", first[0].turn, Some(ended(0, 1)), at(1));
    assert_eq!(next(&mut schedule, 1), ["b"]);
    schedule.ask(asked("a", 2, |_| ()));
    schedule.ask(asked("a", 3, |c| c.kind = CommandKind::Resume));
    let answered = schedule.next(at(3));
    assert_eq!(told(&answered), ["a?c2,c3"], "although the only place is taken");
    let Order::Skip { why, .. } = &answered[0].order else { panic!("{answered:?}") };
    assert!(why.contains("3 s ago") && why.contains("300") && why.contains("--force"), "{why}");
}

#[test]
fn a_suspended_tenant_waits_for_somebody() {
    let suspended = || Past { suspended: Some("5 runs failed".into()), ..ended(-1000, -900) };
    let mut schedule = Schedule::new(1);
    schedule.take("a", suspended(), RHYTHM, at(0));
    assert_eq!((next(&mut schedule, 100_000), schedule.wake(at(100_000))), (vec![], None));
    schedule.ask(asked("a", 1, |_| ()));
    let skipped = schedule.next(at(2));
    assert_eq!(told(&skipped), ["a?c1"]);
    schedule.ended("a", skipped[0].turn, Some(suspended()), at(2));
    schedule.ask(asked("a", 3, |c| c.kind = CommandKind::Resume));
    let resumed = schedule.next(at(4));
    assert!(matches!(resumed[0].order, Order::Gather { resume: true, .. }), "{resumed:?}");
}

#[test]
fn what_could_not_begin_is_tried_again_with_all_that_was_asked() {
    let mut schedule = schedule(1, &["a"]);
    schedule.ask(asked("a", 1, forced));
    let first = schedule.next(at(1));
    schedule.ask(asked("a", 2, forced));
    schedule.ended("a", first[0].turn, None, at(2));
    assert_eq!((next(&mut schedule, 11), schedule.wake(at(11))), (vec![], Some(at(12))));
    assert_eq!(next(&mut schedule, 12), ["a!c1,c2"]);
}

#[test]
fn a_tenant_that_went_away_and_came_back_does_not_hear_of_its_old_turn() {
    let mut schedule = schedule(1, &["a"]);
    let first = schedule.next(at(0));
    schedule.leave("a");
    schedule.ask(asked("a", 1, forced));
    schedule.take("a", Past::default(), RHYTHM, at(2));
    let second = schedule.next(at(2));
    assert_eq!(told(&second), ["a!c1"], "asked before it had come");
    schedule.ended("a", first[0].turn, Some(ended(0, 3)), at(3));
    assert_eq!(next(&mut schedule, 3), [""; 0], "the second turn is under way");
}

#[test]
fn forced_days_are_sealed_again_and_a_forced_window_is_not() {
    let mut schedule = schedule(1, &["a"]);
    let day = |text: &str| Some(text.parse::<Day>().unwrap());
    let again = |schedule: &mut Schedule, now: i64| {
        let start = schedule.next(at(now)).remove(0);
        let again = start.order.again().map(str::to_owned);
        schedule.ended("a", start.turn, Some(ended(now, now + 1)), at(now + 1));
        again
    };
    schedule.ask(asked("a", 1, |c| (c.force, c.from, c.to) = (true, day("2026-02-01"), day("2026-02-03"))));
    assert_eq!(again(&mut schedule, 1).as_deref(), Some("c1"));
    schedule.ask(asked("a", 2, forced));
    assert_eq!(again(&mut schedule, 700), None);
    schedule.ask(asked("a", 3, |c| (c.from, c.to) = (day("2026-02-01"), day("2026-02-03"))));
    assert_eq!(again(&mut schedule, 2000), None);
}
