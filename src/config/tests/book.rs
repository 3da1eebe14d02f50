//! What the book shows as configuration is one.

use std::path::Path;

use super::*;

/// A tenant of the ecosystem that a page is about, without the keys that its example brings.
fn tenant_of(page: &str, example: &str) -> String {
    let metrics = "metrics: {url: 'http://p'}";
    let (ecosystem, settings) = match page {
        "self-managed-kafka.md" => (
            "self_managed_kafka",
            vec![
                "cluster_id: c",
                "broker_count: 1",
                "cost_model: {compute_hourly_rate: 1, storage_per_gib_hourly: 1, network_ingress_per_gib: 1, \
                 network_egress_per_gib: 1}",
                metrics,
            ],
        ),
        "generic-metrics.md" => (
            "generic_metrics_only",
            vec![
                "cluster_id: c",
                "identity_source: {discovery_query: up}",
                "cost_types: [{name: PG_NETWORK, product_category: x, rate: 1, allocation_strategy: usage_ratio, \
                 allocation_query: up, allocation_label: l, cost_quantity: {type: fixed, count: 1}}, {name: PG_SESSIONS, \
                 product_category: x, rate: 1, allocation_strategy: usage_ratio, allocation_query: up, allocation_label: \
                 l, cost_quantity: {type: fixed, count: 1}}, {name: PG_STORAGE, product_category: x, rate: 1, \
                 allocation_strategy: even_split, cost_quantity: {type: fixed, count: 1}}, {name: PG_COMPUTE, \
                 product_category: x, rate: 1, allocation_strategy: even_split, cost_quantity: {type: fixed, count: 1}}]",
                metrics,
            ],
        ),
        _ => ("confluent_cloud", vec!["ccloud_api: {key: K, secret: S}", metrics]),
    };
    let given = |setting: &&&str| {
        let key = setting.split(':').next().unwrap_or_default();
        example.lines().any(|line| line.starts_with(&format!("{key}:")))
    };
    let settings: String =
        settings.iter().filter(|setting| !given(setting)).map(|setting| format!("      {setting}\n")).collect();
    format!("tenants:\n  t:\n    ecosystem: {ecosystem}\n    tenant_id: t\n    plugin_settings:\n{settings}")
}

/// The file that an example is a part of; `None` for one of another program.
fn whole(page: &str, example: &str) -> Option<String> {
    let first = example.split(':').next().unwrap_or_default();
    let indented = |text: &str| text.lines().map(|line| format!("      {line}\n")).collect::<String>();
    match first {
        // Prometheus' own.
        "scrape_configs" | "storage" | "global" => None,
        "plugin_settings" => {
            let settings: String =
                example.lines().skip(1).map(|line| format!("{}\n", &line[2.min(line.len())..])).collect();
            Some(format!("{}{}", tenant_of(page, &settings), indented(&settings)))
        }
        top if schema()["properties"].get(top).is_some() => Some(example.to_owned()),
        _ => Some(format!("{}{}", tenant_of(page, example), indented(example))),
    }
}

#[test]
fn every_example_of_the_book_can_be_read() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("people.csv"), "id,identity\nu-1,search\n").expect("written");
    let file = folder.path().join("t.yaml");
    let mut read = 0;
    for entry in std::fs::read_dir(pages).expect("the book") {
        let path = entry.expect("a page").path();
        let Some(page) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let text = std::fs::read_to_string(&path).expect("text");
        for example in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let Some(whole) = whole(page, example) else { continue };
            let names = whole.split("${").skip(1).filter_map(|rest| rest.split(['}', ':']).next());
            let variables: String = names.map(|name| format!("{name}=http://example.com\n")).collect();
            std::fs::write(folder.path().join(".env"), variables).expect("written");
            std::fs::write(&file, &whole).expect("written");
            if let Err(faults) = load(&file, None) {
                panic!("{page}: {faults}\n--\n{whole}");
            }
            read += 1;
        }
    }
    assert!(read > 10, "{read} examples");
}
