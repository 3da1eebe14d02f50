//! Who caused which cost, as tables for a terminal.
//!
//! In: a tenant's chargeback rows and billed total from Postgres. Out: text, at most 100 columns wide. Absent:
//! arithmetic on rounded numbers; sums are exact and only their printing has two decimals.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use comfy_table::{Attribute, Cell, CellAlignment, Color, Table, TableComponent, presets};
use sqlx::{PgPool, Row as _};

use crate::domain::{Amount, Day};

/// One chargeback row, with the names of who and what.
#[derive(Debug, Clone)]
pub struct Row {
    pub day: Day,
    /// `identity`, `resource` or `unallocated`.
    pub target: String,
    pub identity_id: String,
    /// Known only if the inventory has such an identity.
    pub identity_name: Option<String>,
    pub identity_type: Option<String>,
    /// `usage` or `shared`.
    pub cost_type: String,
    pub resource_id: String,
    pub resource_name: Option<String>,
    pub resource_type: Option<String>,
    pub environment: Option<String>,
    pub product_type: String,
    pub detail: Option<String>,
    pub amount: Amount,
}

/// A tenant's rows, and the bill they must add up to.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub rows: Vec<Row>,
    pub billed: Amount,
    pub billing_lines: u64,
    pub currency: String,
}

const ROWS: &str = "
WITH who AS (SELECT DISTINCT ON (identity_id) identity_id, display_name, identity_type
             FROM identities WHERE tenant_id = $1 ORDER BY identity_id, day DESC),
     what AS (SELECT DISTINCT ON (resource_id) resource_id, display_name, resource_type
              FROM resources WHERE tenant_id = $1 ORDER BY resource_id, day DESC)
SELECT c.day, c.target, c.identity_id, who.display_name AS identity_name, who.identity_type, c.cost_type,
       c.resource_id, what.display_name AS resource_name, what.resource_type, env.display_name AS environment,
       c.product_type, c.allocation_detail AS detail, c.amount::text AS amount
FROM chargebacks c
LEFT JOIN who ON who.identity_id = c.identity_id AND c.target = 'identity'
LEFT JOIN what ON what.resource_id = c.resource_id
LEFT JOIN what env ON env.resource_id = c.env_id
WHERE c.tenant_id = $1
ORDER BY c.day";

const BILL: &str = "
SELECT coalesce(sum(amount), 0)::text AS amount, count(*) AS lines, coalesce(max(currency), 'USD') AS currency
FROM billing WHERE tenant_id = $1";

/// Reads a tenant's rows and bill from the views of the read model.
///
/// # Errors
/// If the database does not answer or its views are not the expected ones.
pub async fn read(pool: &PgPool, tenant_id: &str) -> Result<Facts, sqlx::Error> {
    let mut rows = Vec::new();
    for row in sqlx::query(ROWS).bind(tenant_id).fetch_all(pool).await? {
        rows.push(Row {
            day: Day::from(row.try_get::<chrono::NaiveDate, _>("day")?),
            target: row.try_get("target")?,
            identity_id: row.try_get("identity_id")?,
            identity_name: row.try_get("identity_name")?,
            identity_type: row.try_get("identity_type")?,
            cost_type: row.try_get("cost_type")?,
            resource_id: row.try_get("resource_id")?,
            resource_name: row.try_get("resource_name")?,
            resource_type: row.try_get("resource_type")?,
            environment: row.try_get("environment")?,
            product_type: row.try_get("product_type")?,
            detail: row.try_get("detail")?,
            amount: amount(row.try_get("amount")?)?,
        });
    }
    let bill = sqlx::query(BILL).bind(tenant_id).fetch_one(pool).await?;
    let lines: i64 = bill.try_get("lines")?;
    Ok(Facts {
        rows,
        billed: amount(bill.try_get("amount")?)?,
        billing_lines: lines.unsigned_abs(),
        currency: bill.try_get("currency")?,
    })
}

fn amount(text: &str) -> Result<Amount, sqlx::Error> {
    Amount::parse(text).map_err(|e| sqlx::Error::Decode(e.into()))
}

/// All tables, for people. `colour`: with terminal colours.
pub fn render(facts: &Facts, colour: bool) -> String {
    let style = Style { colour, total: facts.allocated(), days: facts.days() };
    let parts = [
        facts.title(),
        style.teams(facts),
        style.products(facts),
        style.clusters(facts),
        style.nobody(facts),
        facts.proof(),
    ];
    parts.join("\n")
}

impl Facts {
    /// What was allocated, in all.
    pub fn allocated(&self) -> Amount {
        self.rows.iter().map(|r| r.amount).sum()
    }

    /// First and last day; equal if there are no rows.
    fn days(&self) -> (Day, Day) {
        let days = || self.rows.iter().map(|r| r.day);
        let nothing = Day::from(chrono::NaiveDate::default());
        (days().min().unwrap_or(nothing), days().max().unwrap_or(nothing))
    }

    fn title(&self) -> String {
        let (first, last) = self.days();
        format!("\nAcme's Confluent Cloud bill, {first} to {last}: {} {}\n", money(self.billed), self.currency)
    }

    /// The law of the house: not a digit is lost.
    fn proof(&self) -> String {
        let (allocated, billed) = (self.allocated(), self.billed);
        let verdict = match allocated == billed {
            true => "equal to the last digit".to_owned(),
            false => format!("DIFFERENT by {}: please report this as a bug", billed - allocated),
        };
        let (rows, lines, currency) = (grouped(self.rows.len()), grouped(self.billing_lines), &self.currency);
        let (a, b) = (allocated.to_string(), billed.to_string());
        let width = a.len().max(b.len());
        format!(
            "Allocated {a:>width$} {currency} in {rows} chargeback rows\n\
             Billed    {b:>width$} {currency} on {lines} billing lines: {verdict}\n"
        )
    }
}

const PEOPLE: &str = "(people)";
const NOBODY: &str = "(nobody)";

impl Row {
    /// The team by the prefix of an account's name; users are people, and what has no known identity is nobody's.
    fn team(&self) -> String {
        match (&self.identity_name, self.identity_type.as_deref()) {
            (Some(_), Some("user")) => PEOPLE.to_owned(),
            (Some(name), _) => name.split(['-', '_', '.']).next().unwrap_or(name).to_owned(),
            (None, _) => NOBODY.to_owned(),
        }
    }

    fn resource(&self) -> &str {
        self.resource_name.as_deref().unwrap_or(&self.resource_id)
    }
}

/// What belongs to one line of a table.
#[derive(Debug, Clone, Default)]
struct Sums {
    used: Amount,
    shared: Amount,
    daily: BTreeMap<Day, Amount>,
}

impl Sums {
    fn total(&self) -> Amount {
        self.used + self.shared
    }

    fn add(&mut self, row: &Row) {
        *if row.cost_type == "usage" { &mut self.used } else { &mut self.shared } += row.amount;
        *self.daily.entry(row.day).or_default() += row.amount;
    }

    fn merge(mut self, other: &Self) -> Self {
        self.used += other.used;
        self.shared += other.shared;
        other.daily.iter().for_each(|(day, amount)| *self.daily.entry(*day).or_default() += *amount);
        self
    }
}

/// Sums by a key, the largest first; rows without a key are left out.
fn ranked<K: Hash + Ord + Clone>(facts: &Facts, key: impl Fn(&Row) -> Option<K>) -> Vec<(K, Sums)> {
    let mut sums: HashMap<K, Sums> = HashMap::new();
    for row in &facts.rows {
        if let Some(key) = key(row) {
            sums.entry(key).or_default().add(row);
        }
    }
    let mut ranked: Vec<_> = sums.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total().cmp(&a.1.total()).then_with(|| a.0.cmp(&b.0)));
    ranked
}

/// Teams by cost; people and nobody at the end.
fn by_team(facts: &Facts) -> Vec<(String, Sums)> {
    let mut teams = ranked(facts, |r| Some(r.team()));
    teams.sort_by_key(|(team, _)| [PEOPLE, NOBODY].iter().position(|t| t == team).map_or(0, |at| at + 1));
    teams
}

/// How tables look.
struct Style {
    colour: bool,
    total: Amount,
    days: (Day, Day),
}

const BAR: usize = 12;
const SPARK: usize = 30;

impl Style {
    fn table(&self, header: &[&str], right: &[usize]) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_style(TableComponent::HeaderLines, '─');
        table.set_style(TableComponent::MiddleHeaderIntersections, '─');
        table.set_header(header.iter().map(|text| Cell::new(text).fg(Color::DarkGrey)));
        for (at, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 1));
            if right.contains(&at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        if self.colour {
            table.enforce_styling()
        } else {
            table.force_no_tty()
        };
        table
    }

    fn print(&self, title: &str, table: &Table) -> String {
        let (bold, plain) = if self.colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        format!("{bold}{title}{plain}\n{}\n", table.trim_fmt())
    }

    /// Total, share, bar and days for each team, with what it used and what it shares in.
    fn teams(&self, facts: &Facts) -> String {
        let mut table = self.table(&["team", "used", "shared", "total", "share", "", "day by day"], &[1, 2, 3, 4]);
        self.fill(&mut table, &by_team(facts), usize::MAX, true);
        self.print("Who caused it", &table)
    }

    /// The same for each product type.
    fn products(&self, facts: &Facts) -> String {
        let mut table = self.table(&["product", "total", "share", "", "day by day"], &[1, 2]);
        self.fill(&mut table, &ranked(facts, |r| Some(r.product_type.clone())), 10, false);
        self.print("What it was for", &table)
    }

    /// A line for each key and the total; what is beyond `most` becomes one line.
    fn fill(&self, table: &mut Table, sums: &[(String, Sums)], most: usize, split: bool) {
        let largest = sums.iter().map(|(_, s)| s.total()).max().unwrap_or_default();
        let cut = if sums.len() > most.saturating_add(1) { most } else { sums.len() };
        let others = (sums.len() > cut).then(|| {
            let rest = sums[cut..].iter().fold(Sums::default(), |all, (_, s)| all.merge(s));
            (format!("{} others", sums.len() - cut), rest)
        });
        for (name, sums) in sums[..cut].iter().chain(&others) {
            table.add_row(self.line(name, sums, largest, split));
        }
        let all = sums.iter().fold(Sums::default(), |all, (_, s)| all.merge(s));
        let total = self.line("total", &all, Amount::ZERO, split);
        table.add_row(total.into_iter().map(|cell| cell.add_attribute(Attribute::Bold)));
    }

    fn line(&self, name: &str, sums: &Sums, largest: Amount, split: bool) -> Vec<Cell> {
        let parts = if split { vec![sums.used, sums.shared, sums.total()] } else { vec![sums.total()] };
        let mut cells = vec![Cell::new(name)];
        cells.extend(parts.into_iter().map(|amount| Cell::new(money(amount))));
        cells.extend([
            Cell::new(percent(sums.total(), self.total)),
            Cell::new(bar(ratio(sums.total(), largest))).fg(Color::Cyan),
            Cell::new(spark(&sums.daily, self.days)).fg(Color::DarkCyan),
        ]);
        cells
    }

    /// The Kafka clusters with everything billed on them, and the teams that caused it.
    fn clusters(&self, facts: &Facts) -> String {
        let on_cluster = |row: &Row| row.resource_type.as_deref() == Some("kafka_cluster");
        let place = |row: &Row| (row.resource_id.clone(), row.resource().to_owned(), row.environment.clone());
        let clusters = ranked(facts, |row| on_cluster(row).then(|| place(row)));
        let mut table = self.table(&["cluster", "environment", "total", "share", "because of"], &[2, 3]);
        for ((id, name, environment), sums) in clusters.iter().take(6) {
            let teams = ranked(facts, |row| (row.resource_id == *id).then(|| row.team()));
            let part = |(team, s): &(String, Sums)| format!("{team} {:.0} %", ratio(s.total(), sums.total()) * 100.0);
            let teams: Vec<String> = teams.iter().take(3).map(part).collect();
            table.add_row(vec![
                Cell::new(name),
                Cell::new(environment.as_deref().unwrap_or("")),
                Cell::new(money(sums.total())),
                Cell::new(percent(sums.total(), self.total)),
                Cell::new(teams.join(", ")),
            ]);
        }
        self.print("The largest clusters", &table)
    }

    /// Costs that no known identity answers for, and why.
    fn nobody(&self, facts: &Facts) -> String {
        let orphan = |row: &Row| row.team() == NOBODY;
        let why = |row: &Row| match row.target.as_str() {
            "identity" => format!("{} is not in the inventory", row.identity_id),
            _ => row.detail.clone().unwrap_or_else(|| row.target.clone()).replace('_', " "),
        };
        let key = |row: &Row| orphan(row).then(|| (row.product_type.clone(), row.resource().to_owned(), why(row)));
        let orphans = ranked(facts, key);
        let mut table = self.table(&["product", "on", "total", "why"], &[2]);
        for ((product, resource, why), sums) in &orphans {
            let cells = [product.clone(), resource.clone(), money(sums.total()), why.clone()];
            table.add_row(cells);
        }
        self.print("What nobody answers for", &table)
    }
}

/// Two decimals, thousands apart.
fn money(amount: Amount) -> String {
    let cents = (amount.units().unsigned_abs() + 500_000_000_000) / 1_000_000_000_000;
    let sign = if amount < Amount::ZERO && cents > 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", grouped(cents / 100), cents % 100)
}

fn grouped(n: impl ToString) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// For pictures and percentages only.
fn ratio(part: Amount, whole: Amount) -> f64 {
    if whole.is_zero() { 0.0 } else { part.units() as f64 / whole.units() as f64 }
}

fn percent(part: Amount, whole: Amount) -> String {
    format!("{:.1} %", ratio(part, whole) * 100.0)
}

/// A bar of eighths.
fn bar(share: f64) -> String {
    let eighths = (share.clamp(0.0, 1.0) * BAR as f64 * 8.0).round() as usize;
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    "█".repeat(eighths / 8) + rest
}

/// The days as columns of eight heights, the highest day full; long periods are put together.
fn spark(daily: &BTreeMap<Day, Amount>, (first, last): (Day, Day)) -> String {
    let days: Vec<Day> = first.until(last.plus(1)).collect();
    let of = |days: &[Day]| days.iter().filter_map(|d| daily.get(d)).copied().sum::<Amount>();
    let columns: Vec<Amount> = days.chunks(days.len().div_ceil(SPARK).max(1)).map(of).collect();
    let highest = columns.iter().max().copied().unwrap_or_default();
    let height = |column: &Amount| match (ratio(*column, highest) * 7.0).round() {
        _ if *column <= Amount::ZERO => ' ',
        height => ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][(height as usize).min(7)],
    };
    columns.iter().map(height).collect::<String>()
}

/// What the reader can do next.
#[derive(Debug, Clone)]
pub struct Further<'a> {
    /// The configuration file of the demo.
    pub config: &'a str,
    pub tenant: &'a str,
    /// Addresses, if the services stay up.
    pub database_url: Option<&'a str>,
    pub bootstrap_servers: Option<&'a str>,
    pub topic_prefix: &'a str,
}

/// Commands to look further.
pub fn further(f: &Further<'_>) -> String {
    let Further { config, tenant, topic_prefix, .. } = f;
    let mut lines = vec![
        "Look further".to_owned(),
        format!("  tributary export chargebacks --config {config} --tenant {tenant}"),
        format!("  tributary status --config {config}"),
    ];
    if let Some(url) = f.database_url {
        lines.push(format!("  psql '{url}' -c 'SELECT * FROM chargebacks ORDER BY amount DESC LIMIT 10'"));
    }
    if let Some(servers) = f.bootstrap_servers {
        lines.push(format!(
            "  kcat -b {servers} -t {topic_prefix}chargebacks -X isolation.level=read_committed -f '%k\\n'"
        ));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(day: &str, who: Option<(&str, &str)>, cost_type: &str, amount: &str) -> Row {
        Row {
            day: day.parse().unwrap(),
            target: if who.is_some() { "identity" } else { "resource" }.into(),
            identity_id: who.map_or("lkc-1".into(), |(name, _)| format!("id-{name}")),
            identity_name: who.map(|(name, _)| name.to_owned()),
            identity_type: who.map(|(_, kind)| kind.to_owned()),
            cost_type: cost_type.into(),
            resource_id: "lkc-1".into(),
            resource_name: Some("orders".into()),
            resource_type: Some("kafka_cluster".into()),
            environment: Some("prod".into()),
            product_type: "KAFKA_STORAGE".into(),
            detail: Some("cluster_linking_cost".into()),
            amount: Amount::parse(amount).unwrap(),
        }
    }

    fn facts() -> Facts {
        let account = |name| Some((name, "service_account"));
        let rows = vec![
            row("2026-01-01", account("checkout-cart"), "usage", "1000.10000000000001"),
            row("2026-01-02", account("checkout-orders"), "shared", "500.25"),
            row("2026-01-02", account("fraud-rules"), "usage", "250"),
            row("2026-01-02", Some(("Ada Nwosu", "user")), "usage", "0.004"),
            row("2026-01-03", None, "shared", "-30"),
        ];
        let billed = rows.iter().map(|r| r.amount).sum();
        Facts { rows, billed, billing_lines: 3, currency: "USD".into() }
    }

    #[test]
    fn teams_add_up_to_the_bill_to_the_last_digit() {
        let facts = facts();
        let teams = by_team(&facts);
        assert_eq!(teams.iter().map(|(_, s)| s.total()).sum::<Amount>(), facts.billed);
        assert_eq!(teams.iter().map(|(t, _)| t.as_str()).collect::<Vec<_>>(), ["checkout", "fraud", PEOPLE, NOBODY]);
        let text = render(&facts, false);
        assert!(
            text.contains("Billed    1720.35400000000001 USD on 3 billing lines: equal to the last digit"),
            "{text}"
        );
    }

    #[test]
    fn a_difference_is_said_aloud() {
        let text = render(&Facts { billed: Amount::whole(1), ..facts() }, false);
        assert!(text.contains("DIFFERENT by -1719.35400000000001"), "{text}");
    }

    #[test]
    fn fits_a_hundred_columns_and_has_no_colours_unless_asked() {
        let text = render(&facts(), false);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(!text.contains('\x1b'));
        assert!(render(&facts(), true).contains('\x1b'));
        render(&Facts::default(), false);
    }

    #[test]
    fn money_is_rounded_only_for_the_eye() {
        let texts = ["0", "1234567.895", "-0.004", "-1000.5", "999.994"];
        let shown = texts.map(|t| money(Amount::parse(t).unwrap()));
        assert_eq!(shown, ["0.00", "1,234,567.90", "0.00", "-1,000.50", "999.99"]);
    }

    #[test]
    fn bars_and_days_are_drawn_in_eighths() {
        assert_eq!(bar(1.0), "█".repeat(BAR));
        assert_eq!(bar(0.5 / BAR as f64), "▌");
        assert_eq!(bar(-1.0), "");
        let facts = facts();
        assert_eq!(spark(&by_team(&facts)[0].1.daily, facts.days()), "█▅ ");
    }
}
