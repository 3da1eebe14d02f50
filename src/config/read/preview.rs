//! Chitragupta's FOCUS export: checked as there, then dropped, because nothing here reads it yet.

use chrono::NaiveDate;

use super::super::address::FilePath;
use super::super::number::Int;
use super::super::scalar::{Choice, Date, quoted};
use super::super::section::Section;
use super::super::text::Text;

/// `preview:`
pub(super) fn process(s: &mut Section<'_>) {
    s.default("artifact_root", FilePath, "data/focus-preview".into(), "folder of the files");
    let workers = s.default("max_workers", Int(1..=16), 2, "exports written at the same time");
    s.default("max_queued_repairs", Int(0..=u32::MAX), 8, "repairs that may wait");
    let queued = s.default("max_queued_generations", Int(0..=u32::MAX), 8, "exports that may wait");
    let running =
        s.default("max_running_generations_per_tenant", Int(1..=u32::MAX), 1, "exports of one tenant at a time");
    let of_tenant =
        s.default("max_queued_generations_per_tenant", Int(0..=u32::MAX), 2, "exports of one tenant that may wait");
    s.default("max_generation_spool_bytes", Int(1..=u64::MAX), 2_147_483_648, "size of one export");
    s.optional("max_csv_file_bytes", Int(1..=u64::MAX), "size of one file");
    if running > workers && s.sound(&["max_running_generations_per_tenant", "max_workers"]) {
        let problem = format!("{running} is more than `max_workers`, which is {workers}");
        s.fault(
            "max_running_generations_per_tenant",
            problem,
            format!("write at most {workers}, or raise `max_workers`"),
        );
    }
    let keys = ["max_queued_generations", "max_queued_generations_per_tenant"];
    let consistent = (queued == 0 && of_tenant == 0) || (0 < of_tenant && of_tenant < queued);
    if !consistent && s.sound(&keys) {
        let problem = format!("{of_tenant} does not go with `max_queued_generations`, which is {queued}");
        s.fault(keys[1], problem, "make both 0, or both positive and this one the smaller");
    }
}

/// `focus_preview:` of a tenant.
pub(super) fn tenant(s: &mut Section<'_>) {
    const PROFILES: Choice<()> = Choice(&[("direct_payg", ())]);
    s.required("commercial_profile", PROFILES, "how Confluent Cloud is bought; only `direct_payg`");
    let currency = s.default("billing_currency", Text, "USD".into(), "currency of the bill, three letters");
    let letters = currency.trim();
    if letters.len() != 3 || !letters.bytes().all(|b| b.is_ascii_alphabetic()) {
        s.fault(
            "billing_currency",
            format!("{} is not a currency", quoted(&currency)),
            "write three letters, such as USD",
        );
    }
    let start = s.required("effective_start_date", Date, "first day, YYYY-MM-DD");
    let end: Option<NaiveDate> = s.optional("effective_end_date", Date, "the day after the last");
    if let Some(end) = end.filter(|end| *end <= start && s.sound(&["effective_start_date"])) {
        let problem = format!("{end} is not after `effective_start_date`, which is {start}");
        s.fault("effective_end_date", problem, "write a later date, or leave it out");
    }
}
