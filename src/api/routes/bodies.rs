//! Bodies read in all the ways in which routes read theirs, for tests that damage them.

use chrono::{DateTime, Datelike, Utc};

use super::{aggregate, exports, runs, tag_sets, tags, tokens};
use crate::api::params::json;
use crate::api::problem::{Fault, Problem};
use crate::domain::Tag;
use crate::domain::tag::check_value;
use crate::store::check_tag;

/// What each route that takes a body would tell a caller, by the name of the body.
pub fn read_body(body: &[u8], now: DateTime<Utc>) -> [(&'static str, Result<(), Problem>); 7] {
    [
        ("aggregate", json::<aggregate::AggregateWish>(body).and_then(|wish| wish.check(now))),
        ("tag", json::<tags::TagValue>(body).and_then(|tag| tag_value(&tag.value))),
        ("tags:batch", json::<tag_sets::Batch>(body).map(|batch| batch_of(batch, now))),
        ("tags:apply", json::<tag_sets::Apply>(body).and_then(|wish| wish.check(now))),
        ("runs", json::<runs::RunWish>(body).and_then(run)),
        ("exports", json::<exports::ExportWish>(body).and_then(|wish| exports::read(wish, now).map(drop))),
        ("tokens", json::<tokens::TokenRequest>(body).and_then(|asked| asked.read(known, now).map(drop))),
    ]
}

/// A run's days are those that ranges have.
fn run(wish: runs::RunWish) -> Result<(), Problem> {
    runs::check(&wish)?;
    let days = wish.from.into_iter().chain(wish.to);
    days.for_each(|day| debug_assert!((1970..=9999).contains(&day.year()), "{day}"));
    Ok(())
}

fn tag_value(value: &str) -> Result<(), Problem> {
    check_value(value).map_err(|error| Problem::of_parameters(vec![Fault::new("value", error.to_string())]))
}

/// What is taken, the tables take.
fn batch_of(batch: tag_sets::Batch, at: DateTime<Utc>) {
    for wish in batch.items.into_iter().filter_map(|wanted| tag_sets::checked(wanted).ok()) {
        let value = wish.value.unwrap_or_else(|| "removed".to_owned());
        let (entity_type, entity_id, key) = (wish.kind, wish.id, wish.key);
        let tag = Tag { tenant: "t".to_owned(), entity_type, entity_id, key, value, at, by: "nobody".to_owned() };
        debug_assert!(check_tag(&tag).is_ok(), "{tag:?}");
    }
}

fn known(tenant: &str) -> Option<String> {
    (tenant == "acme").then(|| "org-1".to_owned())
}
