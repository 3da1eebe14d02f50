//! Where results are written to besides the tables.

use std::path::{Component, Path};

use super::super::address::FilePath;
use super::super::number::Int;
use super::super::scalar::{Choice, quoted};
use super::super::section::{Inner, Section};
use super::super::text::{Name, Text};
use super::super::{Emitter, GAUGE_PREFIX, Granularity, Sink, Tenant, suggest};

pub(super) const GRANULARITIES: Choice<Granularity> =
    Choice(&[("hourly", Granularity::Hourly), ("daily", Granularity::Daily), ("monthly", Granularity::Monthly)]);
/// Why a granularity of rows says nothing.
pub(super) const BY_DAY: &str = "rows are by day whatever it says, and emitters may add them up by day or month";
/// Days that gauges show unless said otherwise.
const GAUGE_DAYS: u32 = 31;
/// Series of one name and tenant unless said otherwise.
const MAX_SERIES: u32 = 5000;

#[derive(Clone, Copy, PartialEq)]
enum Type {
    Csv,
    Prometheus,
}

/// What Chitragupta puts in for csv emitters that do not say it.
struct CsvDefaults {
    output_dir: Option<&'static str>,
    filename_template: &'static str,
}

/// An emitter of chargebacks.
pub(super) fn of_chargebacks(s: &mut Section<'_>) -> Emitter {
    emitter(s, &CsvDefaults { output_dir: None, filename_template: "{tenant_id}_{date}.csv" })
}

/// An emitter of topic attributions.
pub(super) fn of_topics(s: &mut Section<'_>) -> Emitter {
    let defaults = CsvDefaults {
        output_dir: Some("/tmp/topic_attribution"),
        filename_template: "topic_attr_{tenant_id}_{date}.csv",
    };
    emitter(s, &defaults)
}

fn emitter(s: &mut Section<'_>, defaults: &CsvDefaults) -> Emitter {
    const TYPES: Choice<Type> = Choice(&[("csv", Type::Csv), ("prometheus", Type::Prometheus)]);
    let kind = s.required("type", TYPES, "`csv` or `prometheus`");
    let known = s.sound(&["type"]);
    let name = s.optional("name", Text, "name of this emitter, different from all others; default: its type");
    if name.as_ref().is_some_and(|name| name.contains(|c: char| c == '/' || c.is_control())) {
        s.fault("name", "has a `/` or a control character", "write letters, digits, blanks, `-`, `_` and the like");
    }
    let sink = s.section("params", |s| params(s, kind, known, defaults), "settings of the type");
    let aggregation = s.optional("aggregation", GRANULARITIES, "sum rows up to this; default: rows as they are");
    if aggregation == Some(Granularity::Hourly) {
        s.fault(
            "aggregation",
            "`hourly` is finer than the rows, which are by day",
            "write `daily` or `monthly`, or leave it out",
        );
    }
    let lookback = "only days that are this young; default: all, of gauges those of 31 days";
    let lookback_days = s.optional("lookback_days", Int(0..=3650), lookback);
    let (type_name, default_days) = match kind {
        Type::Csv => ("csv", None),
        Type::Prometheus => ("prometheus", Some(GAUGE_DAYS)),
    };
    Emitter {
        name: name.filter(|name| !name.is_empty()).unwrap_or_else(|| type_name.into()),
        aggregation,
        lookback_days: lookback_days.or(default_days),
        sink,
    }
}

fn params(s: &mut Section<'_>, kind: Type, known: bool, defaults: &CsvDefaults) -> Sink {
    let output_dir = s.optional("output_dir", FilePath, "csv: folder of the files");
    let template = s.optional("filename_template", Text, "csv: name of a file, with {tenant_id} and {date}");
    let port = s.optional("port", Int(1..=65535), "prometheus: port to listen on; default 8000");
    let host = s.optional("host", Name, "prometheus: address to listen on; default 127.0.0.1, for all 0.0.0.0");
    let prefix = s.optional("prefix", Text, "prometheus: how names of gauges begin; default chitragupta");
    let max_series = "prometheus: series of one name and tenant at most, the cheapest are shown as one; default 5000";
    let max_series = s.optional("max_series", Int(1..=1_000_000), max_series);
    let foreign: &[&str] = match kind {
        _ if !known => &[],
        Type::Csv => &["port", "host", "prefix", "max_series"],
        Type::Prometheus => &["output_dir", "filename_template"],
    };
    for key in foreign.iter().filter(|key| s.has(key)) {
        s.fault(key, "does not belong to this type of emitter", "remove it, or change the type");
    }
    if kind == Type::Prometheus {
        let prefix = prefix.unwrap_or_else(|| GAUGE_PREFIX.into());
        let plain = prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !plain || !prefix.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let problem = format!("{} cannot begin the name of a metric", quoted(&prefix));
            s.fault("prefix", problem, "write letters, digits and `_`, a letter first");
        }
        return Sink::Prometheus {
            host: host.unwrap_or_else(|| "127.0.0.1".into()),
            port: port.unwrap_or(8000),
            prefix,
            max_series: max_series.unwrap_or(MAX_SERIES),
        };
    }
    let output_dir = output_dir.or(defaults.output_dir.map(Into::into));
    if output_dir.is_none() && known && s.sound(&["output_dir"]) {
        s.fault("output_dir", "is missing", "add the folder that the files go to");
    }
    let filename_template = template.unwrap_or_else(|| defaults.filename_template.into());
    check_template(s, &filename_template);
    Sink::Csv { output_dir: output_dir.unwrap_or_default(), filename_template }
}

fn check_template(s: &Section<'_>, template: &str) {
    const FIELDS: [&str; 2] = ["tenant_id", "date"];
    let mut known = true;
    for field in template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(field, _)| field) {
        if !FIELDS.contains(&field) {
            known = false;
            let remedy = match suggest::nearest(field, &FIELDS) {
                Some(known) => format!("did you mean `{{{known}}}`?"),
                None => "use {tenant_id} and {date}".into(),
            };
            s.fault("filename_template", format!("{} names {{{field}}}, which is not known", quoted(template)), remedy);
        }
    }
    if known && !template.contains("{date}") {
        let problem = format!("{} has no {{date}}: each day would replace the one before", quoted(template));
        s.fault("filename_template", problem, "add {date}");
    }
    let stays = Path::new(template).components().all(|part| matches!(part, Component::Normal(_)));
    if !stays || template.ends_with('/') {
        let problem = format!("{} leads out of the folder, or names one", quoted(template));
        s.fault("filename_template", problem, "write a name, with folders before it if need be, without `..`");
    }
}

/// Compares the emitters of one list with each other.
pub(super) fn compare(s: &Section<'_>, key: &str, emitters: &[Emitter]) {
    for (at, emitter) in emitters.iter().enumerate().filter(|_| s.sound(&[key])) {
        let same_name = emitters[..at].iter().position(|earlier| earlier.name == emitter.name);
        let same_gauges = emitters[..at].iter().position(|earlier| earlier.sink.clashes_on_a_port(&emitter.sink));
        if let Some(first) = same_name {
            let problem = format!("{} is the name of {key}[{first}] too", quoted(&emitter.name));
            s.fault_inside(key, Inner::Item(at), problem, "give each emitter a `name` of its own");
        } else if let Some(first) = same_gauges {
            let problem = format!("shows the same gauges at the same port as {key}[{first}], with other values");
            s.fault_inside(key, Inner::Item(at), problem, "give one of them another `port` or `prefix`");
        }
    }
}

impl Sink {
    /// Would the two show series of the same name at one port?
    fn clashes_on_a_port(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Prometheus { port: a, prefix: one, .. }, Self::Prometheus { port: b, prefix: another, .. }) => {
                a == b && one == another
            }
            _ => false,
        }
    }
}

/// Finds emitters that would write each other's files, over all tenants.
pub(super) fn tell_apart(s: &Section<'_>, tenants: &[Tenant]) {
    let mut seen: Vec<(&Tenant, &Path, &str)> = Vec::new();
    // Emitters that were refused already are not compared.
    let tenants = if s.sound(&["tenants"]) { tenants } else { &[] };
    for tenant in tenants {
        for emitter in tenant.ecosystem.emitters().iter().chain(tenant.ecosystem.topic_emitters()) {
            let Sink::Csv { output_dir, filename_template: template } = &emitter.sink else { continue };
            let clash = seen.iter().find(|(earlier, dir, other)| {
                let apart = earlier.tenant_id != tenant.tenant_id && template.contains("{tenant_id}");
                dir == output_dir && other == template && !apart
            });
            if let Some((earlier, ..)) = clash {
                let problem = format!(
                    "emitter {} writes the same files as one of {}: {template} in {}",
                    quoted(&emitter.name),
                    quoted(&earlier.name),
                    output_dir.display()
                );
                let remedy = "give one of them another `output_dir` or `filename_template`";
                s.fault_inside("tenants", Inner::Key(&tenant.name), problem, remedy);
            }
            seen.push((tenant, output_dir, template));
        }
    }
}
