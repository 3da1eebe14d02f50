//! `tributary rebuild`: drops projections and builds them anew from Kafka.

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use crate::project::{self, Parts, RebuildProgress};
use crate::store::Projection;

/// The projections of these names, all of them for none.
///
/// # Errors
/// A name that is none, with the closest one.
pub fn projections(names: &[String]) -> anyhow::Result<Vec<Projection>> {
    if names.is_empty() {
        return Ok(Projection::ALL.to_vec());
    }
    let known: Vec<&str> = Projection::ALL.iter().map(|projection| projection.name()).collect();
    let find = |name: &String| match Projection::by_name(name) {
        Some(projection) => Ok(projection),
        None => {
            let closest =
                known.iter().max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
            let closest = closest.copied().unwrap_or_default();
            bail!("there is no projection {name:?}; did you mean {closest:?}? There are {}", known.join(", "))
        }
    };
    let mut found = names.iter().map(find).collect::<anyhow::Result<Vec<_>>>()?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Rebuilds and tells how far it is, on a terminal as a bar.
///
/// # Errors
/// See [`project::rebuild`].
pub async fn rebuild(names: &[String], parts: &Parts, stop: CancellationToken) -> anyhow::Result<()> {
    let projections = projections(names)?;
    let instance = format!("{}-rebuild", parts.connection.instance());
    let parts = Parts { connection: parts.connection.as_instance(instance), ..parts.clone() };
    // Draws nothing when the error output is no terminal.
    let bar = indicatif::ProgressBar::new(0);
    let told = |progress: RebuildProgress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    };
    let rebuilt = project::rebuild(&projections, &parts, stop.clone(), told).await;
    bar.finish_and_clear();
    rebuilt?;
    let names: Vec<&str> = projections.iter().map(|projection| projection.name()).collect();
    if stop.is_cancelled() {
        bail!("stopped before {} were complete again; the next `tributary run` goes on from there", names.join(", "));
    }
    eprintln!("rebuilt {}", names.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_none_means_all() {
        assert_eq!(projections(&[]).unwrap(), Projection::ALL);
        let some = projections(&["days".into(), "billing".into(), "days".into()]).unwrap();
        assert_eq!(some, [Projection::Billing, Projection::Days]);
        let refused = projections(&["chargeback".into()]).unwrap_err().to_string();
        assert!(refused.contains("did you mean \"chargebacks\""), "{refused}");
    }
}
