//! Tags: written as events, resolved in rows, sums, filters and files; the money stays the same however it is grouped.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tributary::domain::Amount;

use super::{Served, amount};

type Row = BTreeMap<String, String>;

pub(super) fn tags_are_set_and_resolved(served: &Served) {
    let dearest = |column: &str| {
        let sums = served.sums(&[column]);
        let of = |(key, sum): (&Vec<String>, &Amount)| (*sum, key[0].clone());
        sums.iter().map(of).filter(|(_, id)| !id.is_empty() && id != "UNALLOCATED").max().expect("a cost").1
    };
    let (resource, identity) = (dearest("resource_id"), dearest("identity_id"));
    one_by_one(served, &resource);
    let position = set(served, "identity", &identity, "team", "identity's");
    resolved(served, &position, |row| match (row["resource_id"] == resource, row["identity_id"] == identity) {
        (true, _) => "resource's",
        (false, true) => "identity's",
        _ => "UNTAGGED",
    });
    rows_and_files_show_them(served, &resource);
    inventory_is_chosen_by_them(served, &resource, &identity);
    many_at_once(served);
    what_is_no_tag_is_told(served, &resource);
    // Everything is in the audit, and the last tag can be removed again.
    let path = entity(served, "resource", &resource);
    let (status, head, _) = served.send("DELETE", &format!("{path}/team"), "", b"");
    assert_eq!(status, 204, "{head}");
    let left = at(served, &path, &position_of(&head));
    assert!(left["items"].as_array().expect("tags").iter().all(|tag| tag["key"] != "team"), "{left}");
    let events = served.get(&format!("{}/events?type=tag.removed&entity=resource:{resource}", served.tenant));
    assert_eq!(events["items"][0]["before"]["value"], "resource's", "{events}");
}

fn inventory_is_chosen_by_them(served: &Served, resource: &str, identity: &str) {
    let tagged = |list: &str, tag: &str| {
        let found = served.of_tenant(&format!("/{list}?tag={tag}"));
        found["items"].as_array().expect("things").iter().map(|of| of["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(tagged("resources", "team"), [resource]);
    assert_eq!(tagged("resources", "team:resource's"), [resource]);
    assert_eq!(tagged("identities", "team:identity's"), [identity]);
    assert!(tagged("identities", "team:resource's").is_empty() && tagged("resources", "nothing").is_empty());
    for wrong in [":x", "a%20b", "a'--:x"] {
        served.problem(&format!("{}/resources?tag={wrong}", served.tenant), 400);
    }
}

/// Sets, changes and reads the tags of one resource, under conditions.
fn one_by_one(served: &Served, resource: &str) {
    let path = entity(served, "resource", resource);
    let put = |more: &str, value: &str| {
        let body = json!({"value": value}).to_string();
        served.send(
            "PUT",
            &format!("{path}/team"),
            &format!("Content-Type: application/json\r\n{more}"),
            body.as_bytes(),
        )
    };
    let (_, head, _) = served.raw(&path, "");
    let empty = tag_of(&head);
    let (status, head, _) = put(&format!("If-Match: {empty}\r\n"), "first");
    assert_eq!(status, 201, "{head}");
    let now = at(served, &path, &position_of(&head));
    assert_eq!(now["items"][0]["value"], "first", "{now}");
    assert_eq!(put(&format!("If-Match: {empty}\r\n"), "lost").0, 412);
    assert_eq!(put("If-None-Match: *\r\n", "lost").0, 412);
    // Of many who saw the same, one changes it.
    let seen = tag_of(&served.raw(&path, "").1);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let changes = (0..8).map(|n| {
            let (put, seen) = (&put, &seen);
            scope.spawn(move || put(&format!("If-Match: {seen}\r\n"), &format!("change {n}")).0)
        });
        let changes: Vec<_> = changes.collect();
        changes.into_iter().map(|change| change.join().expect("an answer")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 7, "{statuses:?}");
    let (status, head, _) = put("", "resource's");
    assert_eq!(status, 200, "{head}");
    at(served, &path, &position_of(&head));
    // The same again is no change.
    let (status, head, _) = put("", "resource's");
    assert!(status == 200 && !head.contains("\nx-event-position: "), "{head}");
}

/// Sums by tag are the sums of what `value` says of each exported row.
fn resolved(served: &Served, position: &str, value: impl Fn(&Row) -> &'static str) {
    let mut expected: BTreeMap<String, Amount> = BTreeMap::new();
    for row in &served.rows {
        *expected.entry(value(row).to_owned()).or_default() += row["amount"].parse().expect("an amount");
    }
    let found = |query: &str| {
        let answer = served.of_tenant(&format!("/costs/aggregate?{query}&min_position={position}"));
        let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
        for item in answer["items"].as_array().expect("sums") {
            let key = item["dimensions"]["tag.team"].as_str().expect("never missing").to_owned();
            *sums.entry(key).or_default() += amount(&item["amount"]);
        }
        sums
    };
    assert_eq!(found("group_by=tag.team"), expected);
    // More dimensions and tags that nothing has change no sum.
    assert_eq!(found("group_by=tag.team&group_by=tag.none&group_by=product_type&bucket=week"), expected);
    let total: Amount = served.sums(&[])[&Vec::new()];
    assert_eq!(expected.values().copied().sum::<Amount>(), total);
    let of =
        |filter: &str| amount(&served.of_tenant(&format!("/costs/aggregate?filter={filter}"))["totals"][0]["amount"]);
    assert_eq!(of("tag.team:eq:resource's"), expected["resource's"]);
    assert_eq!(of("tag.team:exists:false"), expected["UNTAGGED"]);
    assert_eq!(of("tag.team:in:resource's|identity's"), expected["resource's"] + expected["identity's"]);
    // Lines and topics have the tags of their resources.
    let billed = served.of_tenant("/costs/aggregate?dataset=billing&group_by=tag.team");
    let line =
        billed["items"].as_array().expect("sums").iter().find(|item| item["dimensions"]["tag.team"] == "resource's");
    assert_eq!(amount(&line.expect("a sum")["amount"]), expected["resource's"]);
    let values = served.of_tenant("/dimensions/tag.team/values");
    assert_eq!(values["items"].as_array().expect("values").len(), 2, "{values}");
}

fn rows_and_files_show_them(served: &Served, resource: &str) {
    let page = served.of_tenant(&format!("/chargebacks?filter=resource_id:eq:{resource}&limit=5"));
    for row in page["items"].as_array().expect("rows") {
        assert_eq!(row["tags"]["team"], "resource's", "{row}");
    }
    let path = format!("{}/chargebacks?from=2020-01-01&to=2029-01-01&filter=tag.team:eq:resource's", served.tenant);
    let (status, _, body) = served.raw(&path, "Accept: text/csv\r\n");
    assert_eq!(status, 200, "{body}");
    let mut reader = csv::Reader::from_reader(body.as_bytes());
    let rows: Vec<Row> = reader.deserialize().collect::<Result<_, _>>().expect("rows");
    assert_eq!(rows.len(), served.rows.iter().filter(|row| row["resource_id"] == resource).count());
    let tags: Value = serde_json::from_str(&rows[0]["tags"]).expect("a JSON object");
    assert_eq!(tags, json!({"team": "resource's"}));
}

fn many_at_once(served: &Served) {
    let (topic, cluster) = (&served.topics[0]["topic_name"], &served.topics[0]["cluster_resource_id"]);
    let of_topic = format!("{cluster}:topic:{topic}");
    let items = json!([
        {"entity_type": "resource", "entity_id": of_topic, "key": "stage", "value": "prod, \"eu\""},
        {"entity_type": "resource", "entity_id": of_topic, "key": "stage", "value": "twice"},
        {"entity_type": "identity", "entity_id": "sa-unseen", "key": "no key", "value": "x"},
        {"entity_type": "identity", "entity_id": "sa-unseen", "key": "team", "value": null},
    ]);
    let (head, done) = post(served, "tags:batch", &json!({"items": items}));
    let outcomes: Vec<&Value> = done["items"].as_array().expect("items").iter().map(|item| &item["outcome"]).collect();
    assert_eq!(outcomes, ["created", "failed", "failed", "unchanged"], "{done}");
    assert_eq!(done["counts"], json!({"created": 1, "failed": 2, "unchanged": 1}));
    let position = position_of(&head);
    let costs =
        served.of_tenant(&format!("/costs/aggregate?dataset=topic_costs&group_by=tag.stage&min_position={position}"));
    let expected: Amount = served
        .topics
        .iter()
        .filter(|row| row["topic_name"] == *topic && row["cluster_resource_id"] == *cluster)
        .map(|row| row["amount"].parse::<Amount>().expect("an amount"))
        .sum();
    let item =
        costs["items"].as_array().expect("sums").iter().find(|item| item["dimensions"]["tag.stage"] != "UNTAGGED");
    assert_eq!(amount(&item.expect("the topic's sum")["amount"]), expected);

    let mut wish = json!({"target": "identity", "filters": ["product_type:prefix:KAFKA_"], "key": "layer", "value": "kafka",
        "from": "2020-01-01", "to": "2029-01-01", "dry_run": true});
    let identities: std::collections::BTreeSet<&String> = served
        .rows
        .iter()
        .filter(|row| row["product_type"].starts_with("KAFKA_"))
        .map(|row| &row["identity_id"])
        .filter(|id| *id != "UNALLOCATED" && !served.rows.iter().any(|row| row["resource_id"] == **id))
        .collect();
    let (head, dry) = post(served, "tags:apply", &wish);
    assert!(!head.contains("\nx-event-position: "), "{head}");
    assert_eq!(
        (&dry["matched"], &dry["counts"]["created"]),
        (&json!(identities.len()), &json!(identities.len())),
        "{dry}"
    );
    wish["dry_run"] = json!(false);
    let (head, applied) = post(served, "tags:apply", &wish);
    assert_eq!(applied["counts"], dry["counts"]);
    let position = position_of(&head);
    let path = format!("{}/tags?key=layer&limit=1000", served.tenant);
    assert_eq!(at(served, &path, &position)["items"].as_array().expect("tags").len(), identities.len());
    let (_, again) = post(served, "tags:apply", &wish);
    assert_eq!(again["counts"], json!({"unchanged": identities.len()}));
    let keys = served.get(&format!("{}/tags/keys", served.tenant));
    let keys: Vec<&Value> = keys["items"].as_array().expect("keys").iter().map(|key| &key["text"]).collect();
    assert_eq!(keys, ["layer", "stage", "team"]);
    let values = served.get(&format!("{}/tags/keys/stage/values?q=PROD", served.tenant));
    assert_eq!(values["items"], json!([{"text": "prod, \"eu\"", "entities": 1}]));
    // A page at a time, every tag comes once.
    let (mut seen, mut cursor) = (0, String::new());
    loop {
        let page = served.get(&format!("{}/tags?limit=3{cursor}", served.tenant));
        seen += page["items"].as_array().expect("tags").len();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, identities.len() + 3);
}

fn what_is_no_tag_is_told(served: &Served, resource: &str) {
    let path = entity(served, "resource", resource);
    let put = |key: &str, body: &str| {
        let kind = "Content-Type: application/json\r\n";
        served.send("PUT", &format!("{path}/{key}"), kind, body.as_bytes()).0
    };
    assert_eq!(put("no%20key", r#"{"value": "x"}"#), 400);
    assert_eq!(put(&"k".repeat(64), r#"{"value": "x"}"#), 400);
    for body in ["{}", r#"{"value": ""}"#, r#"{"value": "UNTAGGED"}"#, r#"{"value": "a\u0000"}"#, r#"{"value": 1}"#] {
        assert_eq!(put("team", body), 400, "{body}");
    }
    assert_eq!(put("team", &json!({"value": "é".repeat(501)}).to_string()), 400);
    served.problem(&format!("{}/entities/cluster/x/tags", served.tenant), 404);
    served.problem(&format!("{}/entities/resource/{}/tags", served.tenant, "x".repeat(601)), 400);
    served.problem(&format!("{}/tags/keys/a%27b/values", served.tenant), 400);
    let gone = format!("{path}/nothing");
    assert_eq!(served.send("DELETE", &gone, "", b"").0, 404);
    let none = json!({"items": []}).to_string();
    let path = format!("{}/tags:batch", served.tenant);
    assert_eq!(served.send("POST", &path, "Content-Type: application/json\r\n", none.as_bytes()).0, 400);
}

fn set(served: &Served, kind: &str, id: &str, key: &str, value: &str) -> String {
    let path = format!("{}/{key}", entity(served, kind, id));
    let body = json!({"value": value}).to_string();
    let (status, head, _) = served.send("PUT", &path, "Content-Type: application/json\r\n", body.as_bytes());
    assert_eq!(status, 201, "{head}");
    position_of(&head)
}

fn post(served: &Served, route: &str, body: &Value) -> (String, Value) {
    let path = format!("{}/{route}", served.tenant);
    let kind = "Content-Type: application/json\r\n";
    let (status, head, answer) = served.send("POST", &path, kind, body.to_string().as_bytes());
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    (head, serde_json::from_slice(&answer).expect("JSON"))
}

/// A GET that sees the change at `position`.
fn at(served: &Served, path: &str, position: &str) -> Value {
    let separator = if path.contains('?') { '&' } else { '?' };
    served.get(&format!("{path}{separator}min_position={position}"))
}

fn entity(served: &Served, kind: &str, id: &str) -> String {
    format!("{}/entities/{kind}/{}/tags", served.tenant, id.replace('/', "%2F"))
}

fn position_of(head: &str) -> String {
    head.lines().find_map(|line| line.strip_prefix("x-event-position: ")).expect("a position").trim().to_owned()
}

fn tag_of(head: &str) -> String {
    head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an ETag").trim().to_owned()
}
