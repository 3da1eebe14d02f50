//! Every parser that meets bytes from outside, with what must hold of whatever it makes of them.
//!
//! Shared by `tests/noise` (stable Rust, seconds) and the targets under `fuzz/` (libFuzzer, as long as one likes).

use tributary::allocate::RuleBooks;
use tributary::config;
use tributary::domain::{
    Amount, BillingLine, ChargebackRow, Day, DayAllocated, DaySealed, GatherState, Granularities, Identity,
    MetricValue, MetricValueRef, Quarantined, Resource, TenantDay, TopicAttributionRow,
};
use tributary::ecosystem::confluent_cloud::row::Row;
use tributary::ecosystem::prometheus;
use tributary::journal::codec::Codec;

/// Takes bytes; panics if they break something.
pub type Parser = fn(&[u8]);

/// All of them, by the folder of their corpus.
pub const ALL: [(&str, Parser); 7] = [
    ("avro", avro),
    ("key", key),
    ("amount", amount),
    ("billing_row", billing_row),
    ("prometheus", prometheus),
    ("rules", rules),
    ("config", config),
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

/// A configuration file.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let env = |name: &str| name.len().is_multiple_of(2).then(|| "from-the-environment".to_owned());
    match config::parse(text, &env) {
        Ok(loaded) => assert!(!config::show(&loaded.config).is_empty()),
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}
