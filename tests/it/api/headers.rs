//! What the contract says of headers, held against all answers that the other tests got.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Served;

/// What HTTP and CORS themselves have on answers.
const OF_HTTP: [&str; 10] = [
    "access-control-expose-headers",
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "transfer-encoding",
    "vary",
    "x-content-type-options",
];

/// What an operation that says so has on every answer, or on some answer of these tests at least.
const SEEN: [&str; 5] = ["content-disposition", "etag", "link", "location", "x-event-position"];

/// An answer: method, path, status, names of its headers.
pub(super) type Heard = (String, String, u16, BTreeSet<String>);

/// The names of the headers in the head of an answer.
pub(super) fn names(head: &str) -> BTreeSet<String> {
    head.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0.to_lowercase())).collect()
}

pub(super) fn headers_are_those_of_the_contract(served: &Served) {
    let contract = served.get("/api/v1/openapi.json");
    let paths = contract["paths"].as_object().expect("paths");
    ask_for_second_pages(served, paths);
    let mut faults = BTreeSet::new();
    let mut seen: BTreeMap<(String, String, String), BTreeSet<String>> = BTreeMap::new();
    for (method, path, status, names) in served.heard.lock().expect("whole").iter() {
        let Some((template, operation)) = operation(paths, method, path) else { continue };
        let status = if operation["responses"].get(status.to_string()).is_some() {
            status.to_string()
        } else {
            "default".into()
        };
        let told = told(&operation["responses"][&status]);
        for name in names.iter().filter(|name| !OF_HTTP.contains(&name.as_str()) && !told.contains(*name)) {
            faults.insert(format!("{method} {template}, {status}: {name} is not in the contract"));
        }
        seen.entry((method.clone(), template.to_owned(), status)).or_default().extend(names.iter().cloned());
    }
    for ((method, template, status), seen) in &seen {
        let told = told(&paths[template][method.to_lowercase()]["responses"][status]);
        if status.starts_with('2') && method != "HEAD" {
            let missing = told.iter().filter(|name| SEEN.contains(&name.as_str()) && !seen.contains(*name));
            faults.extend(missing.map(|name| format!("{method} {template}, {status}: no answer had {name}")));
        }
    }
    assert!(seen.len() > 60, "only {} kinds of answers were seen", seen.len());
    assert!(faults.is_empty(), "{}", faults.into_iter().collect::<Vec<_>>().join("\n"));
}

/// Lists tell of the next page where there is one.
fn ask_for_second_pages(served: &Served, paths: &serde_json::Map<String, Value>) {
    for (path, methods) in paths {
        let parameters = methods["get"]["parameters"].as_array();
        if parameters.is_some_and(|all| all.iter().any(|of| of["name"] == "cursor")) {
            let mut path = path.replace("/api/v1/tenants/{tenant}", &served.tenant);
            let ranged = parameters.is_some_and(|all| all.iter().any(|of| of["name"] == "tz"));
            path.push_str(if ranged { "?limit=1&from=2020-01-01&to=2029-01-01" } else { "?limit=1" });
            assert!(!path.contains('{'), "{path} needs a name");
            served.get(&path);
        }
    }
}

/// The operation of a request, by the path with the most words in common.
fn operation<'c>(paths: &'c serde_json::Map<String, Value>, method: &str, path: &str) -> Option<(&'c str, &'c Value)> {
    let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
    let path = path.split('?').next().unwrap_or_default();
    let asked: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        let fits = |(part, asked): (&&str, &&str)| match part.split_once('}') {
            Some((_, action)) => asked.ends_with(action) && !asked.is_empty(),
            None => part == asked,
        };
        parts.len() == asked.len() && parts.iter().zip(&asked).all(fits)
    };
    let found = paths.iter().filter(|(template, methods)| methods.get(&method).is_some() && fits(template));
    let (template, methods) = found.min_by_key(|(template, _)| template.matches('{').count())?;
    Some((template, &methods[&method]))
}

/// The names of the headers that the contract has on an answer.
fn told(answer: &Value) -> BTreeSet<String> {
    answer["headers"].as_object().into_iter().flatten().map(|(name, _)| name.to_lowercase()).collect()
}
