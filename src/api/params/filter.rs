//! Conditions as callers write them: `filter=field:operator:value`, repeated; all must hold.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::problem::{Fault, Problem};
use crate::store::read::{Condition, Dataset, Field, Operator};

/// More conditions than anybody writes by hand.
const MOST: usize = 50;

/// Which rows.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filters {
    /// A condition `field:operator:value`, with a field or `tag.<key>`; repeated ones must all hold. Operators: `eq`, `ne`, `in` (values separated by
    /// `|`), `prefix`, `contains` (letter case aside), `exists` (`true` or `false`).
    #[serde(default)]
    #[param(example = json!(["product_type:prefix:KAFKA_", "identity_id:ne:UNALLOCATED"]))]
    pub filter: Vec<String>,
}

/// Reads conditions over the fields of a dataset.
///
/// # Errors
/// A [`Problem`] that names each condition that cannot be used.
pub(crate) fn conditions(dataset: Dataset, filters: &[String]) -> Result<Vec<Condition>, Problem> {
    let (mut read, mut faults) = (Vec::new(), Vec::new());
    if filters.len() > MOST {
        faults.push(Fault::new("filter", format!("at most {MOST} conditions can be combined")));
    }
    for text in filters.iter().take(MOST) {
        match condition(dataset, text) {
            Ok(condition) => read.push(condition),
            Err(message) => faults.push(Fault::new("filter", message)),
        }
    }
    if faults.is_empty() { Ok(read) } else { Err(Problem::of_parameters(faults)) }
}

fn condition(dataset: Dataset, text: &str) -> Result<Condition, String> {
    let mut parts = text.splitn(3, ':');
    let (Some(name), Some(operator), Some(value)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!("{text:?} is not of the form field:operator:value, such as product_type:eq:KAFKA_STORAGE"));
    };
    let field = dataset.field(name).ok_or_else(|| unknown_field(dataset, name))?;
    if value.contains('\0') {
        return Err(format!("the value for {name} has a NUL character, which no field can hold"));
    }
    let operator = match operator {
        "eq" => Operator::Equal,
        "ne" => Operator::NotEqual,
        "in" => Operator::In,
        "prefix" => Operator::Prefix,
        "contains" => Operator::Contains,
        "exists" if ["true", "false"].contains(&value) => Operator::Exists,
        "exists" => return Err(format!("{name}:exists takes true or false, not {value:?}")),
        other => {
            return Err(format!("{other:?} is no operator; there are eq, ne, in, prefix, contains, exists"));
        }
    };
    let values = match operator {
        Operator::In => value.split('|').map(str::to_owned).collect(),
        _ => vec![value.to_owned()],
    };
    Ok(Condition { field, operator, values })
}

/// What to say of a field that a dataset does not have.
pub(crate) fn unknown_field(dataset: Dataset, name: &str) -> String {
    let known: Vec<String> = dataset.fields().iter().map(Field::name).collect();
    let (of, known) = (dataset.name(), known.join(", "));
    format!(
        "{of} have no field {name:?}; there are {known}, and tag.<key> with a key of 1 to 63 letters, digits, _ and -"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, Operator, Vec<String>), String> {
        let read = conditions(Dataset::Chargebacks, &[text.to_owned()]).map_err(|problem| problem.detail)?;
        Ok((read[0].field.name(), read[0].operator, read[0].values.clone()))
    }

    #[test]
    fn a_condition_has_three_parts() {
        let value = |text: &str| vec![text.to_owned()];
        assert_eq!(read("identity_id:eq:sa-1"), Ok(("identity_id".to_owned(), Operator::Equal, value("sa-1"))));
        assert_eq!(
            read("identity_id:eq:User:sa-1"),
            Ok(("identity_id".to_owned(), Operator::Equal, value("User:sa-1")))
        );
        assert_eq!(
            read("env_id:in:a|b"),
            Ok(("env_id".to_owned(), Operator::In, vec!["a".to_owned(), "b".to_owned()]))
        );
        assert_eq!(read("tag.team:ne:a:b"), Ok(("tag.team".to_owned(), Operator::NotEqual, value("a:b"))));
        assert_eq!(read("env_id:eq:"), Ok(("env_id".to_owned(), Operator::Equal, value(""))));
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        for (text, part) in [
            ("sa-1", "not of the form"),
            ("identity:eq:sa-1", "there are ecosystem"),
            ("d.identity_id; DROP TABLE tenants--:eq:x", "have no field"),
            ("tag.:eq:x", "tag.<key>"),
            ("tag.a' OR 1=1:eq:x", "tag.<key>"),
            ("identity_id:like:sa", "is no operator"),
            ("identity_id:exists:maybe", "true or false"),
            ("identity_id:eq:\0", "NUL"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(part), "{text}: {told}");
        }
    }
}
