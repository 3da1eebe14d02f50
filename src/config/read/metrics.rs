//! `metrics`: a server that answers the Prometheus query API, and how to get in.

use super::super::address::{FilePath, HttpUrl};
use super::super::kind::Names;
use super::super::scalar::{Choice, Flag};
use super::super::section::{Inner, Section};
use super::super::text::{MaybeSecret, SecretText, Text};
use super::super::{Metrics, MetricsAuth, MetricsTls, Secret};

#[derive(Clone, Copy, PartialEq)]
enum Auth {
    None,
    Basic,
    Bearer,
}

/// `metrics:` of any ecosystem.
pub(super) fn metrics(s: &mut Section<'_>) -> Metrics {
    s.default("type", Choice(&[("prometheus", ())]), (), "only `prometheus`");
    let url = s.required("url", HttpUrl, "base address of a server with the Prometheus query API; may have a path");
    let auth = Choice(&[("none", Auth::None), ("basic", Auth::Basic), ("bearer", Auth::Bearer)]);
    let auth = s.default("auth_type", auth, Auth::None, "`none`, `basic` with user name and password, or `bearer`");
    let username = s.optional("username", Text, "for `basic`").filter(|name| !name.is_empty());
    let password = s.optional("password", MaybeSecret, "for `basic`").flatten();
    let token = s.optional("bearer_token", MaybeSecret, "for `bearer`").flatten();
    let url = base_of(s, url);
    let given = Credentials { username, password, token };
    let doc = "sent with each query, such as `X-Scope-OrgID: team-a` for a tenant of Mimir or Thanos";
    let headers = s.default("headers", Names(SecretText), vec![], doc);
    for (name, _) in headers.iter().filter(|(name, _)| !is_header(name)) {
        let remedy = "use letters, digits and hyphens; credentials belong to `auth_type`";
        s.fault_inside("headers", Inner::Key(name), "is no header that can be set here", remedy);
    }
    let tls = s.section("tls", tls, "for servers with a certificate of one's own");
    Metrics { url, auth: given.choose(s, auth), headers, tls }
}

fn is_header(name: &str) -> bool {
    const OURS: [&str; 5] = ["authorization", "host", "content-length", "content-type", "connection"];
    let letters = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    letters && !OURS.contains(&name.to_ascii_lowercase().as_str())
}

fn tls(s: &mut Section<'_>) -> MetricsTls {
    let ca_file = s.optional("ca_file", FilePath, "PEM file of certificates to trust besides the system's");
    let certificate = s.optional("cert_file", FilePath, "PEM file of the certificate to present; with `key_file`");
    let key = s.optional("key_file", FilePath, "PEM file of its key");
    let doc = "accept any certificate; whoever is in between can read and change everything";
    let insecure = s.default("insecure_skip_verify", Flag, false, doc);
    if insecure {
        s.warn("insecure_skip_verify", "any certificate is accepted: prefer `ca_file` with the server's own");
    }
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            s.fault("key_file", "is missing although `cert_file` is there", "add `key_file`, or remove both");
            None
        }
        (None, Some(_)) => {
            s.fault("cert_file", "is missing although `key_file` is there", "add `cert_file`, or remove both");
            None
        }
    };
    MetricsTls { ca_file, client, insecure }
}

/// Chitragupta drops a path; here it counts, so the part that every query adds itself must go.
fn base_of(s: &Section<'_>, url: String) -> String {
    match url.strip_suffix("/api/v1") {
        Some(base) => {
            s.warn("url", "`/api/v1` is left out: it is added to each query anyway");
            base.to_owned()
        }
        None => url,
    }
}

/// What is given to prove who we are; empty texts are not given.
struct Credentials {
    username: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
}

impl Credentials {
    fn choose(self, s: &Section<'_>, auth: Auth) -> MetricsAuth {
        if !s.sound(&["auth_type", "username", "password", "bearer_token"]) {
            return MetricsAuth::None;
        }
        let (has_user, has_password, has_token) =
            (self.username.is_some(), self.password.is_some(), self.token.is_some());
        match (auth, self) {
            (Auth::Basic, Self { username: Some(username), password: Some(password), token }) => {
                if token.is_some() {
                    s.warn("bearer_token", "has no effect with `auth_type: basic`");
                }
                MetricsAuth::Basic { username, password }
            }
            (Auth::Basic, _) => {
                for key in missing([("username", has_user), ("password", has_password)]) {
                    s.fault(key, "is missing for `auth_type: basic`", format!("add `{key}`, or set `auth_type: none`"));
                }
                MetricsAuth::None
            }
            (Auth::Bearer, Self { token: Some(token), .. }) => {
                for key in missing([("username", !has_user), ("password", !has_password)]) {
                    s.warn(key, "has no effect with `auth_type: bearer`");
                }
                MetricsAuth::Bearer { token }
            }
            (Auth::Bearer, _) => {
                let remedy = "add `bearer_token`, or set `auth_type: none`";
                s.fault("bearer_token", "is missing for `auth_type: bearer`", remedy);
                MetricsAuth::None
            }
            (Auth::None, _) => {
                let given = [("username", !has_user), ("password", !has_password), ("bearer_token", !has_token)];
                for key in missing(given) {
                    let remedy = "set `auth_type: basic` or `bearer`, or remove it";
                    s.fault(key, "is given, but `auth_type` is `none`", remedy);
                }
                MetricsAuth::None
            }
        }
    }
}

fn missing<const N: usize>(keys: [(&'static str, bool); N]) -> impl Iterator<Item = &'static str> {
    keys.into_iter().filter(|(_, there)| !there).map(|(key, _)| key)
}
