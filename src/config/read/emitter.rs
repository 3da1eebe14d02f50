//! Where results are written to besides the tables: checked and kept for the version that emits.

use super::super::address::FilePath;
use super::super::number::Int;
use super::super::scalar::{Choice, quoted};
use super::super::section::{Inner, Section};
use super::super::text::Text;
use super::super::{Emitter, Granularity, Sink, suggest};

pub(super) const GRANULARITIES: Choice<Granularity> =
    Choice(&[("hourly", Granularity::Hourly), ("daily", Granularity::Daily), ("monthly", Granularity::Monthly)]);

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
    let sink = s.section("params", |s| params(s, kind, known, defaults), "settings of the type");
    let type_name = if kind == Type::Csv { "csv" } else { "prometheus" };
    Emitter {
        name: name.filter(|name| !name.is_empty()).unwrap_or_else(|| type_name.into()),
        aggregation: s.optional("aggregation", GRANULARITIES, "sum rows up to this; default: rows as they are"),
        lookback_days: s.optional("lookback_days", Int(0..=u32::MAX), "only days that are this young"),
        sink,
    }
}

fn params(s: &mut Section<'_>, kind: Type, known: bool, defaults: &CsvDefaults) -> Sink {
    let output_dir = s.optional("output_dir", FilePath, "csv: folder of the files");
    let template = s.optional("filename_template", Text, "csv: name of a file, with {tenant_id} and {date}");
    let port = s.optional("port", Int(1..=65535), "prometheus: port to listen on; default 8000");
    let foreign: &[&str] = match kind {
        _ if !known => &[],
        Type::Csv => &["port"],
        Type::Prometheus => &["output_dir", "filename_template"],
    };
    for key in foreign.iter().filter(|key| s.has(key)) {
        s.fault(key, "does not belong to this type of emitter", "remove it, or change the type");
    }
    if kind == Type::Prometheus {
        return Sink::Prometheus { port: port.unwrap_or(8000) };
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
    for field in template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(field, _)| field) {
        if !FIELDS.contains(&field) {
            let remedy = match suggest::nearest(field, &FIELDS) {
                Some(known) => format!("did you mean `{{{known}}}`?"),
                None => "use {tenant_id} and {date}".into(),
            };
            s.fault("filename_template", format!("{} names {{{field}}}, which is not known", quoted(template)), remedy);
        }
    }
}

/// Compares the emitters of one list with each other and with what they are fed.
pub(super) fn compare(s: &Section<'_>, key: &str, emitters: &[Emitter], finest: Granularity) {
    for (at, emitter) in emitters.iter().enumerate().filter(|_| s.sound(&[key])) {
        if let Some(first) = emitters[..at].iter().position(|earlier| earlier.name == emitter.name) {
            let problem = format!("{} is the name of {key}[{first}] too", quoted(&emitter.name));
            s.fault_inside(key, Inner::Item(at), problem, "give each emitter a `name` of its own");
        }
        if emitter.aggregation.is_some_and(|asked| asked < finest) {
            let shown = |granularity| match granularity {
                Granularity::Hourly => "hourly",
                Granularity::Daily => "daily",
                Granularity::Monthly => "monthly",
            };
            let asked = emitter.aggregation.map_or("", shown);
            let problem =
                format!("aggregation `{asked}` is finer than `chargeback_granularity`, which is `{}`", shown(finest));
            s.fault_inside(key, Inner::Item(at), problem, format!("write `{}` or coarser", shown(finest)));
        }
    }
}
