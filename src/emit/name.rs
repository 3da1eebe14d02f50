//! Names of files: from a template, a tenant and a date to a path below the emitter's folder.
//!
//! The configuration sees to it that a template stays there; a tenant's id cannot lead out.

use crate::domain::Day;

/// The path of a period's file below the emitter's folder.
///
/// The tenant's id becomes one component and different ids become different names: what is no letter, digit, `_`, `-`,
/// or `.` behind the beginning is written as `%` and two hex digits for each byte, as in addresses.
pub fn file_name(template: &str, tenant: &str, day: Day) -> String {
    // In this order: an id that looks like a field stays what it is, as `{` is written `%7B`.
    template.replace("{tenant_id}", &component(tenant)).replace("{date}", &day.to_string())
}

fn component(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if c.is_alphanumeric() || "_-".contains(c) || (c == '.' && at > 0) {
            name.push(c);
        } else {
            let mut bytes = [0; 4];
            name.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    fn named(template: &str, tenant: &str) -> String {
        file_name(template, tenant, "2026-02-28".parse().unwrap())
    }

    #[test]
    fn a_template_is_filled_in() {
        assert_eq!(named("{tenant_id}_{date}.csv", "acme-1.eu"), "acme-1.eu_2026-02-28.csv");
        assert_eq!(named("{tenant_id}/{date}.csv", "acme"), "acme/2026-02-28.csv");
    }

    #[test]
    fn a_tenant_is_one_component_whatever_its_name() {
        assert_eq!(named("{tenant_id}/{date}.csv", "../../etc/passwd"), "%2E.%2F..%2Fetc%2Fpasswd/2026-02-28.csv");
        assert_eq!(named("{tenant_id}/x", ".."), "%2E./x");
        assert_eq!(named("{tenant_id}", "{date}"), "%7Bdate%7D");
    }

    /// How many components a path has, if all of them lead further down.
    fn depth(path: &str) -> Option<usize> {
        let parts: Vec<_> = Path::new(path).components().collect();
        parts.iter().all(|part| matches!(part, Component::Normal(_))).then_some(parts.len())
    }

    proptest! {
        #[test]
        fn no_two_tenants_share_a_file_and_none_leaves_the_folder(a in ".{0,12}", b in ".{0,12}") {
            let (first, second) = (named("x/{tenant_id}-{date}.csv", &a), named("x/{tenant_id}-{date}.csv", &b));
            prop_assert_eq!(a == b, first == second);
            prop_assert_eq!(depth(&first), Some(2));
            prop_assert!(a.is_empty() || depth(&component(&a)) == Some(1));
        }
    }
}
