//! The tables.

use std::collections::BTreeMap;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, TableComponent, presets};

use super::draw::{bar, grouped, money, percent, ratio, spark};
use super::sums::{NOBODY, Sums, by_team, ranked};
use super::{Facts, Row};
use crate::domain::{Amount, Day};

/// All tables that have anything to tell, for people. `colour`: with terminal colours.
pub fn render(facts: &Facts, colour: bool) -> String {
    let style = Style { colour, total: facts.allocated(), days: facts.days() };
    let parts = [
        facts.title(),
        style.teams(facts),
        style.products(facts),
        style.clusters(facts),
        style.topics(facts),
        style.nobody(facts),
        facts.proof(),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

impl Facts {
    fn title(&self) -> String {
        let (first, last) = self.days();
        format!("\n{}, {first} to {last}: {} {}\n", self.title, money(self.billed), self.currency)
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

/// Name of a topic, its cluster and its environment.
type TopicPlace<'a> = (&'a str, &'a str, Option<&'a str>);

/// Columns of a table at most; longer texts are wrapped.
const WIDTH: u16 = 100;

/// How tables look.
struct Style {
    colour: bool,
    total: Amount,
    days: (Day, Day),
}

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
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
        if self.colour {
            table.enforce_styling()
        } else {
            table.force_no_tty()
        };
        table
    }

    fn print(&self, title: &str, table: &Table) -> String {
        if table.is_empty() {
            return String::new();
        }
        let (bold, plain) = if self.colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        format!("{bold}{title}{plain}\n{}\n", table.trim_fmt())
    }

    /// Total, share, bar and days for each team, with what it used and what it shares in.
    fn teams(&self, facts: &Facts) -> String {
        let mut table =
            self.table(&["team", "used", "shared", "total", "share", "", "day by day, low to high"], &[1, 2, 3, 4]);
        self.fill(&mut table, &by_team(facts), usize::MAX, true);
        self.print("Who caused it", &table)
    }

    /// The same for each product type.
    fn products(&self, facts: &Facts) -> String {
        let mut table = self.table(&["product", "total", "share", "", "day by day, low to high"], &[1, 2]);
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

    /// The topics that cost the most, with what it was for.
    fn topics(&self, facts: &Facts) -> String {
        let mut costs: BTreeMap<TopicPlace<'_>, Vec<(Amount, &str)>> = BTreeMap::new();
        for cost in &facts.topics {
            let place = (cost.topic.as_str(), cost.cluster.as_str(), cost.environment.as_deref());
            costs.entry(place).or_default().push((cost.amount, &cost.product_type));
        }
        let total = |parts: &[(Amount, &str)]| parts.iter().map(|(amount, _)| *amount).sum::<Amount>();
        let mut costs: Vec<_> = costs.into_iter().map(|(place, parts)| (total(&parts), place, parts)).collect();
        costs.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut table = self.table(&["topic", "cluster", "environment", "total", "share", "mostly for"], &[3, 4]);
        for (total, (topic, cluster, environment), mut parts) in costs.into_iter().take(8) {
            parts.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
            let part = |(amount, product): &(Amount, &str)| format!("{product} {:.0} %", ratio(*amount, total) * 100.0);
            table.add_row(vec![
                Cell::new(topic),
                Cell::new(cluster),
                Cell::new(environment.unwrap_or("")),
                Cell::new(money(total)),
                Cell::new(percent(total, self.total)),
                Cell::new(parts.iter().take(1).map(part).collect::<String>()),
            ]);
        }
        self.print("The most expensive topics", &table)
    }

    /// Costs that no known identity answers for, and why.
    fn nobody(&self, facts: &Facts) -> String {
        let key = |row: &Row| (row.team() == NOBODY).then(|| (row.resource().to_owned(), row.why()));
        let mut table = self.table(&["on", "total", "for", "why"], &[1]);
        for ((resource, why), sums) in ranked(facts, key).iter().take(10) {
            let products =
                ranked(facts, |row| (key(row)? == (resource.clone(), why.clone())).then_some(&row.product_type));
            let first = products.first().map_or("", |(product, _)| product.as_str());
            let more = if products.len() > 1 { format!(" +{}", products.len() - 1) } else { String::new() };
            table.add_row([resource.clone(), money(sums.total()), format!("{first}{more}"), why.clone()]);
        }
        self.print("What nobody answers for", &table)
    }
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
        format!("  tributary export topic-attributions --config {config} --tenant {tenant}"),
        format!("  tributary status --config {config}"),
    ];
    if let Some(url) = f.database_url {
        lines.push(format!("  psql '{url}' -c 'SELECT * FROM chargebacks ORDER BY amount DESC LIMIT 10'"));
    }
    if let Some(servers) = f.bootstrap_servers {
        let wanted = "-X isolation.level=read_committed -f '%k %S bytes\\n'";
        lines.push(format!("  kcat -b {servers} -t {topic_prefix}chargebacks {wanted}"));
    }
    if f.database_url.is_none() && f.bootstrap_servers.is_none() {
        lines.push(
            "  tributary demo --stay    keeps Kafka, Postgres and the made-up APIs up for psql and kcat".to_owned(),
        );
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::report::TopicCost;
    use crate::demo::report::sums::PEOPLE;

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
        let topic = |topic: &str, product_type: &str, amount: &str| TopicCost {
            topic: topic.into(),
            cluster: "orders".into(),
            environment: Some("prod".into()),
            product_type: product_type.into(),
            amount: Amount::parse(amount).unwrap(),
        };
        let topics = vec![
            topic("placed", "KAFKA_BASE", "10"),
            topic("placed", "KAFKA_STORAGE", "30"),
            topic("returned", "KAFKA_STORAGE", "41"),
        ];
        Facts { title: "The bill", rows, topics, billed, billing_lines: 3, currency: "USD".into() }
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
    fn the_most_expensive_topic_comes_first_with_what_it_was_for() {
        let text = render(&facts(), false);
        let (returned, placed) = (text.find("returned").unwrap(), text.find("placed").unwrap());
        assert!(returned < placed && text[placed..].contains("KAFKA_STORAGE 75 %"), "{text}");
    }

    #[test]
    fn commands_name_what_is_there_to_be_asked() {
        let gone = Further {
            config: "demo.yaml",
            tenant: "acme",
            database_url: None,
            bootstrap_servers: None,
            topic_prefix: "t.",
        };
        assert!(further(&gone).contains("--stay") && !further(&gone).contains("psql '"));
        let up = Further { database_url: Some("postgres://x/y"), bootstrap_servers: Some("127.0.0.1:9"), ..gone };
        assert!(
            further(&up).contains("psql 'postgres://x/y'") && further(&up).contains("-b 127.0.0.1:9 -t t.chargebacks")
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
        let mut long = facts();
        long.rows[4].detail = Some("a_reason_of_many_words ".repeat(9));
        long.rows[4].resource_name = Some("a-resource-of-a-very-long-name-".repeat(4));
        assert!(render(&long, false).lines().all(|line| line.chars().count() <= 100));
    }
}
