//! Who may use the API.

use std::net::IpAddr;

use super::super::address::HttpUrl;
use super::super::kind::{List, Names, object};
use super::super::model::{Auth, AuthMode, Oidc};
use super::super::number::Int;
use super::super::scalar::{Choice, Flag};
use super::super::section::{Inner, Section};
use super::super::text::Text;
use crate::domain::Scope;

const MODES: Choice<AuthMode> = Choice(&[
    ("tokens", AuthMode::Tokens),
    ("oidc", AuthMode::Oidc),
    ("both", AuthMode::Both),
    ("none", AuthMode::None),
]);

const SCOPES: Choice<Scope> = Choice(&[
    ("costs:read", Scope::CostsRead),
    ("tags:write", Scope::TagsWrite),
    ("runs:write", Scope::RunsWrite),
    ("exports:write", Scope::ExportsWrite),
    ("admin", Scope::Admin),
]);

pub(super) fn auth(s: &mut Section<'_>) -> Auth {
    let doc =
        "`tokens` of our own, access tokens of an issuer (`oidc`), `both`, or `none`: everybody may do everything";
    let mode = s.default("mode", MODES, AuthMode::Tokens, doc);
    let open = s.default(
        "open_to_network",
        Flag,
        false,
        "with `mode: none`: true to listen on other than loopback addresses all the same",
    );
    let oidc = s.optional("oidc", object(oidc), "the issuer of access tokens, for `mode: oidc` or `both`");
    if matches!(mode, AuthMode::Oidc | AuthMode::Both) && oidc.is_none() && !s.has("oidc") {
        s.fault(
            "oidc",
            "is missing for this `mode`",
            "add `oidc: {issuer: https://…, audience: …}`, or set `mode: tokens`",
        );
    }
    if matches!(mode, AuthMode::Tokens | AuthMode::None) && oidc.is_some() {
        s.fault("oidc", "is given, but `mode` does not use it", "set `mode: oidc` or `both`, or remove it");
    }
    if open && mode != AuthMode::None {
        s.fault(
            "open_to_network",
            "has a meaning with `mode: none` only",
            "remove it: with tokens any address will do",
        );
    }
    Auth { mode, open_to_network: open, oidc }
}

fn oidc(s: &mut Section<'_>) -> Oidc {
    let claim = "claim that says what the caller may, a text with spaces or a list; dots lead into objects";
    let tenants = "claim that says which tenants the caller may see, read as `scopes_claim` is; without it all";
    Oidc {
        issuer: s.required("issuer", HttpUrl, "address of the issuer, as in the claim `iss`"),
        audience: s.required("audience", Text, "what must be among the claim `aud`"),
        leeway_seconds: s.default("leeway_seconds", Int(0..=300), 30, "how far the clocks may be apart"),
        scopes_claim: s.default("scopes_claim", Text, "scope".into(), claim),
        scopes: s.default(
            "scopes",
            Names(List(SCOPES)),
            vec![],
            "value of the claim → our scopes; without it values are our scopes by name",
        ),
        tenants_claim: s.optional("tenants_claim", Text, tenants),
        tenants: s.default(
            "tenants",
            Names(List(Text)),
            vec![],
            "value of the claim → names of tenants, `*` for all; without it values are names of tenants",
        ),
    }
}

/// Tenants that an issuer's claims are mapped to must be there.
pub(super) fn check_tenants(s: &Section<'_>, auth: &Auth, known: &[&str]) {
    for (value, names) in auth.oidc.iter().flat_map(|oidc| &oidc.tenants) {
        for name in names.iter().filter(|name| *name != "*" && !known.contains(&name.as_str())) {
            let key = format!("oidc.tenants.{value}");
            s.fault_inside(
                "auth",
                Inner::Key(&key),
                format!("{name:?} is no tenant"),
                "write a name of `tenants`, or \"*\"",
            );
        }
    }
}

/// Whoever asks nobody who they are listens on this machine only, unless somebody insists. What a name stands for is known
/// when the API starts, which looks again.
pub(super) fn check_address(s: &Section<'_>, auth: &Auth, host: &str) {
    let elsewhere = host.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback());
    if elsewhere && auth.mode == AuthMode::None && !auth.open_to_network {
        s.fault_inside(
            "api",
            Inner::Key("host"),
            format!("{host} can be reached from other machines, and with `auth.mode: none` everybody there may do everything"),
            "set `auth.mode: tokens`, or write 127.0.0.1, or insist with `auth.open_to_network: true`",
        );
    }
}
