//! Clouds, regions and confidence: fields of rows as others are.

use std::collections::BTreeMap;

use tributary::domain::Amount;

use super::{Served, amount};

/// The sums of a dataset by some fields.
fn sums(served: &Served, question: &str, fields: &[&str]) -> BTreeMap<Vec<String>, Amount> {
    let by: String = fields.iter().map(|field| format!("&group_by={field}")).collect();
    let answer = served.of_tenant(&format!("/costs/aggregate?{question}{by}"));
    let mut sums: BTreeMap<Vec<String>, Amount> = BTreeMap::new();
    for item in answer["items"].as_array().expect("sums") {
        let value = |field: &&str| item["dimensions"][*field].as_str().unwrap_or_default().to_owned();
        *sums.entry(fields.iter().map(value).collect()).or_default() += amount(&item["amount"]);
    }
    sums
}

/// A cluster's own place, and that of the cluster for what runs on it, whichever day knows of both.
pub(super) fn rows_say_where_their_resources_are(served: &Served) {
    let of = "SELECT r.resource_id, max(coalesce(r.attributes ->> 'cloud', c.attributes ->> 'cloud')),
                     max(coalesce(r.attributes ->> 'region', c.attributes ->> 'region'))
              FROM resources r LEFT JOIN resources c ON c.day = r.day AND c.resource_id = coalesce(
                  r.attributes ->> 'kafka_cluster_id', r.parent_id)
              WHERE r.resource_type IN ('kafka_cluster', 'connector', 'ksqldb_cluster', 'flink_compute_pool') GROUP BY 1";
    let rows = served.installation.sql(of);
    let places: BTreeMap<&str, Vec<&str>> = rows
        .lines()
        .map(|line| line.split('|').collect::<Vec<_>>())
        .map(|line| (line[0], line[1..3].to_vec()))
        .collect();
    let total: Amount = served.sums(&[])[&Vec::new()];
    for dataset in ["chargebacks", "billing"] {
        let found = sums(served, &format!("dataset={dataset}"), &["resource_id", "cloud", "region"]);
        assert_eq!(found.values().copied().sum::<Amount>(), total, "{dataset}");
        let placed: Vec<_> = found.keys().filter(|key| places.contains_key(key[0].as_str())).collect();
        assert!(placed.len() > 8, "{dataset}: {found:?}");
        for key in placed {
            assert_eq!(key[1..], places[key[0].as_str()], "{dataset} {}", key[0]);
        }
        let regions = sums(served, &format!("dataset={dataset}"), &["region"]);
        assert!(regions.len() > 3 && regions.contains_key(&vec![String::new()]), "{dataset}: {regions:?}");
        for (region, sum) in regions.iter().filter(|(region, _)| !region[0].is_empty()) {
            let chosen = sums(served, &format!("dataset={dataset}&filter=region:eq:{}", region[0]), &["region"]);
            assert_eq!(chosen, BTreeMap::from([(region.clone(), *sum)]), "{dataset}");
        }
        let known = served.of_tenant(&format!("/dimensions/region/values?dataset={dataset}&limit=1000"));
        assert_eq!(known["items"].as_array().expect("values").len(), regions.len() - 1, "{known}");
        let nowhere = served.of_tenant(&format!("/costs/aggregate?dataset={dataset}&filter=region:exists:false"));
        assert_eq!(amount(&nowhere["totals"][0]["amount"]), regions[&vec![String::new()]], "{dataset}");
    }
    for list in ["chargebacks", "billing-lines", "topic-costs"] {
        let page = served.of_tenant(&format!("/{list}?limit=1000&filter=cloud:exists:true"));
        let items = page["items"].as_array().expect("rows");
        assert!(!items.is_empty(), "{list}");
        for item in items {
            let id = if list == "topic-costs" { "cluster_resource_id" } else { "resource_id" };
            let Some(place) = places.get(item[id].as_str().expect("an id")) else { continue };
            assert_eq!([&item["cloud"], &item["region"]], [place[0], place[1]], "{list} {item}");
        }
    }
}

/// What nobody could be found for is founded worst, what was measured best; together they are all.
pub(super) fn rows_say_how_well_they_are_founded(served: &Served) {
    let total: Amount = served.sums(&[])[&Vec::new()];
    let of = |filter: &str| sums(served, filter, &["confidence"]);
    let words = |sums: &BTreeMap<Vec<String>, Amount>| sums.keys().map(|key| key[0].clone()).collect::<Vec<_>>();
    let all = of("");
    assert_eq!(
        (words(&all), all.values().copied().sum::<Amount>()),
        (["high", "low", "medium"].map(str::to_owned).to_vec(), total)
    );
    assert_eq!(words(&of("filter=target:eq:unallocated")), ["low"]);
    assert_eq!(words(&of("filter=allocation_detail:eq:usage_ratio_allocation")), ["high"]);
    assert_eq!(words(&of("filter=allocation_detail:eq:no_metrics_no_active_identities_located")), ["low"]);
    let page = served.of_tenant("/chargebacks?limit=1000&filter=confidence:eq:medium");
    let items = page["items"].as_array().expect("rows");
    assert!(!items.is_empty() && items.iter().all(|item| item["confidence"] == "medium"), "{page}");
}
