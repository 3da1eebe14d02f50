//! Whom a door trusts over TLS, and as whom it presents itself.
//!
//! In: PEM files named in the configuration. Out: a client of its own that shares the limits per host. Absent: Kafka's
//! and Postgres' TLS; the system's root certificates, which are always trusted too.

use std::path::PathBuf;

use reqwest::{Certificate, ClientBuilder, Identity};

use super::{Http, root_cause};
use crate::ecosystem::SourceError;

/// What differs from ordinary TLS; by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM file with certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM files of the certificate and the key to present.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Accept any certificate: whoever is in between can read and change everything.
    pub insecure: bool,
}

impl Http {
    /// The same client with other TLS: limits per host and counters stay shared.
    ///
    /// # Errors
    /// [`SourceError::Unusable`] naming the file that cannot be used; `settings` is the setting that holds the names.
    pub fn with_tls(&self, tls: &Tls, settings: &str) -> Result<Self, SourceError> {
        if *tls == Tls::default() {
            return Ok(self.clone());
        }
        if tls.insecure {
            tracing::warn!(
                "`{settings}.insecure_skip_verify` is on: any certificate is accepted, nothing is protected"
            );
        }
        let mut builder = self.builder().tls_danger_accept_invalid_certs(tls.insecure);
        if let Some(path) = &tls.ca_file {
            builder = trusting(builder, &read(path, &format!("{settings}.ca_file"))?, path, settings)?;
        }
        if let Some((certificate, key)) = &tls.client {
            let mut pem = read(key, &format!("{settings}.key_file"))?;
            pem.push(b'\n');
            pem.extend(read(certificate, &format!("{settings}.cert_file"))?);
            let identity = Identity::from_pem(&pem).map_err(|error| {
                let files = format!("{} and {}", certificate.display(), key.display());
                SourceError::Unusable(format!(
                    "`{settings}.cert_file` and `{settings}.key_file`: {files} are no certificate and key in PEM ({})",
                    root_cause(&error)
                ))
            })?;
            builder = builder.identity(identity);
        }
        let client = builder
            .build()
            .map_err(|error| SourceError::Unusable(format!("`{settings}` cannot be used: {}", root_cause(&error))))?;
        Ok(Self { client, ..self.clone() })
    }
}

fn trusting(
    builder: ClientBuilder,
    pem: &[u8],
    path: &std::path::Path,
    settings: &str,
) -> Result<ClientBuilder, SourceError> {
    let wrong = |why: &str| {
        SourceError::Unusable(format!("`{settings}.ca_file`: {} holds no certificate in PEM ({why})", path.display()))
    };
    let certificates = Certificate::from_pem_bundle(pem).map_err(|error| wrong(&root_cause(&error)))?;
    if certificates.is_empty() {
        return Err(wrong("nothing between BEGIN CERTIFICATE and END CERTIFICATE"));
    }
    Ok(builder.tls_certs_merge(certificates))
}

fn read(path: &std::path::Path, setting: &str) -> Result<Vec<u8>, SourceError> {
    std::fs::read(path).map_err(|error| {
        SourceError::Unusable(format!("`{setting}`: {} cannot be read ({error}); check the path", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::quick_http;
    use super::*;

    #[test]
    fn files_that_cannot_be_used_are_named_with_their_setting() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("ca.pem");
        std::fs::write(&empty, "no certificate\n").unwrap();
        let told = |tls: Tls| quick_http().with_tls(&tls, "metrics.tls").unwrap_err().to_string();
        let absent = told(Tls { ca_file: Some(folder.path().join("absent.pem")), ..Tls::default() });
        assert!(absent.contains("`metrics.tls.ca_file`") && absent.contains("absent.pem cannot be read"), "{absent}");
        let none = told(Tls { ca_file: Some(empty.clone()), ..Tls::default() });
        assert!(none.contains("`metrics.tls.ca_file`") && none.contains("holds no certificate"), "{none}");
        let client = told(Tls { client: Some((empty.clone(), empty)), ..Tls::default() });
        assert!(client.contains("`metrics.tls.key_file`") && client.contains("no certificate and key"), "{client}");
        assert!(quick_http().with_tls(&Tls { insecure: true, ..Tls::default() }, "metrics.tls").is_ok());
    }
}
