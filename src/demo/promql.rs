//! The part of PromQL that Tributary asks, read.
//!
//! In: a text such as `sum by (a) (sum_over_time(metric{b="c", d!=""}[1d]))`. Out: an [`Expr`]. Absent: numbers.
//! Anything else is an error that says where the text stops being one that can be answered.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

/// An expression that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// The series of an expression by labels, each group as one; without labels all of them.
    Group(Fold, Vec<String>, Box<Expr>),
    /// What each series did in the time before.
    Over(Fold, Selector, TimeDelta),
    /// Each series as it is at the moment.
    Level(Selector),
}

/// How numbers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    Sum,
    Max,
    Count,
    Last,
    /// 1 wherever there is anything.
    Any,
}

impl Fold {
    pub fn of(self, mut values: impl DoubleEndedIterator<Item = u64>) -> Option<u64> {
        match self {
            Self::Sum => values.reduce(|a, b| a + b),
            Self::Max => values.max(),
            Self::Count => Some(values.count() as u64).filter(|n| *n > 0),
            Self::Last => values.next_back(),
            Self::Any => values.map(|_| 1).reduce(|one, _| one),
        }
    }
}

const OVER_SERIES: [(&str, Fold); 4] =
    [("sum", Fold::Sum), ("max", Fold::Max), ("count", Fold::Count), ("group", Fold::Any)];
/// The numbers of a counter are what was added in their hour, so the sum of them is its increase.
const OVER_TIME: [(&str, Fold); 4] = [
    ("sum_over_time", Fold::Sum),
    ("increase", Fold::Sum),
    ("max_over_time", Fold::Max),
    ("last_over_time", Fold::Last),
];

/// Which series are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    matchers: Vec<Matcher>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Matcher {
    label: String,
    equal: bool,
    value: String,
}

impl Selector {
    /// Is a series with these labels meant? A label that is not there counts as empty.
    pub fn fits(&self, metric: &str, labels: &BTreeMap<&'static str, String>) -> bool {
        let of = |label: &String| labels.get(label.as_str()).map_or("", String::as_str);
        self.metric == metric && self.matchers.iter().all(|m| (of(&m.label) == m.value) == m.equal)
    }
}

impl Expr {
    /// Reads an expression.
    ///
    /// # Errors
    /// Says where it stops being one that can be answered here.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rest = Rest(text.trim());
        let expr = rest.expr()?;
        if rest.0.is_empty() { Ok(expr) } else { Err(rest.expected("the end")) }
    }
}

/// A duration as Prometheus writes it (`1d`, `3600s`) or a number of seconds.
///
/// # Errors
/// Names what is not a positive duration.
pub fn duration(text: &str) -> Result<TimeDelta, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0,
    };
    let seconds = digits.parse::<u32>().map_or(0, |n| i64::from(n) * unit);
    if seconds > 0 {
        Ok(TimeDelta::seconds(seconds))
    } else {
        Err(format!("{text:?} is not a duration such as 1d or 3600s"))
    }
}

/// A moment as RFC 3339 or Unix seconds.
///
/// # Errors
/// Names what is neither.
pub fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let unix = text.parse::<f64>().ok().and_then(|t| DateTime::from_timestamp_millis((t * 1000.0) as i64));
    let time = unix.or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc()));
    time.ok_or_else(|| format!("{text:?} is not a time: RFC 3339 or Unix seconds"))
}

/// What of an expression is still unread.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn expr(&mut self) -> Result<Expr, String> {
        let name = self.name()?;
        let known = |words: [(&str, Fold); 4]| words.iter().find(|(word, _)| *word == name).map(|(_, fold)| *fold);
        if let Some(fold) = known(OVER_SERIES) {
            let labels = match self.token("by") {
                Ok(()) => self.token("(").and_then(|()| self.list(")", Rest::name))?,
                Err(_) => Vec::new(),
            };
            self.token("(")?;
            let inside = Box::new(self.expr()?);
            self.token(")")?;
            return Ok(Expr::Group(fold, labels, inside));
        }
        if let Some(fold) = known(OVER_TIME) {
            self.token("(")?;
            let metric = self.name()?;
            let selector = self.selector(metric)?;
            self.token("[")?;
            let window = duration(self.take("a duration", |c| c.is_ascii_alphanumeric())?)?;
            self.token("]")?;
            self.token(")")?;
            return Ok(Expr::Over(fold, selector, window));
        }
        Ok(Expr::Level(self.selector(name)?))
    }

    fn selector(&mut self, metric: String) -> Result<Selector, String> {
        let matchers = if self.token("{").is_ok() { self.list("}", Rest::matcher)? } else { Vec::new() };
        Ok(Selector { metric, matchers })
    }

    fn matcher(&mut self) -> Result<Matcher, String> {
        let label = self.name()?;
        let equal = self.token("!=").is_err();
        if equal {
            self.token("=")?;
        }
        self.token("\"")?;
        let end = self.0.find(['"', '\\']).unwrap_or(self.0.len());
        let (value, after) = self.0.split_at(end);
        self.0 = after;
        self.token("\"")?;
        Ok(Matcher { label, equal, value: value.to_owned() })
    }

    fn expected(&self, what: &str) -> String {
        let words = |words: [(&str, Fold); 4]| words.map(|(word, _)| word).join("|");
        format!(
            "expected {what} at {:?}; this demo answers only metric{{label=\"value\"}}, {}(metric{{…}}[1d]) and {} by \
             (labels) (…) of them",
            self.0,
            words(OVER_TIME),
            words(OVER_SERIES)
        )
    }

    fn token(&mut self, token: &str) -> Result<(), String> {
        let after = self.0.strip_prefix(token).ok_or_else(|| self.expected(token))?;
        self.0 = after.trim_start();
        Ok(())
    }

    fn take(&mut self, what: &str, belongs: impl Fn(char) -> bool) -> Result<&'a str, String> {
        let end = self.0.find(|c| !belongs(c)).unwrap_or(self.0.len());
        if end == 0 {
            return Err(self.expected(what));
        }
        let (taken, after) = self.0.split_at(end);
        self.0 = after.trim_start();
        Ok(taken)
    }

    fn name(&mut self) -> Result<String, String> {
        let name = self.take("a name", |c| c.is_ascii_alphanumeric() || c == '_' || c == ':')?;
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            Err(self.expected("a name before"))
        } else {
            Ok(name.to_owned())
        }
    }

    fn list<T>(&mut self, end: &str, mut one: impl FnMut(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut items = Vec::new();
        while self.token(end).is_err() {
            if !items.is_empty() {
                self.token(",")?;
            }
            items.push(one(self)?);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_cannot_answer() {
        for text in [
            "",
            "1",
            "up + up",
            "sum(rate(m[1d]))",
            "sum by (a) (m{a=~\"x\"})",
            "sum by (a) (sum_over_time(m[1w]))",
            "sum by (a b) (sum_over_time(m[1d]))",
            "sum by (a) (sum_over_time(m[1d])) > 0",
            "sum(increase(m))",
        ] {
            assert!(Expr::parse(text).is_err(), "{text}");
        }
        assert!(Expr::parse("sum by (a) (rate(m[1d]))").unwrap_err().contains("expected ) at \"(m[1d]))\""));
    }

    #[test]
    fn a_label_that_is_not_there_is_empty() {
        let Ok(Expr::Level(selector)) = Expr::parse("m{a!=\"\", b=\"\", c=\"x y\"}") else { panic!("a selector") };
        let labels = |given: &[(&'static str, &str)]| given.iter().map(|(l, v)| (*l, (*v).to_owned())).collect();
        assert!(selector.fits("m", &labels(&[("a", "1"), ("c", "x y")])));
        assert!(!selector.fits("m", &labels(&[("c", "x y")])));
        assert!(!selector.fits("m", &labels(&[("a", "1"), ("b", "1"), ("c", "x y")])));
        assert!(!selector.fits("n", &labels(&[("a", "1"), ("c", "x y")])));
    }

    #[test]
    fn folds_know_nothing_of_nothing() {
        for (fold, of_three) in [(Fold::Sum, 6), (Fold::Max, 3), (Fold::Count, 3), (Fold::Last, 1), (Fold::Any, 1)] {
            assert_eq!((fold.of([2, 3, 1].into_iter()), fold.of([].into_iter())), (Some(of_three), None));
        }
    }
}
