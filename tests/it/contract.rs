//! The running API held against its own OpenAPI document by a program of others, with a token and without.

use std::net::TcpStream;
use std::process::Command;

use crate::harness::{Installation, Running, free_port, request, succeed, until};

const TENANTS: &str = "\
tenants:
  one: {ecosystem: external, tenant_id: t-1, plugin_settings: {allocator_overrides: {otherwise: unallocated}}}
";

/// What must hold of every answer, whatever is asked.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Schemathesis makes requests up from the document: good ones, bad ones, and the borders between. Whatever it finds is
/// found again by the same seed.
#[test]
fn whatever_is_asked_the_answer_is_one_of_the_document() {
    let installation = Installation::new("contract");
    let port = free_port();
    let folder = installation.dir.path().join("exports").display().to_string();
    let text = format!("{TENANTS}api: {{port: {port}, exports: {{directory: {folder}}}}}\n");
    let config = installation.write_config(&text);
    let mut command = installation.service(&config, "project,api", "contract");
    let mut running = Running::start(&mut command, installation.dir.path(), "contract");
    running.until("the first token is printed", |running| running.said().contains("shown once: "));
    running.until("the API listens", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
    let said = running.said();
    let line = said.lines().find(|line| line.contains("shown once: ")).expect("the token's line");
    let token = line.rsplit_once(' ').expect("a token at the end").1;
    let authorization = format!("Authorization: Bearer {token}");
    until("the token is in the tables", || request(port, "GET", "/api/v1/whoami", &[&authorization], "").status == 200);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/python-env.sh");
    let made = succeed(Command::new("bash").arg(script).arg("contract"));
    let python = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    // All of them are about a tenant that is there; those that are not have a test of their own.
    let settings = "[parameters]\n\"path.tenant\" = \"one\"\n";
    std::fs::write(installation.dir.path().join("schemathesis.toml"), settings).expect("written");
    let asked = |phases: &str, examples: &str, header: Option<&str>| {
        let mut command = Command::new(&python);
        command.args(["-m", "schemathesis.cli", "run"]).arg(format!("http://127.0.0.1:{port}/api/v1/openapi.json"));
        command.args(["--checks", CHECKS, "--phases", phases, "--max-examples", examples, "--seed", "1", "--no-color"]);
        // It would take back the very token it asks with.
        command.args(["--exclude-path", "/api/v1/tokens/{id}"]);
        command.args(header.into_iter().flat_map(|line| ["-H", line])).current_dir(installation.dir.path());
        let out = succeed(&mut command);
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let with = asked("examples,coverage,fuzzing", "10", Some(&authorization));
    assert!(with.contains("passed"), "{with}");
    let without = asked("coverage", "1", None);
    assert!(without.contains("passed"), "{without}");
    assert_eq!(request(port, "GET", "/api/v1/whoami", &[&authorization], "").status, 200, "it asked with a token");
    assert!(!running.said().contains("\"ERROR\""), "{}", running.said());
}
