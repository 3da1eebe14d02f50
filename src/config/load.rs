//! From a file and the environment to a [`Config`].

use std::collections::BTreeMap;
use std::path::Path;

use super::dotenv::{self, Dotenv};
use super::fault::{Fault, Faults, Warning};
use super::reader::Reader;
use super::section::describe;
use super::{Config, read, yaml};

/// A configuration and what in it has no effect.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Warning>,
}

/// Reads a configuration file. Variables come from the process, then from `env_file`, or from `.env`
/// beside the file if none is named.
pub fn load(path: &Path, env_file: Option<&Path>) -> Result<Loaded, Faults> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error.to_string()))?;
    let beside = path.with_file_name(".env");
    let env_path = env_file.unwrap_or(&beside);
    let (dotenv, mut warnings) = dotenv_file(env_path, env_file.is_some())?;
    let env = |name: &str| process(name).or_else(|| dotenv.get(name).cloned()).or_else(|| host(name));
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut loaded = parse_in(&text, &env, folder).map_err(|faults| faults.of_file(path))?;
    warnings.append(&mut loaded.warnings);
    Ok(Loaded { warnings, ..loaded })
}

/// Reads a configuration from its text. `env` looks variables up; its `HOSTNAME` names the instance. Files that it
/// names are read too.
pub fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Faults> {
    parse_in(text, env, Path::new(""))
}

/// As [`parse`]; paths of files to be read count from `folder`.
fn parse_in(text: &str, env: &dyn Fn(&str) -> Option<String>, folder: &Path) -> Result<Loaded, Faults> {
    let (root, faults) = yaml::parse(text)?;
    let reader = Reader::new(env, folder, faults);
    let config = reader.root(root.as_ref(), read::config);
    let (faults, mut warnings) = reader.finish();
    warnings.sort_by_key(|warning| warning.line);
    match Faults::of(faults) {
        Some(faults) => Err(faults),
        None => Ok(Loaded { config, warnings }),
    }
}

/// The JSON Schema (draft 2020-12) of a configuration file.
pub fn schema() -> serde_json::Value {
    let (_, mut schema) = describe(read::config);
    schema["patternProperties"] = serde_json::json!({"^x-": {"description": "free, for YAML anchors"}});
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Configuration of Tributary".into();
    schema
}

fn process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Not every shell exports the host's name.
fn host(name: &str) -> Option<String> {
    let known = (name == "HOSTNAME").then(nix::unistd::gethostname)?.ok()?;
    known.into_string().ok()
}

type Variables = BTreeMap<String, String>;

fn dotenv_file(path: &Path, named: bool) -> Result<(Variables, Vec<Warning>), Faults> {
    let warning = |line, message: &str| Warning { path: path.display().to_string(), line, message: message.into() };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let absent = "is not there; variables come from the process alone";
            return Ok((Variables::new(), if named { vec![warning(None, absent)] } else { vec![] }));
        }
        Err(error) => return Err(unreadable(path, &error.to_string())),
    };
    let Dotenv { values, unreadable } = dotenv::parse(&text, &process);
    let lines = unreadable.into_iter().map(|line| warning(Some(line), "this line is no `NAME=value` and was skipped"));
    Ok((values, lines.collect()))
}

fn unreadable(path: &Path, error: &str) -> Faults {
    let (problem, remedy) = (format!("cannot be read: {error}"), "check the path and its permissions".into());
    Fault { path: path.display().to_string(), line: None, problem, remedy }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_from_the_process_first_then_from_the_file_named_or_beside() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let yaml = write("t.yaml", "instance: ${TRIBUTARY_TEST_INSTANCE:-none}\ndata_dir: ${PATH}\n");
        let read = |env_file: Option<&Path>| load(&yaml, env_file).expect("good");
        assert_eq!(read(None).config.instance, "none");
        write(".env", "TRIBUTARY_TEST_INSTANCE=beside\nPATH=dotenv\n");
        let beside = read(None).config;
        assert_eq!(beside.instance, "beside");
        assert_ne!(beside.data_dir.as_deref(), Some(Path::new("dotenv")));
        let named = write("other.env", "TRIBUTARY_TEST_INSTANCE=named\n");
        assert_eq!(read(Some(&named)).config.instance, "named");
        let absent = read(Some(&folder.path().join("absent.env")));
        assert_eq!((absent.config.instance.as_str(), absent.warnings.len()), ("none", 1));
    }

    #[test]
    fn a_syntax_fault_names_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.yaml");
        std::fs::write(&path, "tenants: [\n").expect("written");
        let faults = load(&path, None).expect_err("broken").to_string();
        assert!(faults.starts_with(&format!("error: {} (line ", path.display())), "{faults}");
    }
}
