//! Which right a request needs, by its method and path. Pure.

use axum::http::Method;

use crate::domain::Scope;

const TENANTS: &str = "/api/v1/tenants/";
/// What the process counted, of all tenants.
pub(crate) const METRICS: &str = "/metrics";

/// The name of the tenant that a path is about, with `%…` decoded; `None` if it is about none.
pub(crate) fn tenant_of(path: &str) -> Option<String> {
    let rest = path.strip_prefix(TENANTS)?;
    // `{tenant}` of a route reads the same part in the same way.
    let name = rest.split('/').next().unwrap_or_default();
    Some(percent_decoded(name))
}

/// The right that a request needs; `None`: it is enough to be somebody.
///
/// What reads needs `costs:read`, what writes the right of what it writes, and what is not named here `admin`.
pub(crate) fn needed(method: &Method, path: &str) -> Option<Scope> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if reads && path == METRICS {
        return Some(Scope::CostsRead);
    }
    match path.strip_prefix("/api/v1/").unwrap_or_default() {
        "whoami" if reads => return None,
        "tenants" | "readiness" if reads => return Some(Scope::CostsRead),
        _ => {}
    }
    let Some(rest) = path.strip_prefix(TENANTS) else { return Some(Scope::Admin) };
    if reads {
        return Some(Scope::CostsRead);
    }
    let segments: Vec<&str> = rest.split('/').skip(1).collect();
    let names = |name: &str| segments.first().is_some_and(|s| *s == name || s.starts_with(&format!("{name}:")));
    if names("tags") || (names("entities") && segments.get(3) == Some(&"tags")) {
        Some(Scope::TagsWrite)
    } else if names("runs") {
        Some(Scope::RunsWrite)
    } else if names("exports") {
        Some(Scope::ExportsWrite)
    } else if names("costs") && segments.get(1) == Some(&"aggregate") {
        // A question that is too long for an address.
        Some(Scope::CostsRead)
    } else {
        Some(Scope::Admin)
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |b: u8| char::from(b).to_digit(16);
        match (first, tail) {
            (b'%', [a, b, after @ ..]) if hex(*a).is_some() && hex(*b).is_some() => {
                bytes.push((hex(*a).unwrap_or(0) * 16 + hex(*b).unwrap_or(0)) as u8);
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_its_tenant_as_the_routes_read_it() {
        assert_eq!(tenant_of("/api/v1/tenants/acme/days").as_deref(), Some("acme"));
        assert_eq!(tenant_of("/api/v1/tenants/a%63me").as_deref(), Some("acme"));
        assert_eq!(tenant_of("/api/v1/tenants/caf%C3%A9%/x").as_deref(), Some("café%"));
        assert_eq!(tenant_of("/api/v1/tenants"), None);
        assert_eq!(tenant_of("/api/v1/tokens"), None);
    }

    #[test]
    fn reading_needs_one_right_and_each_kind_of_writing_another() {
        let post = |path: &str| needed(&Method::POST, &format!("/api/v1/tenants/acme/{path}"));
        assert_eq!(needed(&Method::GET, "/api/v1/tenants/acme/tags"), Some(Scope::CostsRead));
        assert_eq!(needed(&Method::GET, "/api/v1/whoami"), None);
        assert_eq!(needed(&Method::GET, METRICS), Some(Scope::CostsRead));
        assert_eq!(post("tags:batch"), Some(Scope::TagsWrite));
        assert_eq!(needed(&Method::PUT, "/api/v1/tenants/a/entities/resource/lkc-1/tags/team"), Some(Scope::TagsWrite));
        assert_eq!(post("runs"), Some(Scope::RunsWrite));
        assert_eq!(post("runs/7:cancel"), Some(Scope::RunsWrite));
        assert_eq!(post("exports"), Some(Scope::ExportsWrite));
        assert_eq!(post("costs/aggregate"), Some(Scope::CostsRead));
    }

    #[test]
    fn what_nobody_thought_of_needs_the_most() {
        for path in ["/api/v1/tokens", "/api/v1/events", "/api/v1/new", "/api/v1/tenants/acme/news", "/elsewhere"] {
            assert_eq!(needed(&Method::POST, path), Some(Scope::Admin), "{path}");
        }
        assert_eq!(needed(&Method::GET, "/api/v1/tokens"), Some(Scope::Admin));
        assert_eq!(needed(&Method::DELETE, "/api/v1/whoami"), Some(Scope::Admin));
    }
}
