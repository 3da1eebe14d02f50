//! Patterns over names, as a shell has them.
//!
//! In: a pattern. Out: does a whole name match it? `*` is any text, `?` any character, `[a-c]` one of these,
//! `[!a-c]` any other; a `[` that is never closed stands for itself. Upper and lower case differ.

/// A pattern made ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Is(char),
    AnyOne,
    AnyText,
    OneOf { ranges: Vec<(char, char)>, negated: bool },
}

impl Glob {
    /// Every text is a pattern.
    pub fn new(pattern: &str) -> Self {
        let pattern: Vec<char> = pattern.chars().collect();
        let (mut tokens, mut at) = (Vec::new(), 0);
        while let Some(c) = pattern.get(at) {
            at += 1;
            let token = match c {
                '*' => Token::AnyText,
                '?' => Token::AnyOne,
                '[' => match set(&pattern[at..]) {
                    Some((token, length)) => {
                        at += length;
                        token
                    }
                    None => Token::Is('['),
                },
                c => Token::Is(*c),
            };
            if token != Token::AnyText || tokens.last() != Some(&Token::AnyText) {
                tokens.push(token);
            }
        }
        Self(tokens)
    }

    /// Does it match the whole name? Takes time in proportion to pattern times name at the most.
    pub fn matches(&self, name: &str) -> bool {
        let Self(tokens) = self;
        let (mut at, mut rest) = (0, name.chars());
        // Where to go on when what follows the last `*` does not fit: one character further.
        let mut retry = None;
        loop {
            match (tokens.get(at), rest.clone().next()) {
                (Some(Token::AnyText), _) => {
                    retry = Some((at + 1, rest.clone()));
                    at += 1;
                    continue;
                }
                (Some(token), Some(c)) if token.fits(c) => {
                    at += 1;
                    rest.next();
                    continue;
                }
                (None, None) => return true,
                _ => {}
            }
            let Some((after, from)) = &mut retry else { return false };
            if from.next().is_none() {
                return false;
            }
            (at, rest) = (*after, from.clone());
        }
    }
}

impl Token {
    fn fits(&self, c: char) -> bool {
        match self {
            Self::Is(other) => *other == c,
            Self::AnyOne => true,
            Self::AnyText => false,
            Self::OneOf { ranges, negated } => ranges.iter().any(|(a, z)| (*a..=*z).contains(&c)) != *negated,
        }
    }
}

/// The set after a `[` and how many characters it takes; `None` if it is never closed.
fn set(rest: &[char]) -> Option<(Token, usize)> {
    let negated = rest.first() == Some(&'!');
    let start = usize::from(negated);
    // A `]` right at the beginning is one of the set.
    let end = start + 1 + rest.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let (mut ranges, mut at) = (Vec::new(), start);
    while at < end {
        let range = at + 2 < end && rest[at + 1] == '-';
        ranges.push((rest[at], rest[if range { at + 2 } else { at }]));
        at += if range { 3 } else { 1 };
    }
    Some((Token::OneOf { ranges, negated }, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, fits: &[&str], fits_not: &[&str]) {
        let glob = Glob::new(pattern);
        fits.iter().for_each(|name| assert!(glob.matches(name), "{pattern} should match {name}"));
        fits_not.iter().for_each(|name| assert!(!glob.matches(name), "{pattern} should not match {name}"));
    }

    #[test]
    fn the_whole_name_is_matched() {
        check("_schemas", &["_schemas"], &["_schemas2", "my_schemas", "_Schemas", ""]);
        check("_confluent-*", &["_confluent-", "_confluent-ksql"], &["_confluent", "x_confluent-ksql"]);
        check("*.tmp.*", &["a.tmp.b", ".tmp.", "a.tmp.tmp.b"], &["a.tmp", "tmp"]);
        check("**a*b", &["ab", "xaxxb"], &["a", "abx"]);
        check("v?", &["v1", "vé"], &["v", "v12"]);
        check("", &[""], &["a"]);
    }

    #[test]
    fn sets_and_their_opposites() {
        check("v[0-9]", &["v0", "v9"], &["va", "v", "v-"]);
        check("v[!0-9]", &["va", "v-"], &["v0", "v"]);
        check("[]a]", &["]", "a"], &["b"]);
        check("[a-]", &["a", "-"], &["b"]);
        check("a[b", &["a[b"], &["ab"]);
        check("[", &["["], &[""]);
        check("[!", &["[!"], &["a"]);
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_and_any_of_its_parts_replaced_by_a_star(
            name in "[a-z._-]{0,12}", from in 0_usize..12, length in 0_usize..12,
        ) {
            prop_assert!(Glob::new(&name).matches(&name));
            let (from, until) = (from.min(name.len()), (from + length).min(name.len()));
            let pattern = format!("{}*{}", &name[..from], &name[until.max(from)..]);
            prop_assert!(Glob::new(&pattern).matches(&name), "{pattern} {name}");
        }

        #[test]
        fn no_pattern_breaks_it(pattern in "[*?!a\\[\\]-]{0,12}", name in "[a!\\[\\]-]{0,12}") {
            Glob::new(&pattern).matches(&name);
        }
    }
}
