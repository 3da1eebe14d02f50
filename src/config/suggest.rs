//! "Did you mean": the known word that an unknown one probably stands for.

/// The nearest of the known words, if one is near.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.trim().to_lowercase().replace('-', "_");
    let distance = |candidate: &str| strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
    let (distance, best) = known.iter().map(|candidate| (distance(candidate), *candidate)).min()?;
    let related = best.starts_with(&word) && word.len() >= 3;
    (distance <= 1 + word.chars().count() / 4 || related).then_some(best)
}

/// Problem and remedy of a word that is not among the known ones. The value behind it is not told: it
/// may be a secret under a wrong name.
pub(super) fn unknown(what: &str, word: &str, known: &[&str]) -> (String, String) {
    let remedy = match nearest(word, known) {
        Some(known) => format!("did you mean `{known}`?"),
        None if known.is_empty() => "remove it".into(),
        None => format!("remove it, or use one of {}", list(known)),
    };
    (format!("is not a known {what}"), remedy)
}

/// `a, b, c`, in backquotes.
pub(super) fn list(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word_and_nonsense_does_not() {
        let known = ["lookback_days", "cutoff_days", "tenant_id", "storage"];
        assert_eq!(nearest("lookback_dayz", &known), Some("lookback_days"));
        assert_eq!(nearest("lookback-days", &known), Some("lookback_days"));
        assert_eq!(nearest("tenantid", &known), Some("tenant_id"));
        assert_eq!(nearest("lookback", &known), Some("lookback_days"));
        assert_eq!(nearest("colour", &known), None);
    }
}
