//! `tributary config check` and `tributary config schema`.
//!
//! In: a configuration file. Out: a sentence, or every fault. Absent: Kafka, Postgres, vendors.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::config::{self, Config};

/// Reads a configuration and says whether it is valid: what it holds on `out`, warnings and faults on
/// `err`. With `show` the settings that hold follow as YAML, secrets masked. The exit code is 0 or 1.
pub fn check(
    file: &Path,
    env_file: Option<&Path>,
    show: bool,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<ExitCode> {
    let loaded = match config::load(file, env_file) {
        Ok(loaded) => loaded,
        Err(faults) => {
            let count = faults.iter().count();
            let noun = if count == 1 { "fault" } else { "faults" };
            writeln!(err, "{faults}\n{} is not valid: {count} {noun}", file.display())?;
            return Ok(ExitCode::FAILURE);
        }
    };
    for warning in &loaded.warnings {
        writeln!(err, "{warning}")?;
    }
    // A remark, so that what follows stays YAML.
    let mark = if show { "# " } else { "" };
    writeln!(out, "{mark}{} is valid: {}", file.display(), tenants(&loaded.config))?;
    if show {
        write!(out, "{}", config::show(&loaded.config))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the JSON Schema of configuration files, or as `markdown` the page of the book that is made from it.
pub fn schema(markdown: bool, out: &mut impl Write) -> io::Result<()> {
    match markdown {
        true => write!(out, "{}", config::reference(&config::schema())),
        false => writeln!(out, "{:#}", config::schema()),
    }
}

fn tenants(config: &Config) -> String {
    let named = config.tenants.iter().map(|tenant| format!("{}: {}", tenant.name, tenant.ecosystem.name()));
    match named.collect::<Vec<_>>().as_slice() {
        [] => "no tenants yet".to_owned(),
        [one] => format!("1 tenant ({one})"),
        many => format!("{} tenants ({})", many.len(), many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exit code is 0?, what goes to `out`, what goes to `err`, for these files in a folder of their own.
    fn checked(yaml: &str, dotenv: &str, show: bool) -> (bool, String, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("t.yaml");
        std::fs::write(&file, yaml).expect("written");
        std::fs::write(folder.path().join(".env"), dotenv).expect("written");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = check(&file, None, show, &mut out, &mut err).expect("printed");
        let text =
            |bytes| String::from_utf8(bytes).expect("text").replace(&format!("{}/", folder.path().display()), "");
        (code == ExitCode::SUCCESS, text(out), text(err))
    }

    const TENANT: &str = "tenants:\n  a:\n    ecosystem: confluent_cloud\n    tenant_id: t\n    storage: {}\n    \
                          plugin_settings: {ccloud_api: {key: '${TRIBUTARY_TEST_KEY}', secret: hush}}\n";

    #[test]
    fn a_valid_file_is_summed_up_with_its_warnings() {
        let (valid, out, err) = checked(TENANT, "TRIBUTARY_TEST_KEY=from-dotenv\nnonsense\n", false);
        assert!(valid);
        assert_eq!(out, "t.yaml is valid: 1 tenant (a: confluent_cloud)\n");
        assert!(err.contains("warning: .env (line 2): this line is no `NAME=value`"), "{err}");
        assert!(err.contains("warning: tenants.a.storage (line 5): has no effect"), "{err}");
    }

    #[test]
    fn what_holds_can_be_shown_without_secrets() {
        let (valid, out, _) = checked(TENANT, "TRIBUTARY_TEST_KEY=from-dotenv", true);
        assert!(valid && out.starts_with("# t.yaml is valid"), "{out}");
        assert!(
            out.contains("key: \"from-dotenv\"") && out.contains("secret: \"***\"") && !out.contains("hush"),
            "{out}"
        );
    }

    #[test]
    fn faults_are_told_and_counted() {
        let (valid, out, err) = checked(TENANT, "", false);
        assert!(!valid && out.is_empty());
        assert!(err.contains("the variable `TRIBUTARY_TEST_KEY` is not set"), "{err}");
        assert!(err.ends_with("t.yaml is not valid: 1 fault\n"), "{err}");
    }

    #[test]
    fn a_file_that_is_not_there_is_a_fault_too() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = check(Path::new("/nowhere/t.yaml"), None, false, &mut out, &mut err).expect("printed");
        assert_eq!(code, ExitCode::FAILURE);
        let err = String::from_utf8_lossy(&err);
        assert!(err.starts_with("error: /nowhere/t.yaml: cannot be read: No such file"), "{err}");
    }
}
