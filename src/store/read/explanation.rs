//! What explains a chargeback row: all rows of its line, the line, the rules of its day.

use sqlx::QueryBuilder;

use super::dataset::Dataset;
use super::{BillingRow, ChargebackRowOf, Reader, ResourceOrIdentity, Selection, StoreError, ThingRow, Within, amount};
use crate::domain::Day;
use crate::domain::explanation::{Billed, Explanation, Part, explain};
use crate::domain::rule::RuleBook;

/// A row with what explains it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// All rows of the line, the one that was asked for among them: by tier, cost type and identity.
    pub rows: Vec<ChargebackRowOf>,
    /// Absent while the line's own table is behind.
    pub line: Option<BillingRow>,
    /// Absent while another revision is under way, whose rules are already those of the day.
    pub rules: Option<RuleBook>,
    /// What people call the row's identity and the line's resource, where the day's inventory says so.
    pub identity_name: Option<String>,
    pub resource_name: Option<String>,
}

impl Explained {
    /// The explanation of `row`; `None` while the line is not there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if an amount is none.
    pub fn told(&self, row: &ChargebackRowOf) -> Result<Option<Explanation>, StoreError> {
        let Some(line) = &self.line else { return Ok(None) };
        let parts = self.rows.iter().map(|row| part(row, None)).collect::<Result<Vec<_>, _>>()?;
        let billed = Billed {
            day: line.day.into(),
            resource_id: line.resource_id.clone(),
            resource_name: self.resource_name.clone(),
            product_type: line.product_type.clone(),
            amount: amount("billing_facts", &line.amount)?,
            currency: line.currency.clone(),
        };
        Ok(Some(explain(&billed, &parts, &part(row, self.identity_name.clone())?, self.rules.as_ref())))
    }
}

fn part(row: &ChargebackRowOf, identity_name: Option<String>) -> Result<Part, StoreError> {
    Ok(Part {
        identity_id: row.identity_id.clone(),
        identity_name,
        cost_type: row.cost_type.clone(),
        allocation_method: row.allocation_method.clone(),
        allocation_detail: row.allocation_detail.clone(),
        tier: u32::try_from(row.tier).unwrap_or_default(),
        amount: amount("chargeback_facts", &row.amount)?,
        share: row.share,
        usage: row.usage,
    })
}

impl Reader {
    /// What explains `row` of `tenant`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn explained(&mut self, tenant: &str, row: &ChargebackRowOf) -> Result<Explained, StoreError> {
        let day = Day::from(row.day);
        let mut query = QueryBuilder::new(super::rows::CHARGEBACK);
        Dataset::Chargebacks.push_from(&mut query, &Selection::of_day(tenant, day));
        query.push(" AND (d.env_id, d.resource_id, d.product_category, d.product_type, d.currency) = (");
        let key = [&row.env_id, &row.resource_id, &row.product_category, &row.product_type, &row.currency];
        let mut texts = query.separated(", ");
        for text in key {
            texts.push_bind(text.clone());
        }
        // Also after a rebuild, which gives dimensions new keys: sums of floats depend on their order.
        query.push(") ORDER BY d.tier, d.cost_type, d.identity_id COLLATE \"C\", d.fingerprint");
        let rows = self.all(query).await?;
        let line = self.line_of(tenant, row).await?;
        let line = line.filter(|line| line.revision == row.revision);
        let rules = self.rules(tenant, day, row.revision).await?;
        let within = Within { tenant, from: day, to: day.plus(1) };
        let name = |mut found: Vec<ThingRow>| found.pop().and_then(|thing| thing.display_name);
        let (identity, resource) = (row.identity_id.clone(), row.resource_id.clone());
        let resource_name = name(self.things(&within, ResourceOrIdentity::Resource, &[resource]).await?);
        let identity_name = match row.identity_id == row.resource_id {
            true => resource_name.clone(),
            false => name(self.things(&within, ResourceOrIdentity::Identity, &[identity]).await?),
        };
        Ok(Explained { rows, line, rules, identity_name, resource_name })
    }

    /// The rules that a revision of a day was sealed with, if it is the newest.
    async fn rules(&mut self, tenant: &str, day: Day, revision: i32) -> Result<Option<RuleBook>, StoreError> {
        let mut query = QueryBuilder::new(
            "SELECT b.rules FROM day_facts d JOIN tenants t USING (tenant_key)
             JOIN rule_books b ON b.tenant_key = d.tenant_key AND b.digest = d.rules_digest WHERE t.tenant_id = ",
        );
        query.push_bind(tenant.to_owned()).push(" AND d.day = ").push_bind(day.date());
        query.push(" AND d.sealed_revision = ").push_bind(revision);
        let text: Option<(String,)> = self.one(query).await?;
        // A text that is none would have refused the day.
        Ok(text.and_then(|(text,)| serde_json::from_str(&text).ok()))
    }
}
