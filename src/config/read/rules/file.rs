//! A file of identities: CSV with two columns, or YAML.
//!
//! In: its path. Out: pairs of id and identity, or what is wrong with it. Read once, at start.

use std::path::Path;

use super::super::super::yaml::{self, Content, Node};

type Pairs = Vec<(String, String)>;
type Fault = (String, String);

/// The largest file that is read, bytes.
const LARGEST: u64 = 8 << 20;

/// Its pairs, in its order.
pub(super) fn pairs(path: &Path) -> Result<Pairs, Fault> {
    let remedy = "check the path; it counts from the folder of the configuration";
    let unreadable = |error: std::io::Error| (format!("cannot be read: {error}"), remedy.to_owned());
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > LARGEST {
        return Err((format!("has {size} bytes, more than {LARGEST}"), "put patterns in place of single ids".into()));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    map_file(extension, &text)
}

/// The pairs of a file of that extension.
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn map_file(extension: &str, text: &str) -> Result<Pairs, Fault> {
    match extension.to_lowercase().as_str() {
        "csv" => csv(text),
        "yaml" | "yml" => yaml(text),
        _ => Err(("is neither CSV nor YAML by its name".into(), "call it `.csv`, `.yaml` or `.yml`".into())),
    }
}

/// Two columns; lines that begin with `#` are remarks, and a first line `id,…` is a header.
fn csv(text: &str) -> Result<Pairs, Fault> {
    let mut reader = ::csv::ReaderBuilder::new();
    let reader = reader.has_headers(false).flexible(true).comment(Some(b'#')).trim(::csv::Trim::All);
    let mut pairs = Vec::new();
    for record in reader.from_reader(text.as_bytes()).records() {
        let record = record.map_err(|error| (format!("is no CSV: {error}"), "correct the line".to_owned()))?;
        let line = record.position().map_or(0, ::csv::Position::line);
        let fields: Vec<&str> = record.iter().collect();
        match fields.as_slice() {
            ["id", _] if pairs.is_empty() => {}
            [id, identity] if !id.is_empty() && !identity.is_empty() => {
                pairs.push(((*id).to_owned(), (*identity).to_owned()));
            }
            _ => {
                let problem = format!("line {line} is not an id and an identity");
                return Err((problem, "write `sa-1,team-a`, one pair a line".into()));
            }
        }
    }
    Ok(pairs)
}

/// Id to identity, or identity to a list of ids.
fn yaml(text: &str) -> Result<Pairs, Fault> {
    let shape = "write `sa-1: team-a`, or `team-a: [sa-1, sa-2]`, one entry a line";
    let (root, faults) = yaml::parse(text).map_err(|fault| (fault.problem, fault.remedy))?;
    if let Some(fault) = faults.into_iter().next() {
        return Err((format!("line {}: {}", fault.line.unwrap_or_default(), fault.problem), fault.remedy));
    }
    let Some(Node { content: Content::Map(entries), .. }) = root else {
        return if root.is_none() { Ok(vec![]) } else { Err(("is no map".into(), shape.into())) };
    };
    let wrong = |line: Option<usize>| (format!("line {} is no pair", line.unwrap_or_default()), shape.to_owned());
    let mut pairs = Vec::new();
    let mut pair = |id: &str, identity: &str, line: Option<usize>| {
        // As in CSV: an empty text is nobody's.
        if id.is_empty() || identity.is_empty() {
            return Err(wrong(line));
        }
        pairs.push((id.to_owned(), identity.to_owned()));
        Ok(())
    };
    for (key, node) in &entries {
        match &node.content {
            Content::Scalar { text, .. } if !node.is_null() => pair(&key.text, text, key.line)?,
            Content::List(members) => {
                for member in members {
                    let Content::Scalar { text, .. } = &member.content else { return Err(wrong(member.line)) };
                    pair(text, &key.text, member.line)?;
                }
            }
            _ => return Err(wrong(key.line)),
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Pairs, Fault> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        pairs(&path)
    }

    fn pair(id: &str, identity: &str) -> (String, String) {
        (id.into(), identity.into())
    }

    #[test]
    fn csv_and_yaml_in_both_directions() {
        let expected = vec![pair("sa-1", "checkout"), pair("sa-2", "checkout"), pair("u,1", "ml")];
        let csv = "id,team\n# people\nsa-1, checkout\nsa-2,checkout\n\"u,1\",ml\n";
        assert_eq!(read("a.csv", csv), Ok(expected.clone()));
        assert_eq!(read("a.YAML", "sa-1: checkout\nsa-2: checkout\n'u,1': ml\n"), Ok(expected.clone()));
        assert_eq!(read("a.yml", "checkout: [sa-1, sa-2]\nml: ['u,1']\n"), Ok(expected));
        assert_eq!(read("a.csv", ""), Ok(vec![]));
        assert_eq!(read("a.yml", "# nobody\n"), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_names_its_line() {
        let told = |name: &str, text: &str| read(name, text).map_err(|(problem, _)| problem).expect_err(text);
        assert_eq!(told("a.csv", "sa-1,a\nsa-2\n"), "line 2 is not an id and an identity");
        assert_eq!(told("a.csv", "sa-1,\n"), "line 1 is not an id and an identity");
        assert_eq!(told("a.yml", "a: {b: c}\n"), "line 1 is no pair");
        assert_eq!(told("a.yml", "sa-1: a\nsa-2: ''\n"), "line 2 is no pair");
        assert_eq!(told("a.yml", "a:\n- sa-1\n- ''\n"), "line 3 is no pair");
        assert!(told("a.yml", "a: 1\na: 2\n").contains("written twice"));
        assert!(told("a.txt", "a,b\n").contains("neither CSV nor YAML"));
        assert!(pairs(Path::new("/nowhere/a.csv")).expect_err("absent").0.contains("cannot be read"));
    }
}
