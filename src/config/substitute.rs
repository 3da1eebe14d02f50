//! `${NAME}` and `${NAME:-default}` in a value.
//!
//! In: one text and a way to look variables up. Out: the text with the values, or the names that are
//! not set. What fits neither form stays as it is; the result is not looked at again.

/// Replaces every reference. `Err`: the names of variables that are not set and have no default.
pub(super) fn substitute(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Vec<String>> {
    let mut missing = Vec::new();
    let out = expand(text, &mut |name, default| {
        let value = env(name).or(default.map(str::to_owned));
        if value.is_none() {
            missing.push(name.to_owned());
        }
        value.unwrap_or_default()
    });
    if missing.is_empty() { Ok(out) } else { Err(missing) }
}

/// Replaces every reference by what `resolve` says of its name and default.
pub(super) fn expand(text: &str, resolve: &mut dyn FnMut(&str, Option<&str>) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match reference(rest) {
            Some(reference) => {
                out.push_str(&resolve(reference.name, reference.default));
                rest = &rest[reference.length..];
            }
            None => {
                out.push('$');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

struct Reference<'a> {
    name: &'a str,
    default: Option<&'a str>,
    length: usize,
}

/// The reference at the beginning of a text that begins with `${`.
fn reference(text: &str) -> Option<Reference<'_>> {
    let body = &text[2..];
    let name = &body[..body.find(['}', ':'])?];
    let after = &body[name.len()..];
    if name.is_empty() {
        return None;
    }
    if after.starts_with('}') {
        return Some(Reference { name, default: None, length: 2 + name.len() + 1 });
    }
    let default = after.strip_prefix(":-")?;
    let default = &default[..default.find('}')?];
    // A default stays on its line.
    (!default.contains('\n')).then_some(Reference {
        name,
        default: Some(default),
        length: 2 + name.len() + 2 + default.len() + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("prom".into()),
            "EMPTY" => Some(String::new()),
            "SELF" => Some("${HOST}".into()),
            " V " => Some("spaced".into()),
            _ => None,
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(substitute(text, &env).as_deref(), Ok(expected), "{text}");
    }

    #[test]
    fn every_rule_of_the_two_forms() {
        check("http://${HOST}:9090", "http://prom:9090");
        check("${HOST}${HOST}", "promprom");
        check("${NOPE:-a}b}", "ab}");
        check("${NOPE:-}", "");
        check("${NOPE:-a:-b}", "a:-b");
        check("${EMPTY:-x}", "");
        check("${HOST:-x}", "prom");
        check("${SELF}", "${HOST}");
        check("${ V }", "spaced");
        check("$HOST ${HOST:b} ${} ${:-x} ${HOST", "$HOST ${HOST:b} ${} ${:-x} ${HOST");
        check("${NOPE:-a\nb}", "${NOPE:-a\nb}");
        check("${HOST:b ${HOST}", "${HOST:b prom");
    }

    #[test]
    fn all_missing_names_are_told() {
        assert_eq!(substitute("${A} ${HOST} ${B}", &env), Err(vec!["A".into(), "B".into()]));
    }
}
