//! Texts: free ones, names, secrets.
//!
//! In: a single value. Out: text. A number or a truth value without quotes is a fault, never text: nobody
//! can tell how it was meant.

use serde_json::{Value as Json, json};

use super::Secret;
use super::kind::Kind;
use super::scalar::{VARIABLE, quoted, scalar};
use super::section::Value;

/// Text, possibly empty.
pub(super) struct Text;

impl Kind for Text {
    type Out = String;

    fn schema(&self) -> Json {
        json!({"type": "string"})
    }

    fn read(&self, value: &Value<'_>) -> Option<String> {
        text(value, false)
    }

    fn placeholder(&self) -> String {
        String::new()
    }

    fn shown(&self, out: &String) -> Json {
        json!(out)
    }
}

/// Text of a value; a number in its place is told unless it is a `secret`.
fn text(value: &Value<'_>, secret: bool) -> Option<String> {
    let scalar = scalar(value, "text")?;
    let found = match scalar.text.as_ref() {
        text if !scalar.plain => return Some(text.to_owned()),
        text if is_number(text) => "number",
        text if ["true", "false"].contains(&text.to_lowercase().as_str()) => "truth value",
        text => return Some(text.to_owned()),
    };
    let shown = if secret { "***" } else { scalar.text.as_ref() };
    value.fault(format!("the {found} {shown} is not text"), format!("put it in quotes: \"{shown}\""));
    None
}

/// Would Chitragupta's loader have read it as a number?
fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']).replace('_', "");
    let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let broken = digits.contains('.') && digits.starts_with(['.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    let special = [".inf", ".nan"].contains(&digits.to_lowercase().as_str());
    let hexadecimal = digits.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    whole || special || hexadecimal || broken && digits.parse::<f64>().is_ok()
}

/// Text with at least one character that is not blank.
pub(super) struct Name;

impl Kind for Name {
    type Out = String;

    fn schema(&self) -> Json {
        json!({"type": "string", "minLength": 1})
    }

    fn read(&self, value: &Value<'_>) -> Option<String> {
        let text = Text.read(value)?;
        if text.trim().is_empty() {
            value.fault(format!("{} is empty", quoted(&text)), "write a name");
            return None;
        }
        Some(text)
    }

    fn placeholder(&self) -> String {
        String::new()
    }

    fn shown(&self, out: &String) -> Json {
        json!(out)
    }
}

/// Letters, digits and `._-`, at most so many: what Kafka allows in names.
pub(super) struct Word {
    pub min: usize,
    pub max: usize,
}

impl Kind for Word {
    type Out = String;

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": format!("^[A-Za-z0-9._-]{{{},{}}}$|{VARIABLE}", self.min, self.max)})
    }

    fn read(&self, value: &Value<'_>) -> Option<String> {
        let text = Text.read(value)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if text.chars().all(allowed) && (self.min..=self.max).contains(&text.len()) {
            return Some(text);
        }
        let remedy = format!("use {} to {} letters, digits, dots, underscores and hyphens", self.min, self.max);
        value.fault(format!("{} is not a name Kafka allows", quoted(&text)), remedy);
        None
    }

    fn placeholder(&self) -> String {
        String::new()
    }

    fn shown(&self, out: &String) -> Json {
        json!(out)
    }
}

/// A credential; never empty.
pub(super) struct SecretText;

impl Kind for SecretText {
    type Out = Secret;

    fn schema(&self) -> Json {
        json!({"type": "string", "minLength": 1})
    }

    fn read(&self, value: &Value<'_>) -> Option<Secret> {
        let text = text(value, true)?;
        if text.is_empty() {
            value.fault("is empty", "write the secret, best as `${NAME}` with the value in the environment");
            return None;
        }
        Some(Secret::new(text))
    }

    fn placeholder(&self) -> Secret {
        Secret::new("")
    }
}

/// A credential that an empty text leaves out, as in `${PASSWORD:-}`.
pub(super) struct MaybeSecret;

impl Kind for MaybeSecret {
    type Out = Option<Secret>;

    fn schema(&self) -> Json {
        json!({"type": "string"})
    }

    fn read(&self, value: &Value<'_>) -> Option<Option<Secret>> {
        let text = text(value, true)?;
        Some((!text.is_empty()).then(|| Secret::new(text)))
    }

    fn placeholder(&self) -> Option<Secret> {
        None
    }
}
