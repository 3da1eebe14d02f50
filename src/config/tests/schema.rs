//! The JSON Schema.

use super::*;

/// Keys of the tree that the schema does not know, at any depth.
fn unknown(node: &yaml::Node, schema: &serde_json::Value, path: &str) -> Vec<String> {
    let shapes = schema["anyOf"].as_array().map_or(vec![schema], |shapes| shapes.iter().collect());
    match &node.content {
        yaml::Content::Scalar { .. } => vec![],
        yaml::Content::List(items) => {
            let items_schema = shapes.iter().map(|shape| &shape["items"]).find(|items| items.is_object());
            let Some(items_schema) = items_schema else { return vec![path.to_owned()] };
            items.iter().flat_map(|item| unknown(item, items_schema, &format!("{path}[]"))).collect()
        }
        yaml::Content::Map(entries) => {
            let inner = |key: &yaml::Key, node: &yaml::Node| {
                let path = yaml::join(path, &key.text);
                let of = |shape: &&serde_json::Value| {
                    [&shape["properties"][&key.text], &shape["additionalProperties"]]
                        .into_iter()
                        .find(|schema| schema.is_object())
                        .cloned()
                };
                match shapes.iter().find_map(of) {
                    Some(schema) => unknown(node, &schema, &path),
                    None => vec![path],
                }
            };
            entries.iter().flat_map(|(key, node)| inner(key, node)).collect()
        }
    }
}

#[test]
fn the_schema_knows_every_key_that_is_read() {
    let (root, _) = yaml::parse(include_str!("../../../tests/config/chitragupta.yaml")).expect("a tree");
    let strangers = unknown(&root.expect("not empty"), &schema(), "");
    // An ignored section is not looked into.
    assert_eq!(strangers, ["tenants.acme.storage.backend", "tenants.acme.storage.connection_string"]);
}

#[test]
fn the_schema_tells_defaults_ranges_and_what_is_required() {
    let schema = schema();
    let tenant = &schema["properties"]["tenants"]["additionalProperties"];
    assert_eq!(tenant["required"], serde_json::json!(["ecosystem", "tenant_id"]));
    assert_eq!(tenant["additionalProperties"], false);
    let lookback = &tenant["properties"]["lookback_days"];
    assert_eq!((&lookback["default"], &lookback["anyOf"][0]["maximum"]), (&200.into(), &364.into()));
    assert_eq!(tenant["properties"]["storage"]["deprecated"], true);
    assert!(lookback["description"].is_string());
}

#[test]
fn the_schema_has_no_holes() {
    fn holes(schema: &serde_json::Value) -> bool {
        match schema {
            serde_json::Value::Null => true,
            serde_json::Value::Array(items) => items.iter().any(holes),
            serde_json::Value::Object(entries) => entries.values().any(holes),
            _ => false,
        }
    }
    assert!(!holes(&schema()));
}
