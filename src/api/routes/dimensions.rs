//! What rows can be chosen and grouped by, and the values there are.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::days::DatasetParams;
use super::lists::Question;
use crate::api::Api;
use crate::api::params::{Filters, Params, RangeParams};
use crate::api::problem::{Fault, Problem};
use crate::store::read::{Dataset, Field};

/// The fields of a dataset.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Dimensions {
    dataset: String,
    fields: Vec<String>,
}

/// The fields that rows can be chosen and grouped by; tags are fields `tag.<key>` beside them
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/dimensions", tag = "dimensions",
    params(("tenant" = String, Path, description = "Name of the tenant"), DatasetParams),
    responses((status = 200, body = Dimensions), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(dataset): Params<DatasetParams>,
) -> Result<Json<Dimensions>, Problem> {
    api.tenant(&tenant)?;
    let dataset: Dataset = dataset.dataset.into();
    let fields = dataset.fields().iter().map(Field::name).collect();
    Ok(Json(Dimensions { dataset: dataset.name().to_owned(), fields }))
}

/// What is typed so far.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TypedParams {
    /// Only values, or names of resources and identities, that contain this text; letter case aside.
    #[serde(default)]
    q: String,
    /// Values of the answer, 1 to 1000. Default: 50.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

/// A value of a field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Value {
    value: String,
    /// The name people know it by, of a resource or identity.
    display_name: Option<String>,
    /// Rows of the range that have it.
    rows: i64,
}

/// The values of a field, most frequent first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Values {
    items: Vec<Value>,
}

/// The values of a field, for type-ahead
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/dimensions/{name}/values", tag = "dimensions",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("name" = String, Path, description = "Name of the field"),
        DatasetParams, RangeParams, Filters, TypedParams),
    responses((status = 200, body = Values), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn values(
    State(api): State<Api>,
    Path((tenant, name)): Path<(String, String)>,
    Params(dataset): Params<DatasetParams>,
    Params(range): Params<RangeParams>,
    Params(filters): Params<Filters>,
    Params(typed): Params<TypedParams>,
) -> Result<Json<Values>, Problem> {
    let dataset: Dataset = dataset.dataset.into();
    let question = Question::read(&api, &tenant, dataset, &range, &filters, None)?;
    let field = dataset.field(&name).ok_or_else(|| Problem::not_found("dimension", &name))?;
    let limit = typed.limit.unwrap_or(50);
    let mut faults = Vec::new();
    if !(1..=1000).contains(&limit) {
        faults.push(Fault::new("limit", format!("{limit} is not within 1 and 1000")));
    }
    if typed.q.contains('\0') {
        faults.push(Fault::new("q", "a NUL character cannot be searched for"));
    }
    if !faults.is_empty() {
        return Err(Problem::of_parameters(faults));
    }
    let (mut reader, _turn) = api.reader(&question.of.tenant).await?;
    let values = reader.values(dataset, &field, &question.of, &typed.q, limit).await?;
    let item = |one: crate::store::read::DimensionValue| Value {
        value: one.value,
        display_name: one.display_name,
        rows: one.row_count,
    };
    Ok(Json(Values { items: values.into_iter().map(item).collect() }))
}
