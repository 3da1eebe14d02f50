//! What callers may say, read once and the same for every route: days, filters, pages, forms.

mod accept;
mod as_of;
mod body;
mod filter;
mod json;
mod page;
mod query;
mod range;

pub(crate) use accept::accepted;
pub(crate) use as_of::{AliveAtParams, AsOfParams, NOT_HERE, moment_of};
pub(crate) use body::{Body, arrived};
pub(crate) use filter::{Filters, conditions, unknown_field};
pub(crate) use json::json;
pub(crate) use page::{Cursor, PageParams};
pub(crate) use query::Params;
pub use query::read_query;
pub(crate) use range::{Range, RangeParams};
