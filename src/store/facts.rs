//! What a fact looks like in its table, one implementation per sliced projection.

use super::Projection;
use super::copy::CopyRows;
use super::dimensions::DimensionOf;
use super::text::json;
use crate::domain::{BillingLine, ChargebackRow, Day, Identity, Resource, TopicAttributionRow};

/// Why a record that could be read cannot be a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactCheck {
    /// Two tenants must not become one by what Postgres cannot store.
    #[error("the tenant's name contains a zero byte, which Postgres cannot store; write the record again without it")]
    ZeroByte,
    /// Beyond what the tables hold.
    #[error("`{0}` is out of range; days lie between 1970 and 9999, whole numbers below 2147483648")]
    OutOfRange(&'static str),
    /// Nobody could ever be let in by it.
    #[error("its hash is not the 64 lower-case hex digits of a SHA-256")]
    NoHash,
    /// There is no such record in its revision.
    #[error("it is record {ordinal} of a revision that has {count}; ordinals count from 0")]
    Ordinal { ordinal: u32, count: u32 },
}

/// A record of a sliced projection.
pub trait Fact {
    /// Where it belongs.
    const PROJECTION: Projection;

    /// Tenant, day, revision, ordinal, count.
    fn place(&self) -> (&str, Day, u32, u32, u32);

    /// Does it fit the table?
    ///
    /// # Errors
    /// [`FactCheck`]: set it aside.
    fn check(&self) -> Result<(), FactCheck>;

    /// What of it is a dimension.
    fn dimension(&self) -> Option<DimensionOf<'_>> {
        None
    }

    /// Appends the row. `dimension` is the key of [`Self::dimension`].
    fn write(&self, tenant_key: i32, dimension: i64, rows: &mut CopyRows);
}

/// Checks that hold for all facts.
fn check_all(place: (&str, Day, u32, u32, u32)) -> Result<(), FactCheck> {
    let (tenant, day, revision, ordinal, count) = place;
    check_place(tenant, day, revision)?;
    whole("count", count)?;
    if ordinal < count { Ok(()) } else { Err(FactCheck::Ordinal { ordinal, count }) }
}

/// Checks what names a revision of a tenant's day.
pub(super) fn check_place(tenant: &str, day: Day, revision: u32) -> Result<(), FactCheck> {
    check_tenant(tenant)?;
    whole("revision", revision)?;
    let year = chrono::Datelike::year(&day.date());
    if (1970..=9999).contains(&year) { Ok(()) } else { Err(FactCheck::OutOfRange("day")) }
}

pub(super) fn check_tenant(tenant: &str) -> Result<(), FactCheck> {
    if tenant.as_bytes().contains(&0) { Err(FactCheck::ZeroByte) } else { Ok(()) }
}

pub(super) fn whole(name: &'static str, number: u32) -> Result<(), FactCheck> {
    if number <= i32::MAX as u32 { Ok(()) } else { Err(FactCheck::OutOfRange(name)) }
}

/// Postgres' moments reach from 4713 BC, chrono's further back.
pub(super) fn check_moment(name: &'static str, moment: Option<chrono::DateTime<chrono::Utc>>) -> Result<(), FactCheck> {
    match moment {
        Some(moment) if !(1..=9999).contains(&chrono::Datelike::year(&moment)) => Err(FactCheck::OutOfRange(name)),
        _ => Ok(()),
    }
}

impl Fact for BillingLine {
    const PROJECTION: Projection = Projection::Billing;

    fn place(&self) -> (&str, Day, u32, u32, u32) {
        (&self.tenant, self.day, self.revision, self.ordinal, self.count)
    }

    fn check(&self) -> Result<(), FactCheck> {
        check_all(self.place())?;
        check_moment("period_start", Some(self.period_start))?;
        check_moment("period_end", Some(self.period_end))
    }

    fn write(&self, tenant_key: i32, _: i64, rows: &mut CopyRows) {
        rows.row(18).int(tenant_key).date(self.day.date()).int(self.revision as i32);
        rows.text(&self.ecosystem).text(&self.env_id).text(&self.resource_id);
        rows.maybe_text(self.resource_name.as_deref()).text(&self.product_category).text(&self.product_type);
        rows.amount(self.quantity).amount(self.unit_price).amount(self.amount).maybe_amount(self.original_amount);
        rows.text(&self.currency).text(&self.granularity);
        rows.moment(Some(self.period_start)).moment(Some(self.period_end)).texts(&self.evidence);
    }
}

impl Fact for Resource {
    const PROJECTION: Projection = Projection::Resources;

    fn place(&self) -> (&str, Day, u32, u32, u32) {
        (&self.tenant, self.day, self.revision, self.ordinal, self.count)
    }

    fn check(&self) -> Result<(), FactCheck> {
        check_all(self.place())?;
        check_moment("created_at", self.created_at)?;
        check_moment("deleted_at", self.deleted_at)
    }

    fn write(&self, tenant_key: i32, _: i64, rows: &mut CopyRows) {
        rows.row(12).int(tenant_key).date(self.day.date()).int(self.revision as i32);
        rows.text(&self.ecosystem).text(&self.resource_id).text(&self.resource_type);
        rows.maybe_text(self.display_name.as_deref()).maybe_text(self.parent_id.as_deref());
        rows.maybe_text(self.owner_id.as_deref()).moment(self.created_at).moment(self.deleted_at);
        rows.jsonb(&json(&self.attributes));
    }
}

impl Fact for Identity {
    const PROJECTION: Projection = Projection::Identities;

    fn place(&self) -> (&str, Day, u32, u32, u32) {
        (&self.tenant, self.day, self.revision, self.ordinal, self.count)
    }

    fn check(&self) -> Result<(), FactCheck> {
        check_all(self.place())?;
        check_moment("created_at", self.created_at)?;
        check_moment("deleted_at", self.deleted_at)
    }

    fn write(&self, tenant_key: i32, _: i64, rows: &mut CopyRows) {
        rows.row(12).int(tenant_key).date(self.day.date()).int(self.revision as i32);
        rows.text(&self.ecosystem).text(&self.identity_id).text(&self.identity_type);
        rows.maybe_text(self.display_name.as_deref()).maybe_text(self.owner_id.as_deref());
        rows.maybe_text(self.resource_id.as_deref()).moment(self.created_at).moment(self.deleted_at);
        rows.jsonb(&json(&self.attributes));
    }
}

impl Fact for ChargebackRow<'_> {
    const PROJECTION: Projection = Projection::Chargebacks;

    fn place(&self) -> (&str, Day, u32, u32, u32) {
        (self.tenant, self.day, self.revision, self.ordinal, self.count)
    }

    fn check(&self) -> Result<(), FactCheck> {
        whole("tier", self.tier)?;
        check_all(self.place())
    }

    fn dimension(&self) -> Option<DimensionOf<'_>> {
        Some(DimensionOf {
            ecosystem: self.ecosystem,
            env_id: self.env_id,
            resource_id: self.resource_id,
            product_category: self.product_category,
            product_type: self.product_type,
            identity_id: self.identity_id,
            target: self.target.as_str(),
            cost_type: self.cost_type.as_str(),
            allocation_method: self.allocation_method,
            allocation_detail: self.allocation_detail,
            currency: self.currency,
            tier: self.tier,
        })
    }

    fn write(&self, tenant_key: i32, dimension: i64, rows: &mut CopyRows) {
        rows.row(7).int(tenant_key).date(self.day.date()).int(self.revision as i32).key(dimension);
        rows.amount(self.amount).double(Some(self.share)).double(self.usage);
    }
}

/// Its texts stand in the row itself: topics come and go, and their rows are kept for a shorter time than others.
impl Fact for TopicAttributionRow<'_> {
    const PROJECTION: Projection = Projection::TopicAttributions;

    fn place(&self) -> (&str, Day, u32, u32, u32) {
        (self.tenant, self.day, self.revision, self.ordinal, self.count)
    }

    fn check(&self) -> Result<(), FactCheck> {
        check_all(self.place())
    }

    fn write(&self, tenant_key: i32, _: i64, rows: &mut CopyRows) {
        rows.row(14).int(tenant_key).date(self.day.date()).int(self.revision as i32);
        rows.text(self.ecosystem).text(self.env_id).text(self.cluster_resource_id).text(self.topic_name);
        rows.text(self.product_category).text(self.product_type).text(self.attribution_method);
        rows.amount(self.amount).text(self.currency).double(Some(self.share)).double(self.usage);
    }
}
