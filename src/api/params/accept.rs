//! Which form of an answer a caller wants, by `Accept`.

use axum::http::{HeaderMap, header};

use crate::api::table::Format;

/// The format that is wanted most; `None` is JSON, which also answers what cannot be had.
pub(crate) fn accepted(headers: &HeaderMap) -> Option<Format> {
    let mut best = (0.0, None);
    let wanted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in wanted.flat_map(|text| text.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "text/csv" => Some(Format::Csv),
            "application/x-ndjson" => Some(Format::Ndjson),
            "application/json" | "application/*" | "*/*" => None,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |text| text.parse::<f64>().ok());
        if let Some(weight) = weight.filter(|weight| *weight > best.0) {
            best = (weight, format);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_wanted_most_is_given() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, text.parse().unwrap());
            accepted(&headers)
        };
        assert_eq!(of("text/csv"), Some(Format::Csv));
        assert_eq!(of("application/x-ndjson, */*;q=0.1"), Some(Format::Ndjson));
        assert_eq!(of("text/csv;q=0.5, application/json"), None);
        assert_eq!(of("text/html,application/xhtml+xml,*/*;q=0.8"), None);
        assert_eq!(of("image/png"), None);
        assert_eq!(of("text/csv;q=0"), None);
        assert_eq!(of("text/csv;q=often"), None);
        assert_eq!(accepted(&HeaderMap::new()), None);
    }
}
