//! Adds chargebacks up by month once no more of them come.
//!
//! In: months whose sums are behind. Out: sums that readers may take in place of rows. They make long spans quick and decide
//! nothing: a month that is behind is read row by row, or with its new days beside its sums.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::store::{MonthBehind, Store};
use crate::wording::chain;

/// A month whose slices are the same as so long before is added up: while days come one after the other, once would be too
/// often.
const QUIET: Duration = Duration::from_secs(20);

/// Works until it is stopped. `moved` is told when this process may have projected something; without that nothing is asked.
/// What fails is tried again; rows are read meanwhile.
pub async fn add_up(store: &Store, moved: &Notify, stop: &CancellationToken) {
    let mut before = Vec::new();
    loop {
        // From before the look: what comes while it lasts is not missed.
        let mut news = pin!(moved.notified());
        news.as_mut().enable();
        let idle = match look(store, &before, stop).await {
            Ok(now) => {
                before = now;
                before.is_empty()
            }
            Err(error) => {
                let error_text = chain(&error);
                match error.is_transient() {
                    true => tracing::debug!(error = error_text, "months were not added up; the next look does it"),
                    false => tracing::warn!(error = error_text, "months are not added up, so sums over them are slow"),
                }
                false
            }
        };
        if idle && stop.run_until_cancelled(news).await.is_none() {
            return;
        }
        // That a month is quiet shows in nothing but time.
        if tokio::time::timeout(QUIET, stop.cancelled()).await.is_ok() {
            return;
        }
    }
}

async fn look(
    store: &Store,
    before: &[MonthBehind],
    stop: &CancellationToken,
) -> Result<Vec<MonthBehind>, crate::store::StoreError> {
    let now = store.months_behind().await?;
    for month in quiet(before, &now) {
        if stop.is_cancelled() {
            break;
        }
        store.add_up_month(month.tenant_key, month.month).await?;
    }
    Ok(now)
}

/// Those that nothing has come to since the look before.
fn quiet<'a>(before: &'a [MonthBehind], now: &'a [MonthBehind]) -> impl Iterator<Item = &'a MonthBehind> {
    now.iter().filter(|month| before.contains(month))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_that_days_still_come_to_waits() {
        let month = |tenant_key, days: &[&str]| MonthBehind {
            tenant_key,
            month: "2026-02-01".parse().unwrap(),
            days: days.iter().map(|day| day.parse().unwrap()).collect(),
            revisions: vec![1; days.len()],
        };
        let before = [month(1, &["2026-02-01"]), month(2, &["2026-02-01"])];
        let now = [month(1, &["2026-02-01", "2026-02-02"]), month(2, &["2026-02-01"]), month(3, &[])];
        assert_eq!(quiet(&before, &now).map(|month| month.tenant_key).collect::<Vec<_>>(), [2]);
    }
}
