//! Who used how much of a day, for the rules to split by.
//!
//! In: expressions and the label that names principals. Out: usage values. Absent: what is split by them.

use std::collections::BTreeMap;

use crate::domain::promql::Sampling;
use crate::domain::{Day, MetricValue, Subject};
use crate::ecosystem::prometheus::{Matrix, Prometheus, Times};
use crate::ecosystem::{SourceError, UsageNeed, UsageOf};

/// One metric that rules may ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Name in the rules.
    pub name: String,
    /// The first that has any value on the day counts; never empty.
    pub expressions: Vec<String>,
    pub sampling: Sampling,
    /// What is counted.
    pub subject: Subject,
    /// Names who or what it is.
    pub label: String,
    /// The setting that holds the label's name.
    pub label_setting: String,
}

/// The usage of a day, an answer to each need, in their order.
pub async fn of_day(
    prometheus: &Prometheus,
    ecosystem: &str,
    questions: &[Question],
    day: Day,
    needs: &[UsageNeed],
) -> Vec<UsageOf> {
    let mut answers = Vec::with_capacity(needs.len());
    for need in needs {
        let asked = questions.iter().filter(|question| need.metrics.contains(&question.name));
        let asked = asked.map(|question| ask(prometheus, question, day));
        let values = futures_util::future::try_join_all(asked).await;
        let values = values.map(|values| values.into_iter().flatten().collect::<Vec<_>>());
        let stamp = |(question, subject, value): (&Question, String, f64)| MetricValue {
            tenant: String::new(),
            day,
            revision: 0,
            ordinal: 0,
            count: 0,
            ecosystem: ecosystem.to_owned(),
            resource_id: need.resource_id.clone(),
            metric: question.name.clone(),
            subject_type: question.subject,
            subject,
            value,
        };
        answers
            .push(UsageOf { need: need.clone(), values: values.map(|values| values.into_iter().map(stamp).collect()) });
    }
    answers
}

async fn ask<'q>(
    prometheus: &Prometheus,
    question: &'q Question,
    day: Day,
) -> Result<Vec<(&'q Question, String, f64)>, SourceError> {
    let Some(times) = Times::within(day, day.plus(1), question.sampling) else { return Ok(Vec::new()) };
    for expression in &question.expressions {
        let matrix = prometheus.range(expression, times).await?;
        if !matrix.series.is_empty() {
            let named = question.by_subject(matrix, expression)?;
            return Ok(named.into_iter().map(|(id, value)| (question, id, value)).collect());
        }
    }
    Ok(Vec::new())
}

impl Question {
    /// The sum of the values above zero by subject; one without any has 0.
    ///
    /// # Errors
    /// [`SourceError::Unusable`] if something was used and no series says by whom.
    pub fn by_subject(&self, matrix: Matrix, expression: &str) -> Result<BTreeMap<String, f64>, SourceError> {
        let (mut named, mut nameless) = (BTreeMap::new(), 0.0);
        for mut series in matrix.series {
            let used: f64 = series.points.iter().map(|(_, value)| value.max(0.0)).sum();
            match series.labels.remove(&self.label).filter(|id| !id.is_empty()) {
                Some(id) => *named.entry(id).or_insert(0.0) += used,
                None => nameless += used,
            }
        }
        if named.is_empty() && nameless > 0.0 {
            let (label, setting) = (&self.label, &self.label_setting);
            return Err(SourceError::Unusable(format!(
                "no series of {expression} has the label `{label}`; is `{setting}` right, does the exporter set it?"
            )));
        }
        named.retain(|_, value| value.is_finite());
        Ok(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::prometheus::Series;

    fn series(principal: &str, values: &[f64]) -> Series {
        let labels = BTreeMap::from([("user".to_owned(), principal.to_owned())]);
        let at = "2026-02-01T01:00:00Z".parse().unwrap();
        Series { labels, points: values.iter().map(|value| (at, *value)).collect() }
    }

    fn read(series: Vec<Series>) -> Result<Vec<(String, f64)>, SourceError> {
        let question = Question {
            name: "bytes_in".into(),
            expressions: vec!["x".into()],
            sampling: Sampling::COARSE,
            subject: Subject::Principal,
            label: "user".into(),
            label_setting: "labels.principal".into(),
        };
        Ok(question.by_subject(Matrix { series, dropped: 0 }, "x")?.into_iter().collect())
    }

    #[test]
    fn only_what_is_above_zero_counts_and_who_is_seen_is_seen() {
        let all = vec![series("a", &[1.0, -5.0, 2.0]), series("b", &[0.0]), series("", &[9.0])];
        assert_eq!(read(all).unwrap(), [("a".to_owned(), 3.0), ("b".to_owned(), 0.0)]);
    }

    #[test]
    fn a_label_that_nobody_has_is_told() {
        let text = read(vec![series("", &[9.0])]).unwrap_err().to_string();
        assert!(text.contains("has the label `user`; is `labels.principal` right"), "{text}");
        assert_eq!(read(vec![series("", &[0.0])]).unwrap(), []);
    }
}
