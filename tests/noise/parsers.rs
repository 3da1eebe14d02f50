//! Every parser that meets bytes from outside, with what must hold of whatever it makes of them.
//!
//! Shared by `tests/noise` (stable Rust, seconds) and the targets under `fuzz/` (libFuzzer, as long as one likes).

use tributary::allocate::RuleBooks;
use tributary::api::auth::{Claims, read_claims, read_token};
use tributary::api::{read_body, read_query};
use tributary::config;
use tributary::domain::{
    Amount, ApiToken, AuditEvent, BillingLine, ChargebackRow, Command, Day, DayAllocated, DaySealed, Emission,
    GatherState, Granularities, Identity, MetricValue, MetricValueRef, Quarantined, Resource, Run, Scope, Tag,
    TenantDay, TenantEvent, TopicAttributionRow,
};
use tributary::ecosystem::confluent_cloud::billing::{self, Costs};
use tributary::ecosystem::confluent_cloud::row::Row;
use tributary::ecosystem::confluent_cloud::{identities, resources};
use tributary::ecosystem::http::retry::advised_wait;
use tributary::ecosystem::prometheus;
use tributary::journal::codec::Codec;

/// Takes bytes; panics if they break something.
pub type Parser = fn(&[u8]);

/// All of them, by the folder of their corpus.
pub const ALL: [(&str, Parser); 17] = [
    ("avro", avro),
    ("key", key),
    ("amount", amount),
    ("billing_row", billing_row),
    ("bill", bill),
    ("inventory", inventory),
    ("headers", headers),
    ("prometheus", prometheus),
    ("rules", rules),
    ("config", config),
    ("dotenv", dotenv),
    ("query", query),
    ("body", body),
    ("jwt", jwt),
    ("jwks", jwks),
    ("claims", claims),
    ("map_file", map_file),
];

/// A record of each topic: what can be read can be written, and reads the same again.
pub fn avro(bytes: &[u8]) {
    // Avro writes a number in one way but reads longer ones too, and NaN is not equal to itself: what was written tells.
    macro_rules! again {
        ($codec:ident, $($type:ty),*) => {$({
            if let Ok(record) = $codec.decode::<$type>(bytes) {
                let (mut written, mut again) = (Vec::new(), Vec::new());
                $codec.encode(&record, &mut written).expect("what was read can be written");
                let read = $codec.decode::<$type>(&written).expect("what was written can be read");
                $codec.encode(&read, &mut again).expect("what was read can be written");
                assert_eq!(written, again);
            }
        })*};
    }
    thread_local!(static CODEC: Codec = Codec::builtin());
    CODEC.with(|codec| {
        again!(codec, BillingLine, Resource, Identity, MetricValue, MetricValueRef<'_>, DaySealed, ChargebackRow<'_>);
        again!(codec, TopicAttributionRow<'_>, DayAllocated, GatherState, Quarantined);
        again!(codec, Command, Run, Emission, TenantEvent, AuditEvent, ApiToken, Tag);
    });
}

/// A record's key.
pub fn key(bytes: &[u8]) {
    let Some(key) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<TenantDay>().ok()) else { return };
    assert_eq!(key.to_string().parse::<TenantDay>().as_ref(), Ok(&key));
    assert_eq!(key.to_string().as_bytes(), bytes);
}

/// An amount in a provider's answer.
pub fn amount(bytes: &[u8]) {
    let Some(amount) = std::str::from_utf8(bytes).ok().and_then(|text| Amount::parse(text).ok()) else { return };
    assert!(amount.in_range());
    assert_eq!(amount.to_string().parse(), Ok(amount));
    assert_eq!(Amount::parse(&format!("{amount}e-0")), Ok(amount));
}

/// A row of a provider's bill: spread over its days it is the same money.
pub fn billing_row(bytes: &[u8]) {
    let Some(row) = std::str::from_utf8(bytes).ok().and_then(|text| Row::read(text, &Granularities::default()).ok())
    else {
        return;
    };
    let (amount, quantity, start) = (row.amount, row.quantity, row.start);
    let days: Vec<Row> = row.by_day().collect();
    assert!((1..=366).contains(&days.len()), "{} days", days.len());
    assert_eq!(days.iter().map(|day| day.amount).sum::<Amount>(), amount);
    assert_eq!(days.iter().map(|day| day.quantity).sum::<Amount>(), quantity);
    let expected: Vec<Day> = start.until(start.plus(days.len() as u64)).collect();
    assert_eq!(days.iter().map(|day| day.start).collect::<Vec<_>>(), expected);
}

/// An answer to a request for costs, one row a line: where every row can be booked, the lines are the same money.
pub fn bill(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let [from, until] = ["2026-02-01", "2026-03-01"].map(|day| day.parse::<Day>().expect("a day"));
    let granularities = Granularities::default();
    let rows: Vec<String> = text.lines().map(str::to_owned).collect();
    let answer = Costs { from, until, before: false, source: "GET /costs".into(), rows: rows.clone() };
    let bill = billing::bill(from, until, &[answer], &granularities);
    let lines = || bill.days.values().flat_map(|day| &day.lines);
    assert!(lines().all(|line| line.amount.in_range() && !line.evidence.is_empty()));
    let is_new = |(at, row): (usize, &String)| !rows[..at].contains(row);
    if bill.undated.is_empty()
        && bill.days.values().all(|day| day.bad.is_empty())
        && rows.iter().enumerate().all(is_new)
    {
        let read = rows.iter().map(|row| Row::read(row, &granularities).expect("it was booked"));
        let parts = read.flat_map(Row::by_day).filter(|part| from <= part.start && part.start < until);
        assert_eq!(parts.map(|part| part.amount).sum::<Amount>(), lines().map(|line| line.amount).sum::<Amount>());
    }
}

/// An item of any listing: whatever it is taken for can be written, and has an id.
pub fn inventory(bytes: &[u8]) {
    let Ok(item) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let item = &item;
    let found = [
        resources::environment(item),
        resources::kafka_cluster(item, "env-1"),
        resources::schema_registry(item, "env-1"),
        resources::ksqldb_cluster(item, "env-1"),
        resources::compute_pool(item, "env-1", |region| region.len() > 3),
        Some(resources::statement(item, "env-1", Some("lfcp-1"))),
        resources::connector("c", item, "env-1", "lkc-1"),
    ];
    let who = [
        identities::service_account(item),
        identities::user(item),
        identities::api_key(item),
        identities::identity_provider(item),
        identities::identity_pool(item, "op-1"),
    ];
    thread_local!(static CODEC: Codec = Codec::builtin());
    CODEC.with(|codec| {
        let mut bytes = Vec::new();
        for resource in found.iter().flatten() {
            assert!(!resource.resource_id.is_empty());
            codec.encode(resource, &mut bytes).expect("a resource can be written");
        }
        for identity in who.iter().flatten() {
            assert!(!identity.identity_id.is_empty());
            codec.encode(identity, &mut bytes).expect("an identity can be written");
        }
    });
}

/// An answer's headers, `name: value` one a line: nobody makes us wait longer than an hour.
pub fn headers(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    let headers = pairs.filter_map(|(name, value)| Some((name.trim().parse().ok()?, value.parse().ok()?))).collect();
    let advised = advised_wait(&headers, chrono::DateTime::UNIX_EPOCH);
    assert!(advised.is_none_or(|wait| wait.as_secs() <= 3600), "{advised:?}");
}

/// An answer of the metrics server.
pub fn prometheus(bytes: &[u8]) {
    let Ok(samples) = prometheus::parse(bytes, "up") else { return };
    assert!(samples.iter().all(|sample| sample.value.is_finite()));
}

/// A seal's rules.
pub fn rules(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = RuleBooks::default().read(text);
    }
}

/// A `.env` file.
pub fn dotenv(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let found = config::dotenv::parse(text, &|name| (name == "HOME").then(|| "/home/somebody".to_owned()));
    assert!(found.unreadable.len() <= text.lines().count());
    assert!(found.values.keys().all(|name| !name.is_empty() && !name.contains('=')));
}

/// What follows the question mark of an address: refused with a reason, or days in order, sound filters, a page.
pub fn query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let now = chrono::DateTime::from_timestamp(1_772_700_000, 0).expect("a moment");
    if let Err(problem) = read_query(text, now) {
        assert!((400..500).contains(&problem.status) && !problem.detail.is_empty(), "{problem:?}");
    }
}

/// A body of a request: refused with a reason that a caller can act on, or the tables take what it asks for.
pub fn body(bytes: &[u8]) {
    let now = chrono::DateTime::from_timestamp(1_772_700_000, 0).expect("a moment");
    for (name, read) in read_body(bytes, now) {
        if let Err(problem) = read {
            assert!(problem.status == 400 && !problem.errors.is_empty(), "{name}: {problem:?}");
            assert!(problem.errors.iter().all(|fault| !fault.message.is_empty()), "{name}: {problem:?}");
        }
    }
}

/// Public keys of RFC 7515, of A.2 and A.3, as a key set.
const KEYS: &str = include_str!("../golden/noise/jwks/rfc7515.json");
/// The tokens there that they signed.
const TOKENS: [&str; 2] =
    [include_str!("../golden/noise/jwt/rfc7515-a2"), include_str!("../golden/noise/jwt/rfc7515-a3")];

/// A token of an issuer: however it is damaged, what is taken is what was signed.
pub fn jwt(bytes: &[u8]) {
    let Ok(token) = std::str::from_utf8(bytes) else { return };
    if let Some(claims) = read_token(token, KEYS.as_bytes()) {
        assert_eq!(claims, signed());
    }
}

/// An issuer's keys: whatever they are, they do not make other claims of a token.
pub fn jwks(bytes: &[u8]) {
    for claims in TOKENS.iter().filter_map(|token| read_token(token, bytes)) {
        assert_eq!(claims, signed());
    }
}

fn signed() -> serde_json::Value {
    serde_json::json!({"iss": "joe", "exp": 1_300_819_380, "http://example.com/is_root": true})
}

/// The claims of a token that holds: they let in whom they name, as far as the configuration says.
pub fn claims(bytes: &[u8]) {
    let Ok(claims) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let asked = Claims {
        issuer: "https://id.example.com".to_owned(),
        audience: "tributary".to_owned(),
        leeway_seconds: 30,
        scopes_claim: "realm_access.roles".to_owned(),
        scopes: [("finops".to_owned(), vec![Scope::CostsRead])].into(),
        tenants_claim: Some("groups".to_owned()),
        tenants: Default::default(),
        known: [("acme".to_owned(), "org-1".to_owned())].into(),
    };
    let now = chrono::DateTime::from_timestamp(1_772_700_000, 0).expect("a moment");
    match read_claims(&asked, &claims, now) {
        Ok((actor, tenants)) => {
            assert!(actor.strip_prefix("user:").is_some_and(|subject| claims["sub"] == subject && !subject.is_empty()));
            assert!(tenants.expect("it is limited").iter().all(|id| id == "org-1"));
            assert!(claims["exp"].as_f64().expect("a number") > 1_772_699_970.0, "{claims}");
        }
        Err(why) => assert!(!why.is_empty()),
    }
}

/// A file that says whom ids are booked to, under both of its extensions.
pub fn map_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for extension in ["csv", "yaml"] {
        match config::map_file(extension, text) {
            Ok(pairs) => {
                assert!(pairs.iter().all(|(id, identity)| !id.is_empty() && !identity.is_empty()), "{pairs:?}")
            }
            Err((problem, remedy)) => assert!(!problem.is_empty() && !remedy.is_empty()),
        }
    }
}

/// A configuration file.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let env = |name: &str| name.len().is_multiple_of(2).then(|| "from-the-environment".to_owned());
    match config::parse(text, &env) {
        Ok(loaded) => assert!(!config::show(&loaded.config).is_empty()),
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}
