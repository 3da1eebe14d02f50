//! Addresses: of HTTP services, PostgreSQL, Kafka, and of files.
//!
//! In: text. Out: text that is known to be usable as such an address. Nothing is contacted.

use std::path::PathBuf;

use serde_json::{Value as Json, json};
use url::Url;

use super::Secret;
use super::kind::Kind;
use super::scalar::quoted;
use super::section::Value;
use super::text::{Name, SecretText, Text};

/// Base address of an HTTP service, without a slash at the end and without credentials.
pub(super) struct HttpUrl;

impl Kind for HttpUrl {
    type Out = String;

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": r"^\s*https?://|\$\{"})
    }

    fn read(&self, value: &Value<'_>) -> Option<String> {
        let text = Text.read(value)?;
        let text = text.trim();
        let (problem, remedy) = match check_http(text) {
            Ok(()) => return Some(text.trim_end_matches('/').to_owned()),
            Err(fault) => fault,
        };
        value.fault(format!("{} {problem}", quoted(&without_credentials(text))), remedy);
        None
    }

    fn placeholder(&self) -> String {
        String::new()
    }

    fn shown(&self, out: &String) -> Json {
        json!(out)
    }
}

fn check_http(text: &str) -> Result<(), (String, String)> {
    let example = "write it like `https://prometheus.example.com:9090`";
    let url = Url::parse(text).map_err(|error| (format!("is not a URL ({error})"), example.to_owned()))?;
    let fault = |problem: &str, remedy: &str| Err((problem.to_owned(), remedy.to_owned()));
    if !["http", "https"].contains(&url.scheme()) {
        // `localhost:9090` is a URL of scheme `localhost`.
        return fault("does not begin with http:// or https://", example);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return fault("names no host", example);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return fault("contains credentials", "move them to the keys for user name and password beside it");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return fault("has more than a path behind the host", "leave out everything from `?` or `#` on");
    }
    Ok(())
}

/// The address with what may be credentials masked.
fn without_credentials(text: &str) -> String {
    let text = text.split_inclusive(['?', '#']).next().unwrap_or_default();
    let Some(at) = text.rfind('@') else { return text.to_owned() };
    let start = text.find("://").map_or(0, |at| at + 3).min(at);
    format!("{}***{}", &text[..start], &text[at..])
}

/// `postgres://user:password@host/database`.
pub(super) struct PostgresUrl;

impl Kind for PostgresUrl {
    type Out = Secret;

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": r"^postgres(ql)?://|\$\{"})
    }

    fn read(&self, value: &Value<'_>) -> Option<Secret> {
        let secret = SecretText.read(value)?;
        let problem = match Url::parse(secret.expose()) {
            Ok(url) if ["postgres", "postgresql"].contains(&url.scheme()) => return Some(secret),
            Ok(url) => format!("*** is an address of kind `{}`, not of PostgreSQL", url.scheme()),
            Err(error) => format!("*** is not a URL ({error})"),
        };
        let remedy = "write it like `postgres://user:password@host:5432/tributary`, \
                      special characters in the password as %XX";
        value.fault(problem, remedy);
        None
    }

    fn placeholder(&self) -> Secret {
        Secret::new("")
    }
}

/// `host:port,host:port`.
pub(super) struct Servers;

impl Kind for Servers {
    type Out = String;

    fn schema(&self) -> Json {
        json!({"type": "string", "minLength": 1})
    }

    fn read(&self, value: &Value<'_>) -> Option<String> {
        let text = Text.read(value)?;
        let servers: Vec<_> = text.split(',').map(str::trim).collect();
        let Some(wrong) = servers.iter().find(|server| !is_server(server)) else { return Some(servers.join(",")) };
        let problem = format!("{} is not a Kafka server", quoted(wrong));
        value.fault(problem, "write `host:port`, several with commas between: `kafka-1:9092,kafka-2:9092`");
        None
    }

    fn placeholder(&self) -> String {
        String::new()
    }
}

/// `host`, `host:port`, `PROTOCOL://host:port`, `[v6]:port`: what librdkafka takes.
fn is_server(text: &str) -> bool {
    const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
    let rest = match text.split_once("://") {
        Some((protocol, rest)) if PROTOCOLS.contains(&protocol.to_uppercase().as_str()) => rest,
        Some(_) => return false,
        None => text,
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let plain = |c: char| c.is_alphanumeric() || "._-".contains(c);
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let good_host = match bracketed {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(plain),
    };
    good_host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// A file or folder.
pub(super) struct FilePath;

impl Kind for FilePath {
    type Out = PathBuf;

    fn schema(&self) -> Json {
        Name.schema()
    }

    fn read(&self, value: &Value<'_>) -> Option<PathBuf> {
        Name.read(value).map(PathBuf::from)
    }

    fn placeholder(&self) -> PathBuf {
        PathBuf::new()
    }

    fn shown(&self, out: &PathBuf) -> Json {
        json!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_as_librdkafka_takes_them() {
        for good in ["localhost", "kafka-1:9092", "10.0.0.1:9092", "SASL_SSL://b.example.com:9092", "[::1]:9092"] {
            assert!(is_server(good), "{good}");
        }
        for bad in ["", "kafka:", ":9092", "kafka:0", "kafka:99999", "http://kafka:9092", "a b:9092", "::1"] {
            assert!(!is_server(bad), "{bad}");
        }
    }

    #[test]
    fn http_addresses() {
        for good in ["https://api.confluent.cloud", "http://10.0.0.1:9090/prom/", "http://[::1]:9090"] {
            assert_eq!(check_http(good), Ok(()), "{good}");
        }
        for bad in ["", "localhost:9090", "ftp://x", "http://", "https://u:p@x", "http://x?y=1", "http://x#y", "prom"] {
            assert!(check_http(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_are_masked_even_where_a_url_cannot_be_read() {
        assert_eq!(without_credentials("http://u:p@h:x"), "http://***@h:x");
        assert_eq!(without_credentials("u:p@ss@h"), "***@h");
        assert_eq!(without_credentials("http://h/x?token=t"), "http://h/x?");
    }
}
