//! Costs as a graph: whatever is looked at, nothing is lost.

use std::collections::BTreeMap;

use serde_json::Value;
use tributary::domain::Amount;

use super::{Served, amount};

pub fn costs_are_a_graph(served: &Served) {
    the_tenant_is_its_environments_and_what_has_none(served);
    every_node_is_what_hangs_on_it(served);
    the_rest_is_a_node(served);
    payers_pay_everything(served);
    topics_are_what_is_attributed(served);
    faults_are_told(served);
    things_are_found(served);
}

fn usd(costs: &Value) -> Amount {
    let costs = costs.as_array().expect("costs");
    assert!(costs.iter().all(|cost| cost["currency"] == "USD"), "{costs:?}");
    costs.iter().map(|cost| amount(&cost["amount"])).sum()
}

fn nodes(graph: &Value) -> BTreeMap<String, &Value> {
    let nodes = graph["nodes"].as_array().expect("nodes");
    let by_id: BTreeMap<_, _> =
        nodes.iter().map(|node| (node["id"].as_str().expect("an id").to_owned(), node)).collect();
    assert_eq!(by_id.len(), nodes.len(), "no node comes twice");
    by_id
}

fn edges<'a>(graph: &'a Value, relation: &'a str) -> impl Iterator<Item = &'a Value> {
    graph["edges"].as_array().expect("edges").iter().filter(move |edge| edge["relation"] == relation)
}

fn graph(served: &Served, query: &str) -> Value {
    served.of_tenant(&format!("/graph?{query}"))
}

fn id(text: &str) -> String {
    text.replace('/', "%2F").replace('&', "%26").replace('+', "%2B")
}

fn the_tenant_is_its_environments_and_what_has_none(served: &Served) {
    let graph = graph(served, "depth=1&limit=500");
    let total = served.sums(&[])[&Vec::new()];
    let nodes = nodes(&graph);
    assert_eq!((graph["focus"].as_str(), graph["nodes"][0]["id"].as_str()), (Some("tenant"), Some("tenant")));
    assert_eq!(usd(&nodes["tenant"]["costs"]), total, "the tenant costs what was billed");
    for (env, sum) in served.sums(&["env_id"]) {
        let node = if env[0].is_empty() { "organization".to_owned() } else { format!("resource:{}", env[0]) };
        assert_eq!(usd(&nodes[&node]["costs"]), sum, "{node}");
        assert_eq!(nodes[&node]["kind"], if env[0].is_empty() { "organization" } else { "resource" });
        assert!(env[0].is_empty() || nodes[&node]["type"] == "environment", "{}", nodes[&node]);
    }
    assert!(nodes["organization"]["entity_id"].is_null(), "it is made up");
    let (status, head, _) = served.raw(&format!("{}/graph", served.tenant), "");
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag").trim().to_owned();
    assert_eq!(status, 200);
    assert_eq!(served.raw(&format!("{}/graph", served.tenant), &format!("If-None-Match: {tag}\r\n")).0, 304);
}

/// From the tenant down to the last resource.
fn every_node_is_what_hangs_on_it(served: &Served) {
    let mut open = vec!["tenant".to_owned()];
    let (mut seen, mut own) = (0, Amount::ZERO);
    let whole = graph(served, "depth=3&limit=500");
    while let Some(focus) = open.pop() {
        let graph = graph(served, &format!("focus={}&limit=500", id(&focus)));
        let nodes = nodes(&graph);
        let below: Vec<&Value> = edges(&graph, "parent").filter(|edge| edge["source"] == focus.as_str()).collect();
        let parts: Amount = below.iter().map(|edge| usd(&edge["costs"])).sum();
        let of = nodes[&focus];
        assert_eq!(usd(&of["own_costs"]) + parts, usd(&of["costs"]), "{focus}");
        own += usd(&of["own_costs"]);
        // The same node seen from above costs the same.
        if let Some(above) = super::graph::nodes(&whole).get(&focus) {
            assert_eq!(above["costs"], of["costs"], "{focus}");
        }
        open.extend(below.iter().map(|edge| edge["target"].as_str().expect("an id").to_owned()));
        seen += 1;
    }
    // What hangs on two places is walked twice, once for each.
    assert!(seen > 20, "{seen} nodes");
    assert!(own.units() >= served.sums(&[])[&Vec::new()].units());
}

fn the_rest_is_a_node(served: &Served) {
    let graph = graph(served, "depth=2&limit=2");
    let nodes = nodes(&graph);
    assert_eq!(graph["truncated"], true);
    for relation in ["parent", "charge"] {
        let of_focus = edges(&graph, relation).filter(|edge| edge["source"] == "tenant");
        let sum: Amount = of_focus.map(|edge| usd(&edge["costs"])).sum();
        assert_eq!(sum, usd(&nodes["tenant"]["costs"]), "{relation}");
        let rest = nodes[&format!("rest:{relation}:tenant")];
        assert!(rest["count"].as_u64().expect("how many") > 0, "{rest}");
    }
    assert_eq!(graph, super::graph::graph(served, "depth=2&limit=2"), "the order is the same each time");
}

fn payers_pay_everything(served: &Served) {
    let whole = graph(served, "limit=500");
    for (payer, sum) in served.sums(&["identity_id"]) {
        let names = match payer[0].as_str() {
            "UNALLOCATED" => vec!["unallocated".to_owned()],
            id => ["identity", "resource"].map(|kind| format!("{kind}:{id}")).to_vec(),
        };
        let is_payer = |edge: &&Value| names.iter().any(|name| edge["target"] == name.as_str());
        let edge = edges(&whole, "charge").find(is_payer).expect("everybody who pays");
        let node = edge["target"].as_str().expect("an id").to_owned();
        assert_eq!(usd(&edge["costs"]), sum, "{node}");
        if !node.starts_with("resource:") {
            // Seen from the payer: what it pays for.
            let graph = graph(served, &format!("focus={}&limit=500", id(&node)));
            let parts: Amount = edges(&graph, "charge").map(|edge| usd(&edge["costs"])).sum();
            assert_eq!((usd(&graph["nodes"][0]["costs"]), parts), (sum, sum), "{node}");
            assert!(edges(&graph, "charge").all(|edge| edge["target"] == node.as_str()), "{graph}");
        }
    }
    let cluster = whole_cluster(served);
    let graph = graph(served, &format!("focus=resource:{cluster}&limit=500"));
    let parts: Amount = edges(&graph, "charge").map(|edge| usd(&edge["costs"])).sum();
    assert_eq!(parts, usd(&graph["nodes"][0]["costs"]), "{cluster} is paid for");
    let path: Vec<&str> = graph["path"].as_array().expect("a path").iter().filter_map(|s| s["id"].as_str()).collect();
    assert_eq!((path.first(), path.len()), (Some(&"tenant"), 2), "{path:?}");
}

/// A cluster that has topics.
fn whole_cluster(served: &Served) -> String {
    served.topics[0]["cluster_resource_id"].clone()
}

fn topics_are_what_is_attributed(served: &Served) {
    let cluster = whole_cluster(served);
    let of_cluster = served.topics.iter().filter(|row| row["cluster_resource_id"] == cluster);
    let sum: Amount = of_cluster.map(|row| row["amount"].parse::<Amount>().expect("an amount")).sum();
    let graph = graph(served, &format!("focus=resource:{cluster}&limit=500"));
    let topics: Vec<&Value> = edges(&graph, "attribution").collect();
    assert_eq!(topics.iter().map(|edge| usd(&edge["costs"])).sum::<Amount>(), sum);
    let named = topics.iter().find(|edge| edge["target"].as_str().is_some_and(|id| id.contains(":topic:")));
    let edge = named.expect("a topic");
    let topic = super::graph::graph(served, &format!("focus={}", id(edge["target"].as_str().expect("an id"))));
    assert_eq!(topic["nodes"][0]["costs"], edge["costs"]);
    assert_eq!(topic["nodes"][0]["type"], "topic");
    assert_eq!(topic["path"].as_array().expect("a path").len(), 3, "{}", topic["path"]);
}

fn faults_are_told(served: &Served) {
    let tenant = &served.tenant;
    for query in ["focus=lkc-1", "focus=rest:parent:tenant", "focus=resource:%00", "depth=0", "depth=4", "limit=501"] {
        served.problem(&format!("{tenant}/graph?{query}"), 400);
    }
    for focus in ["resource:nothing", "identity:nobody", "resource:nothing:topic:x", "resource:'%20OR%201=1--"] {
        served.problem(&format!("{tenant}/graph?focus={focus}"), 404);
    }
    for query in ["", "q=", "q=%00", "q=a&limit=0", "q=a&limit=101"] {
        served.problem(&format!("{tenant}/graph/search?{query}"), 400);
    }
}

fn things_are_found(served: &Served) {
    let cluster = whole_cluster(served);
    let found = served.of_tenant(&format!("/graph/search?q={}", cluster.to_uppercase()));
    let items = found["items"].as_array().expect("things");
    assert_eq!(items[0]["entity_id"], cluster.as_str(), "what is typed exactly comes first: {found}");
    assert!(items[0]["parent_display_name"].is_string(), "{found}");
    // Its topics have its id at the beginning of theirs.
    assert!(items.len() > 1 && items.iter().all(|item| item["id"].as_str().is_some_and(|id| id.contains(&cluster))));
    served.of_tenant(&format!("/graph?focus={}", id(items[0]["id"].as_str().expect("an id"))));
    let identities = served.of_tenant("/identities?type=service_account&limit=1");
    let name = identities["items"][0]["display_name"].as_str().expect("a name");
    let found = served.of_tenant(&format!("/graph/search?q={}&limit=3", &name[..name.len() - 1].replace(' ', "%20")));
    let items = found["items"].as_array().expect("things");
    assert!(items.len() <= 3 && items.iter().any(|item| item["kind"] == "identity"), "{name}: {found}");
    assert_eq!(
        served.of_tenant("/graph/search?q=%25")["items"].as_array().map(Vec::len),
        Some(0),
        "a percent is a percent"
    );
}
