//! What the book says of the tables, held against the tables.

use std::fs;
use std::path::Path;

use crate::harness::{Installation, Upstream, World, succeed};

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src").join(name)).expect("the page")
}

#[test]
fn the_book_names_every_column_and_its_queries_answer() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let installation = Installation::new("book");
    let upstream = Upstream::start(&world, &[]);
    let config = world.config(&installation, &upstream.url);
    succeed(&mut installation.once(&config, &world.runs[0]));

    let tables = page("tables.md");
    let views = "('billing', 'resources', 'identities', 'chargebacks', 'topic_attributions', 'day_topic_attributions', \
                 'days', 'runs', 'emissions', 'quarantine')";
    let columns = installation.sql(&format!(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name IN {views}"
    ));
    assert!(columns.lines().count() > 100, "{columns}");
    for line in columns.lines() {
        let (table, column) = line.split_once('|').expect("two columns");
        assert!(tables.contains(&format!("`{column}`")), "tables.md does not name {table}.{column}");
    }

    let mut asked = 0;
    for name in ["tables.md", "emitters.md", "topic-attribution.md"] {
        for query in page(name).split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let query = query.replace("$__timeFilter(day::timestamptz)", "true").replace("'acme'", "tenant_id");
            let query = query.trim_end().trim_end_matches(';');
            // The answer is counted: a query that cannot be run ends the test.
            let rows = installation.sql(&format!("SELECT count(*) FROM ({query}) AS answer"));
            assert!(rows.parse::<u32>().is_ok(), "{name}: {query}");
            asked += 1;
        }
    }
    assert!(asked > 4, "{asked} queries");
    let equal =
        tables.split("```sql\n").find(|query| query.contains("AS equal")).and_then(|rest| rest.split("```").next());
    let equal = equal.expect("the query of sums").replace("'acme'", "tenant_id");
    assert!(installation.sql(&equal).lines().all(|line| line.ends_with("|t")), "all days add up");
}
