//! What the book says of the tables and shows of the API, held against both.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::harness::{Installation, Running, Upstream, World, free_port, succeed};

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

/// The shell that the pages are run in: `curl` sends the token and remembers the id and the position of the last answer;
/// an export's file is asked for when it is ready. Tokens are known when the tables have them.
const SHELL: &str = r#"
curl() {
  # A file is fetched with -f, which leaves nothing where there is none, and which excludes the other.
  local fail=--fail-with-body; case $1 in -sf) fail=; ready;; esac
  command curl $fail --silent --max-time 60 -D head -H "Authorization: Bearer $TOKEN" "$@" > last || { cat last >&2; return 1; }
  id=$(grep -o '"id": *"[^"]*"' last | head -n 1 | cut -d'"' -f4); [ -z "$id" ] || ID=$id
  position=$(sed -n 's/^x-event-position: *//Ip' head | tr -d '\r'); [ -z "$position" ] || POSITION=$position
  cat last
}
ready() {
  for _ in $(seq 300); do
    command curl -s -H "Authorization: Bearer $TOKEN" "$EXPORTS/$ID" | grep -q '"state": *"ready"' && return; sleep 0.2
  done
  echo 'no file' >&2; return 1
}
tributary() { "$TRIBUTARY" "$@"; }
for token in $TOKENS; do
  for _ in $(seq 300); do
    command curl -sf -o whoami -H "Authorization: Bearer $token" "$WHOAMI" && break; sleep 0.2
  done
done
set -e
"#;

#[test]
fn the_requests_of_the_book_are_answered() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let installation = Installation::new("book_api");
    let upstream = Upstream::start(&world, &[]);
    let config = world.config(&installation, &upstream.url);
    succeed(&mut installation.once(&config, &world.runs[0]));
    let (port, folder) = (free_port(), installation.dir.path());
    let exports = folder.join("exports").display().to_string();
    let text = fs::read_to_string(&config).expect("the configuration");
    fs::write(&config, format!("{text}api: {{port: {port}, exports: {{directory: {exports}}}}}\n")).expect("written");
    let mut service = installation.service(&config, "gather,allocate,project,api", "service");
    service.args(["--now", &world.runs[0]]);
    let mut service = Running::start(&mut service, folder, "service");
    service.until("the API listens", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
    let token = |name: &str| {
        let mut command = installation.tributary();
        command.args(["token", "create", "--name", name, "--scope", "admin", "--config"]).arg(&config);
        let said = String::from_utf8_lossy(&succeed(&mut command).stdout).into_owned();
        said.lines().find(|line| line.starts_with("trib_")).expect("a token").to_owned()
    };
    // The secret may have the sign in it, too.
    let id = |token: &str| token.splitn(3, '_').take(2).collect::<Vec<_>>().join("_");
    let (mine, first, second) = (token("mine"), token("first"), token("second"));

    let mut asked = 0;
    for name in ["api.md", "api-access.md"] {
        let blocks: Vec<String> = page(name)
            .split("```sh\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .filter(|block| block.contains("curl ") || block.contains("tributary token"))
            .map(str::to_owned)
            .collect();
        let script = blocks.concat().replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"));
        let script = script.replace("tributary.yaml", &config.display().to_string()).replace("acme", &world.name);
        let script = script.replacen("trib_7f3ac2d19b04", &id(&first), 1).replace("trib_7f3ac2d19b04", &id(&second));
        let mut shell = Command::new("bash");
        shell.current_dir(folder).env("TOKEN", &mine).env("TRIBUTARY", env!("CARGO_BIN_EXE_tributary"));
        shell.env("KAFKA_BOOTSTRAP_SERVERS", &installation.kafka).env("DATABASE_URL", &installation.database_url);
        shell.env("WHOAMI", format!("http://127.0.0.1:{port}/api/v1/whoami"));
        // Those of the first page that are taken back on the second one let nobody in any more.
        shell.env("TOKENS", if asked == 0 { format!("{mine} {first} {second}") } else { mine.clone() });
        shell.env("EXPORTS", format!("http://127.0.0.1:{port}/api/v1/tenants/{}/exports", world.name));
        let output = shell.args(["-c", &format!("{SHELL}{script}")]).output().expect("bash");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name}: {err}\n--\n{script}\n--\n{out}");
        asked += script.matches("curl ").count();
    }
    assert!(asked > 15, "{asked} requests");
    service.stop();
}
