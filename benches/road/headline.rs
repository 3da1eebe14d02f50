//! Headline figures against what is asked for, as a table and for the file of results.

use std::path::PathBuf;

use anyhow::Result;
use comfy_table::Table;
use serde_json::{Value, json};

/// A headline figure, where it lies among the results, and what is asked for.
pub struct Headline {
    pub key: &'static str,
    pub at: &'static str,
    pub unit: &'static str,
    pub asked: Asked,
}

pub enum Asked {
    AtLeast(f64),
    AtMost(f64),
}

/// Prints the headlines and puts them into the report. A figure that was not measured is null.
pub fn tell(headlines: &[Headline], cases: &Value, report: &mut Value) {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["figure", "measured", "asked for", ""]);
    report["units"] = json!({});
    for Headline { key, at, unit, asked } in headlines {
        let value = cases.pointer(at).and_then(Value::as_f64);
        let (asked, met) = match asked {
            Asked::AtLeast(least) => (format!("at least {least}"), value.map(|value| value >= *least)),
            Asked::AtMost(most) => (format!("at most {most}"), value.map(|value| value <= *most)),
        };
        let met = met.map_or("not measured", |met| if met { "met" } else { "MISSED" });
        table.add_row([(*key).to_owned(), value.map_or_else(String::new, short), asked, met.to_owned()]);
        report[*key] = value.into();
        report["units"][*key] = (*unit).into();
    }
    report["cases"] = cases.clone();
    println!("{table}");
}

/// The file that all benchmarks write their part of.
fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/results/latest.json")
}

/// What the file says so far, nothing where there is none.
pub fn known() -> Value {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_else(|_| json!({}))
}

/// Writes the file anew.
pub fn save(all: &Value) -> Result<()> {
    let file = file();
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(file, serde_json::to_string_pretty(all)? + "\n")?)
}

fn short(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
