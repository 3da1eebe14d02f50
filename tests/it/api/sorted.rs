//! Lists of the inventory in every order, page by page.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Served;

/// What the list is sorted by, and the id.
fn place(item: &Value, sort: &str) -> (String, String) {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let by = match sort {
        "display_name" => text("display_name").to_lowercase(),
        "status" => (if item["deleted_at"].is_null() { "active" } else { "deleted" }).to_owned(),
        sort => text(sort),
    };
    (by, text("id"))
}

pub fn inventory_is_sorted(served: &Served) {
    for list in ["resources", "identities"] {
        let all = served.of_tenant(&format!("/{list}?limit=1000"))["items"].as_array().expect("things").clone();
        let limit = (all.len() / 3).max(1);
        for sort in ["id", "display_name", "type", "status"] {
            let mut expected: Vec<_> = all.iter().map(|item| place(item, sort)).collect();
            assert!(sort == "status" || expected.iter().map(|(by, _)| by).collect::<BTreeSet<_>>().len() > 1);
            expected.sort_unstable();
            for order in ["asc", "desc"] {
                let question = format!("/{list}?limit={limit}&sort={sort}&order={order}");
                let (mut found, mut cursor) = (Vec::new(), String::new());
                loop {
                    let page = served.of_tenant(&format!("{question}{cursor}"));
                    found.extend(page["items"].as_array().expect("things").iter().map(|item| place(item, sort)));
                    let Some(next) = page["next_cursor"].as_str() else { break };
                    cursor = format!("&cursor={next}");
                }
                assert_eq!(found, expected, "{question}");
                expected.reverse();
                if sort == "id" && order == "asc" {
                    let other = format!("/{list}?sort=type{cursor}&from=2020-01-01&to=2029-01-01");
                    served.problem(&format!("{}{other}", served.tenant), 400);
                }
            }
        }
        served.problem(&format!("{}/{list}?sort=owner", served.tenant), 400);
    }
}
