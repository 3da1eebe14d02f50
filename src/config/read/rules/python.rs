//! Chitragupta's overrides are Python code by name, `module.path:attribute`. It cannot run here, so each is refused with
//! what to write in its place; what it does is guessed from its name.

use super::super::super::scalar::quoted;

/// Problem and remedy, if the text names Python code to split by.
pub(super) fn split(text: &str) -> Option<(String, String)> {
    const LIKELY: [(&[&str], &str); 7] = [
        (&["compos", "hybrid", "mix"], "`mix: [{ratio: 0.7, by_usage: bytes_in}, {ratio: 0.3, even: found}]`"),
        (&["chain", "fallback"], "`first_that_fits: [{by_usage: bytes_in}, even, unallocated]`"),
        (&["usage", "ratio"], "`by_usage: bytes_in`"),
        (&["even", "equal"], "`even`"),
        (&["owner"], "`owner`"),
        (&["share", "fixed", "static"], "`shares: {team-a: 0.6, team-b: 0.4}`"),
        (&["terminal", "unalloc"], "`unallocated`, or `to: somebody`"),
    ];
    refuse(text, &LIKELY)
}

/// Problem and remedy, if the text names Python code to find identities by.
pub(super) fn identities(text: &str) -> Option<(String, String)> {
    const LIKELY: [(&[&str], &str); 4] = [
        (&["team"], "`principals: [{teams: {team-a: [sa-1, sa-2]}}]`"),
        (&["regex", "pattern", "prefix"], "`principals: [{pattern: '^sa-(?<team>[a-z]+)-', identity: '{team}'}]`"),
        (&["owner", "resource", "cmdb"], "`resources: [{file: owners.csv}]`"),
        (&["ldap", "director", "map", "static"], "`principals: [{file: people.csv}]`"),
    ];
    refuse(text, &LIKELY)
}

fn refuse(text: &str, likely: &[(&[&str], &str)]) -> Option<(String, String)> {
    let (module, attribute) = text.rsplit_once(':').or_else(|| text.rsplit_once('.'))?;
    let python = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "._".contains(c));
    if !python(module) || !python(attribute) {
        return None;
    }
    let name = attribute.to_lowercase();
    let likely = likely.iter().find(|(words, _)| words.iter().any(|word| name.contains(word)));
    let remedy = match likely {
        Some((_, instead)) => {
            format!("by its name {instead} may be meant; the page \"Rules\" of the documentation has all forms")
        }
        None => "write it as data: the page \"Rules\" of the documentation has an example of each form".to_owned(),
    };
    Some((format!("{} names Python code, which cannot run here", quoted(text)), remedy))
}
