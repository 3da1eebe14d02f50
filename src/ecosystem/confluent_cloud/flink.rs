//! Listing Flink compute pools and the statements that run in them.
//!
//! In: the API, a door per region with credentials. Out: the family `flink`. Statements are listed once per
//! organisation, environment and region, however many pools are there; what fails in one place does not
//! stop the others.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};

use super::api::{Absence, Api, Listed};
use super::inventory::{Family, PER_PAGE, PER_SMALL_PAGE, per_environment};
use super::json::{crn, text};
use super::{ConfluentCloud, FlinkRegion, PARALLEL, resources};
use crate::domain::Resource;
use crate::ecosystem::SourceError;
use crate::ecosystem::http::{Auth, Words};

/// Where statements are listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    env: String,
    region: String,
    cloud: String,
    /// From the pools' resource names; asked for where they do not say.
    organization: Option<String>,
}

/// Lists pools, then statements.
pub async fn gather(cloud: &ConfluentCloud, envs: &[String]) -> Family {
    let mut family = Family::new("flink", &["flink_compute_pool", "flink_statement"]);
    let pool = |item: &_, env: &str| resources::compute_pool(item, env, |region| credentials(cloud, region).is_some());
    per_environment(cloud, &mut family, envs, "/fcpm/v2/compute-pools", PER_SMALL_PAGE, pool).await;
    let places = places(&family.resources);
    let organization = if places.keys().any(|place| place.organization.is_none()) {
        only_organization(cloud).await
    } else {
        Ok(String::new())
    };
    let lists: Vec<_> = places.keys().map(|place| statements(cloud, place, &organization)).collect();
    let lists: Vec<_> = stream::iter(lists).buffered(PARALLEL).collect().await;
    for ((place, pools), listed) in places.iter().zip(lists) {
        let only_pool = if let [pool] = pools.as_slice() { Some(pool.as_str()) } else { None };
        match listed {
            Ok(listed) => family.add(&listed, |item| Some(resources::statement(item, &place.env, only_pool))),
            Err(error) => family.note(&Err(error)),
        }
    }
    family
}

/// The pools of each place that has credentials.
fn places(pools: &[Resource]) -> BTreeMap<Place, Vec<String>> {
    let mut places: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    for pool in pools.iter().filter(|pool| pool.attributes.get("is_allocatable").is_some_and(|is| is == "true")) {
        let attribute = |name| pool.attributes.get(name).cloned().unwrap_or_default();
        let name = attribute("crn");
        let place = Place {
            env: pool.parent_id.clone().unwrap_or_default(),
            region: attribute("region"),
            cloud: attribute("cloud"),
            organization: crn(&name).get("organization").map(|id| (*id).to_owned()),
        };
        places.entry(place).or_default().push(pool.resource_id.clone());
    }
    places
}

/// The last entry of a region counts.
fn credentials<'a>(cloud: &'a ConfluentCloud, region: &str) -> Option<&'a FlinkRegion> {
    cloud.settings.flink.iter().rev().find(|entry| entry.region_id.trim().to_lowercase() == region)
}

async fn statements(
    cloud: &ConfluentCloud,
    place: &Place,
    fallback: &Result<String, SourceError>,
) -> Result<Listed<serde_json::Value>, SourceError> {
    let organization = match &place.organization {
        Some(id) => id,
        None => fallback.as_ref().map_err(Clone::clone)?,
    };
    let api = regional_api(cloud, place)?;
    let path = format!("/sql/v1/organizations/{organization}/environments/{}/statements", place.env);
    Ok(api.list(&path, &[PER_SMALL_PAGE], Absence::Empty).await)
}

fn regional_api(cloud: &ConfluentCloud, place: &Place) -> Result<Api, SourceError> {
    let Place { region, cloud: vendor, .. } = place;
    let Some(entry) = credentials(cloud, region) else {
        return Err(SourceError::Denied(format!("`flink` has no credentials for the region {region}")));
    };
    let usual = || format!("https://flink.{region}.{vendor}.confluent.cloud");
    let base = entry.base_url.clone().unwrap_or_else(usual);
    let auth = Auth::Basic { username: entry.key.clone(), password: entry.secret.clone() };
    let words = Words {
        name: format!("Confluent Cloud Flink in {region}"),
        url_setting: "flink[].base_url".to_owned(),
        credentials: format!(
            "`flink[].key` and `flink[].secret` of region_id {region}; the key must be a Flink API key of that \
             region, and its owner needs the role binding FlinkAdmin"
        ),
    };
    Ok(Api::new(cloud.http.door(&base, &auth, words)?))
}

/// The organisation the API key belongs to.
async fn only_organization(cloud: &ConfluentCloud) -> Result<String, SourceError> {
    let Listed { items, outcome } = cloud.api.list("/org/v2/organizations", &[PER_PAGE], Absence::Empty).await;
    outcome?;
    let ids: Vec<String> = items.iter().filter_map(|item| text(item, &["id"])).collect();
    match <[String; 1]>::try_from(ids) {
        Ok([id]) => Ok(id),
        Err(ids) => Err(SourceError::Unusable(format!(
            "Confluent Cloud names {} organisations for the API key instead of one, and a compute pool does not say \
             which it belongs to, so its Flink statements cannot be listed",
            ids.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pools_of_one_place_are_listed_once() {
        let pool = |id: &str, region: &str, organization: &str| {
            let name = format!("crn://confluent.cloud{organization}/environment=env-1");
            let item =
                json!({"id": id, "spec": {"cloud": "AWS", "region": region}, "metadata": {"resource_name": name}});
            resources::compute_pool(&item, "env-1", |region| region != "elsewhere").unwrap()
        };
        let org = "/organization=o-1";
        let pools = [pool("p1", "eu", org), pool("p2", "EU", org), pool("p3", "us", ""), pool("p4", "elsewhere", org)];
        let places = places(&pools);
        let got: Vec<_> =
            places.iter().map(|(p, ids)| (p.region.as_str(), p.organization.as_deref(), ids.join(" "))).collect();
        assert_eq!(got, [("eu", Some("o-1"), "p1 p2".to_owned()), ("us", None, "p3".to_owned())]);
    }
}
