//! Whether what was known at a moment can still be told.

use chrono::NaiveDate;

use crate::api::problem::{Code, Fault, Problem};
use crate::store::read::{Dataset, KnownDay, Reader, Selection};

/// So many days are named.
const NAMED: usize = 5;

/// The days of which there were lines at the moment that is chosen; none where no moment is.
///
/// # Errors
/// A [`Problem`] if it is not known what one of the days was then.
pub(super) async fn known_days(reader: &mut Reader, of: &Selection) -> Result<Vec<NaiveDate>, Problem> {
    told(reader.known_days(of).await?)
}

/// The days of which everything is there that there is, or was at the moment that is chosen.
///
/// # Errors
/// As [`known_days`].
pub(super) async fn complete_days(
    reader: &mut Reader,
    dataset: Dataset,
    of: &Selection,
) -> Result<Vec<NaiveDate>, Problem> {
    match of.as_of {
        Some(_) => known_days(reader, of).await,
        None => Ok(reader.complete_days(dataset, of).await?),
    }
}

fn told(days: Vec<KnownDay>) -> Result<Vec<NaiveDate>, Problem> {
    let named = |which: fn(&KnownDay) -> bool| {
        let mut found = days.iter().filter(|day| which(day)).map(|day| day.day.to_string());
        let first: Vec<String> = found.by_ref().take(NAMED).collect();
        let more = found.count();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!first.is_empty()).then(|| format!("{}{more}", first.join(", ")))
    };
    if let Some(behind) = named(|day| day.behind) {
        let message =
            format!("the tables have lines of {behind}, and not yet when they were sealed; try again shortly");
        return Err(Problem::new(Code::Behind, message));
    }
    if let Some(lost) = named(|day| day.lost) {
        let message = format!(
            "it is not kept what {lost} had in the bill then; ask for other days, or for a later moment. What the topics still hold \
             comes back with `tributary rebuild billing days`"
        );
        return Err(Problem::of_parameters(vec![Fault::new("as_of", message)]));
    }
    Ok(days.into_iter().filter(|day| day.revision.is_some()).map(|day| day.day).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32, revision: Option<i32>, lost: bool, behind: bool) -> KnownDay {
        KnownDay { day: NaiveDate::from_ymd_opt(2026, 2, day).unwrap(), revision, lost, behind }
    }

    #[test]
    fn a_day_that_is_not_known_is_named_and_not_left_out() {
        let dates = |days: &[u32]| days.iter().map(|n| day(*n, None, false, false).day).collect::<Vec<_>>();
        let known = [day(1, Some(1), false, false), day(2, None, false, false), day(3, Some(2), false, false)];
        assert_eq!(told(known.to_vec()), Ok(dates(&[1, 3])), "of the second there was nothing yet");
        let lost: Vec<KnownDay> = (1..=7).map(|n| day(n, None, true, false)).collect();
        let problem = told(lost.clone()).unwrap_err();
        assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (400, "as_of"));
        assert!(problem.detail.contains("2026-02-05 and 2 more had"), "{}", problem.detail);
        let behind = [lost, vec![day(9, None, true, true)]].concat();
        let problem = told(behind).unwrap_err();
        assert!(problem.retryable && problem.detail.contains("lines of 2026-02-09,"), "{}", problem.detail);
    }
}
