//! Access tokens of an issuer: good ones, bad ones, keys that change, an issuer that is away.

use std::net::TcpStream;

use serde_json::{Value, json};
use tributary::clock::Clock;

use super::{TENANTS, refused};
use crate::harness::{Answer, Installation, Issuer, Running, SigningKey, free_port, request, until};

struct Served {
    port: u16,
    issuer: Issuer,
    _running: Running,
    _installation: Installation,
}

impl Served {
    fn start(key: &SigningKey) -> Self {
        let issuer = Issuer::start(key);
        let installation = Installation::new("oidc");
        let port = free_port();
        let oidc = format!(
            "auth:\n  mode: oidc\n  oidc:\n    issuer: {}\n    audience: tributary\n    scopes_claim: roles\n    \
             scopes: {{finops: [costs:read], chief: [admin]}}\n    tenants_claim: groups\n    \
             tenants: {{team-1: [one], everybody: ['*']}}\n",
            issuer.url
        );
        let config = installation.write_config(&format!("{TENANTS}api: {{port: {port}}}\n{oidc}"));
        let mut command = installation.service(&config, "api", "oidc");
        let mut running = Running::start(&mut command, installation.dir.path(), "oidc");
        running.until("the API listens", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { port, issuer, _running: running, _installation: installation }
    }

    fn claims(&self) -> Value {
        let now = Clock::system().now().timestamp();
        json!({"iss": self.issuer.url, "aud": "tributary", "sub": "ada", "exp": now + 600, "roles": ["finops"],
            "groups": ["team-1"]})
    }

    fn with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }

    fn get(&self, path: &str, token: &str) -> Answer {
        request(self.port, "GET", path, &[&format!("Authorization: Bearer {token}")], "")
    }
}

#[test]
fn an_issuers_tokens_open_what_their_claims_are_mapped_to() {
    let first = SigningKey::new("first");
    let served = Served::start(&first);
    let who = |token: &str| served.get("/api/v1/whoami", token);
    // Before its keys were ever had, an issuer that is away leaves it open whether a token is good.
    served.issuer.set_away(true);
    refused(&who(&first.sign(&served.claims())), 503, "unavailable");
    served.issuer.set_away(false);
    until("the issuer was asked again", || who(&first.sign(&served.claims())).status == 200);

    let ada = who(&first.sign(&served.claims())).json();
    assert_eq!((&ada["actor"], &ada["tenants"]), (&json!("user:ada"), &json!(["one"])));
    assert_eq!(ada["scopes"], json!(["costs:read"]));
    let token = first.sign(&served.claims());
    assert_eq!(served.get("/api/v1/tenants/one/days", &token).status, 200);
    refused(&served.get("/api/v1/tenants/two/days", &token), 404, "not-found");
    refused(&served.get("/api/v1/tokens", &token), 403, "forbidden");
    let stranger = first.sign(&served.with("roles", json!(["barista"])));
    refused(&served.get("/api/v1/tenants/one/days", &stranger), 403, "forbidden");
    let mut chief = served.with("roles", json!(["chief"]));
    chief["groups"] = json!("everybody");
    assert_eq!(served.get("/api/v1/tokens", &first.sign(&chief)).status, 200);

    for (name, value, why) in [
        ("exp", json!(1_000_000_000), "expired"),
        ("nbf", json!(4_000_000_000_u64), "not hold yet"),
        ("aud", json!(["another"]), "audience"),
        ("iss", json!("https://elsewhere.example.com"), "issuer"),
        ("sub", Value::Null, "whose"),
    ] {
        let answer = who(&first.sign(&served.with(name, value)));
        refused(&answer, 401, "bad-token");
        assert!(answer.json()["detail"].as_str().expect("a detail").contains(why), "{why}: {}", answer.body);
    }
    // A token of ours is none in this mode.
    refused(&who("trib_000000000000_A"), 401, "bad-token");

    // The same name, another key: the signature does not hold.
    refused(&who(&SigningKey::new("first").sign(&served.claims())), 401, "bad-token");
    let asked = served.issuer.asked();
    for n in 0..50 {
        refused(&who(&SigningKey::new(&format!("made up {n}")).sign(&served.claims())), 401, "bad-token");
    }
    assert!(served.issuer.asked() <= asked + 3, "nobody makes us ask at will: {} and {asked}", served.issuer.asked());

    // A new key is noticed with its first token; the old one is out.
    let second = SigningKey::new("second");
    served.issuer.rotate(&second);
    until("the new key is known", || who(&second.sign(&served.claims())).status == 200);
    refused(&who(&token), 401, "bad-token");
    // What is known holds while the issuer is away.
    served.issuer.set_away(true);
    assert_eq!(who(&second.sign(&served.claims())).status, 200);
    let third = SigningKey::new("third");
    until("the issuer was asked in vain", || who(&third.sign(&served.claims())).status == 503);
}
