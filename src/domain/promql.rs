//! How far a PromQL expression looks back, which decides how often it has to be asked to see each moment once.
//!
//! In: an expression. Out: lengths of time. Absent: a grammar; the server that is asked has it.

use chrono::TimeDelta;

/// How the values of an expression over a day become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// Each value is what was added in its period.
    Sum,
    /// Each value is a level; periods without one do not count.
    Mean,
    /// As `Mean`, the highest one.
    Maximum,
}

/// At which moments of a day an expression is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Length of the periods that fill the day; divides it.
    pub step: TimeDelta,
    /// At the ends of the periods, for what looks back over them; else at their beginnings, for a level that holds until
    /// the next look.
    pub at_ends: bool,
}

impl Sampling {
    /// A level, as often as a value stays visible to Prometheus, so none is missed.
    pub const FINE: Self = Self { step: TimeDelta::minutes(5), at_ends: false };
    /// A level that changes seldom.
    pub const COARSE: Self = Self { step: TimeDelta::hours(1), at_ends: false };
    /// What looks back over a whole day.
    pub const DAY: Self = Self { step: TimeDelta::days(1), at_ends: true };

    /// Periods that a day has.
    pub fn periods(self) -> usize {
        (86_400 / self.step.num_seconds().max(1)) as usize
    }
}

/// When to ask an expression so that each moment of a day counts once: as often as it looks back.
///
/// # Errors
/// The range, if values are added up and it does not divide a day.
pub fn sampling_of(expression: &str, fold: Fold) -> Result<Sampling, TimeDelta> {
    match longest_range(expression) {
        Some(range) if 86_400 % range.num_seconds() == 0 => Ok(Sampling { step: range, at_ends: true }),
        Some(range) if fold == Fold::Sum => Err(range),
        _ => Ok(Sampling::FINE),
    }
}

/// The longest range an expression looks back over: one day for `sum_over_time(increase(x[1h])[1d:1h])`. `None` if it
/// has no range.
pub fn longest_range(expression: &str) -> Option<TimeDelta> {
    let mut found = None;
    let (mut quote, mut escaped, mut open) = (None, false, None);
    for (at, c) in expression.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '[') => open = Some(at + 1),
            (None, ']') => {
                let inside = open.take().map_or("", |start| &expression[start..at]);
                let range = inside.split(':').next().unwrap_or_default();
                found = found.max(duration(range.trim()));
            }
            (None, _) => {}
        }
    }
    found
}

/// `90s`, `1h30m`, `1d`.
fn duration(text: &str) -> Option<TimeDelta> {
    let (mut rest, mut seconds) = (text, 0_i64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
        let unit = match &rest[digits..unit_end] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            "y" => 31_536_000,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[unit_end..];
    }
    TimeDelta::try_seconds(seconds).filter(|length| *length > TimeDelta::zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_range_counts_and_texts_do_not() {
        let seconds = |text| longest_range(text).map(|range| range.num_seconds());
        assert_eq!(seconds("sum(increase(x_total[1h]))"), Some(3600));
        assert_eq!(seconds("sum_over_time(sum(increase(x[1h]))[1d:1h])"), Some(86_400));
        assert_eq!(seconds("rate(x{a=\"[9d]\", b='\\'[8d]'}[1m30s])"), Some(90));
        assert_eq!(seconds("sum(up)"), None);
        assert_eq!(seconds("x[abc] ]["), None);
        assert_eq!(seconds("x[99999999999999999y]"), None);
    }

    #[test]
    fn the_step_is_the_range_of_the_expression() {
        let step = |text, fold| {
            sampling_of(text, fold).map(|sampling| sampling.step.num_minutes()).map_err(|range| range.num_minutes())
        };
        assert_eq!(step("sum(increase(x[1h]))", Fold::Sum), Ok(60));
        assert_eq!(step("sum(increase(x[1d]))", Fold::Sum), Ok(1440));
        assert_eq!(step("sum(increase(x[7h]))", Fold::Sum), Err(420));
        assert_eq!(step("avg_over_time(x[7h])", Fold::Mean), Ok(5));
        assert_eq!(step("sum(x)", Fold::Mean), Ok(5));
    }
}
