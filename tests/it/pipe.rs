//! What commands print goes to whoever reads it, for as long as somebody does.

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

/// A configuration that is sound, and everything that it needs.
fn with_config(arguments: &[&str]) -> (tempfile::TempDir, Command) {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "tenants: {x: {ecosystem: external, tenant_id: x, plugin_settings: {rules_of: confluent_cloud}}}\n";
    std::fs::write(folder.path().join("tributary.yaml"), text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.args(arguments).current_dir(folder.path()).env_remove("RUST_LOG");
    (folder, command)
}

const COMMANDS: [&[&str]; 7] = [
    &["config", "schema"],
    &["config", "schema", "--markdown"],
    &["config", "check", "--show", "tributary.yaml"],
    &["rules", "show", "--tenant", "x", "--config", "tributary.yaml"],
    &["schema", "list"],
    &["schema", "show", "billing-line"],
    &["topology", "check"],
];

/// What the command says to a standard output that is not read.
fn output(arguments: &[&str], stdout: Stdio) -> Output {
    let (_folder, mut command) = with_config(arguments);
    command.stdout(stdout).stderr(Stdio::piped()).output().expect("it runs")
}

#[test]
fn a_command_whose_reader_goes_away_ends_without_a_word() {
    for arguments in COMMANDS {
        let whole = output(arguments, Stdio::piped());
        assert!(whole.status.success() && !whole.stdout.is_empty(), "{arguments:?}: {whole:?}");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let cut = output(arguments, writer.into());
        assert!(cut.status.success(), "{arguments:?}: {cut:?}");
        assert_eq!(cut.stderr, whole.stderr, "{arguments:?}: {cut:?}");
    }
}

#[test]
fn a_disk_that_is_full_is_an_error() {
    for arguments in COMMANDS {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("a device that is always full");
        let failed = output(arguments, full.into());
        let said = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert!(!failed.status.success() && said.contains("No space left"), "{arguments:?}: {failed:?}");
    }
}
