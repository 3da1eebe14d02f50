//! Who may use the API.

use super::*;
use crate::config::AuthMode;
use crate::domain::Scope;

#[test]
fn tokens_are_asked_for_unless_somebody_says_otherwise() {
    assert_eq!(good(&with(&[])).config.auth, crate::config::Auth::default());
    assert_eq!(good(&with(&[])).config.auth.mode, AuthMode::Tokens);
    let open = good(&format!("{}\nauth: {{mode: none, open_to_network: true}}\n", with(&[]))).config.auth;
    assert_eq!((open.mode, open.open_to_network), (AuthMode::None, true));
}

#[test]
fn an_issuer_is_given_where_the_mode_uses_it_and_nowhere_else() {
    let auth = |text: &str| format!("{}\nauth: {text}\n", with(&[]));
    refused_with(&auth("{mode: oidc}"), &["auth.oidc", "is missing for this `mode`", "issuer"]);
    refused_with(&auth("{oidc: {issuer: 'https://i', audience: a}}"), &["auth.oidc", "`mode` does not use it"]);
    refused_with(&auth("{mode: both, oidc: {issuer: 'https://i'}}"), &["auth.oidc.audience", "is missing"]);
    refused_with(&auth("{mode: tokens, open_to_network: true}"), &["auth.open_to_network", "`mode: none` only"]);
    refused_with(&auth("{mode: basic}"), &["auth.mode", "`tokens`", "`oidc`", "`both`", "`none`"]);
}

#[test]
fn claims_are_mapped_to_scopes_and_tenants_that_there_are() {
    let auth = |scopes: &str, tenants: &str| {
        let oidc =
            format!("issuer: 'https://i', audience: a, tenants_claim: groups, scopes: {scopes}, tenants: {tenants}");
        format!("{}\nauth: {{mode: both, oidc: {{{oidc}}}}}\n", with(&[]))
    };
    let read =
        good(&auth("{finops: [admin], staff: ['costs:read']}", "{all: ['*'], a-team: [a]}")).config.auth.oidc.unwrap();
    assert_eq!(read.scopes[0], ("finops".to_owned(), vec![Scope::Admin]));
    assert_eq!(read.tenants[1], ("a-team".to_owned(), vec!["a".to_owned()]));
    refused_with(&auth("{finops: [root]}", "{}"), &["root", "`costs:read`", "`admin`"]);
    refused_with(&auth("{}", "{team: [nowhere]}"), &["\"nowhere\" is no tenant"]);
}

#[test]
fn an_api_that_asks_nobody_is_not_for_the_network() {
    let of = |host: &str, more: &str| format!("{}\napi: {{host: '{host}'}}\nauth: {{mode: none{more}}}\n", with(&[]));
    for open in ["0.0.0.0", "::", "10.0.0.7"] {
        refused_with(&of(open, ""), &["api.host", "reached from other machines", "`auth.open_to_network: true`"]);
        good(&of(open, ", open_to_network: true"));
    }
    for here in ["127.0.0.1", "::1", "localhost"] {
        good(&of(here, ""));
    }
}
