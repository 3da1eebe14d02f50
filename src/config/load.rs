//! From a file and the environment to a [`Config`].

use std::collections::BTreeMap;
use std::path::Path;

use super::dotenv::{self, Dotenv};
use super::fault::{Fault, Faults, Warning};
use super::section::{Reader, describe};
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
    let mut loaded = parse(&text, &env)?;
    warnings.append(&mut loaded.warnings);
    Ok(Loaded { warnings, ..loaded })
}

/// Reads a configuration from its text. `env` looks variables up; its `HOSTNAME` names the instance.
pub fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Faults> {
    let (root, faults) = yaml::parse(text)?;
    let reader = Reader::new(env, faults);
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
