//! A client of Confluent Schema Registry's REST interface, as far as a codec needs it.
//!
//! In: schemas and ids. Out: ids and schemas, or what to do about the registry. Absent: what the schemas mean.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(10);
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// The registry's code for "this subject has no compatibility of its own".
const NO_OWN_LEVEL: u32 = 40408;

/// Why the registry could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The address is none.
    #[error("schema_registry.url is not an http(s) address ({0}); write for example https://registry.example.com:8081")]
    BadAddress(String),
    /// Credentials belong in their own settings, where they are never printed.
    #[error(
        "schema_registry.url carries a user name; move it to schema_registry.username and schema_registry.password"
    )]
    CredentialsInAddress,
    /// It may come back.
    #[error("the schema registry at {address} does not answer; check schema_registry.url and that it runs")]
    Unreachable { address: String, source: reqwest::Error },
    /// Credentials or rights are missing.
    #[error(
        "the schema registry at {address} refuses {what} ({status}); check schema_registry.username and \
         schema_registry.password, and that they may read and write the subjects"
    )]
    Denied { address: String, what: String, status: StatusCode },
    /// A schema that is registered already cannot be read by ours.
    #[error(
        "the schema registry says that our schema does not fit the ones of subject {subject} ({message}); another \
         program uses this subject: set another topics.prefix, or remove the foreign schema"
    )]
    Incompatible { subject: String, message: String },
    /// It answered, but not as a schema registry does.
    #[error("the schema registry at {address} answered {what} with {status} {message}; check schema_registry.url")]
    Unexpected { address: String, what: String, status: StatusCode, message: String },
    /// Nobody registered this id.
    #[error("the schema registry has no schema of id {0}; was the record written with another registry?")]
    NoSuchId(u32),
    /// It is a schema that cannot be read with.
    #[error("the schema of id {id} cannot be used: {why}")]
    Unusable { id: u32, why: String },
    /// An id that is not the program's own.
    #[error("schema id {0} is not the program's own; set schema_registry.url to the registry it comes from")]
    NoRegistry(u32),
}

impl RegistryError {
    /// May the same question be answered later?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Unexpected { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            _ => false,
        }
    }

    /// Is it an answer about the schema that was asked for, and no failure to ask?
    pub fn is_about_the_schema(&self) -> bool {
        matches!(self, Self::NoSuchId(_) | Self::Unusable { .. } | Self::NoRegistry(_))
    }
}

/// A schema registry and as whom we speak to it.
pub struct Registry {
    http: reqwest::Client,
    address: Url,
    credentials: Option<(String, String)>,
}

/// The address only: credentials do not print.
impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({})", self.address)
    }
}

#[derive(Deserialize)]
struct Id {
    id: u32,
}

#[derive(Deserialize)]
struct Text {
    schema: String,
    #[serde(rename = "schemaType", default)]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Level {
    #[serde(rename = "compatibilityLevel")]
    level: String,
}

/// How the registry words a refusal.
#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(default)]
    error_code: u32,
    #[serde(default)]
    message: String,
}

impl Registry {
    /// A registry at `address`, with user name and password where it asks for them.
    ///
    /// # Errors
    /// [`RegistryError::BadAddress`] or [`RegistryError::CredentialsInAddress`].
    pub fn new(address: &str, credentials: Option<(String, String)>) -> Result<Self, RegistryError> {
        let slashed = format!("{}/", address.trim_end_matches('/'));
        let parsed = Url::parse(&slashed).map_err(|error| RegistryError::BadAddress(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(RegistryError::BadAddress(format!("its scheme is {:?}", parsed.scheme())));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(RegistryError::CredentialsInAddress);
        }
        let http = reqwest::Client::builder().timeout(PATIENCE).build();
        let http = http.map_err(|source| unreachable(&parsed, source))?;
        Ok(Self { http, address: parsed, credentials })
    }

    /// Registers a schema, or finds it registered; tells its id.
    ///
    /// # Errors
    /// [`RegistryError`], `Incompatible` if the subject holds schemas that ours cannot follow.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let request = self.request(Method::POST, &["subjects", subject, "versions"]);
        let request = request.body(json!({ "schema": schema }).to_string());
        match self.answer::<Id>(request, &format!("the schema of {subject}")).await? {
            Ok(Id { id }) => Ok(id),
            Err((StatusCode::CONFLICT, refusal)) => {
                Err(RegistryError::Incompatible { subject: subject.to_owned(), message: refusal.message })
            }
            Err((status, refusal)) => Err(self.unexpected(&format!("the schema of {subject}"), status, refusal)),
        }
    }

    /// Asks for new versions of a subject to be able to read all older ones; a stricter level stays.
    ///
    /// # Errors
    /// [`RegistryError`] if it is not granted.
    pub async fn ask_backward(&self, subject: &str) -> Result<(), RegistryError> {
        let what = format!("the compatibility of {subject}");
        let answer = self.answer::<Level>(self.request(Method::GET, &["config", subject]), &what).await?;
        match answer {
            Ok(Level { level }) if level.starts_with("BACKWARD") || level.starts_with("FULL") => return Ok(()),
            Ok(_) => {}
            Err((StatusCode::NOT_FOUND, Refusal { error_code: NO_OWN_LEVEL | 40401, .. })) => {}
            Err((status, refusal)) => return Err(self.unexpected(&what, status, refusal)),
        }
        let wish = json!({ "compatibility": "BACKWARD" }).to_string();
        let request = self.request(Method::PUT, &["config", subject]).body(wish);
        let answer = self.answer::<serde_json::Value>(request, &what).await?;
        answer.map(|_| ()).map_err(|(status, refusal)| self.unexpected(&what, status, refusal))
    }

    /// The Avro schema of an id.
    ///
    /// # Errors
    /// [`RegistryError`], `NoSuchId` if nobody registered it.
    pub async fn schema(&self, id: u32) -> Result<String, RegistryError> {
        let what = format!("schema id {id}");
        let request = self.request(Method::GET, &["schemas", "ids", &id.to_string()]);
        match self.answer::<Text>(request, &what).await? {
            Ok(Text { kind: Some(kind), .. }) if kind != "AVRO" => {
                Err(RegistryError::Unusable { id, why: format!("it is {kind}, not Avro") })
            }
            Ok(Text { schema, .. }) => Ok(schema),
            Err((StatusCode::NOT_FOUND, Refusal { error_code: 40403, .. })) => Err(RegistryError::NoSuchId(id)),
            Err((status, refusal)) => Err(self.unexpected(&what, status, refusal)),
        }
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.address.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request =
            self.http.request(method, url).header("Accept", CONTENT_TYPE).header("Content-Type", CONTENT_TYPE);
        match &self.credentials {
            Some((username, password)) => request.basic_auth(username, Some(password)),
            None => request,
        }
    }

    /// Sends; the inner error is a refusal that the caller may understand.
    async fn answer<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        what: &str,
    ) -> Result<Result<T, (StatusCode, Refusal)>, RegistryError> {
        let answer = request.send().await.map_err(|source| unreachable(&self.address, source))?;
        let status = answer.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(RegistryError::Denied { address: self.address.to_string(), what: what.to_owned(), status });
        }
        let body = answer.bytes().await.map_err(|source| unreachable(&self.address, source))?;
        if !status.is_success() {
            return Ok(Err((status, serde_json::from_slice(&body).unwrap_or_default())));
        }
        let not_json = |error: serde_json::Error| (status, Refusal { error_code: 0, message: error.to_string() });
        Ok(serde_json::from_slice(&body).map_err(not_json))
    }

    fn unexpected(&self, what: &str, status: StatusCode, refusal: Refusal) -> RegistryError {
        let (address, what) = (self.address.to_string(), what.to_owned());
        RegistryError::Unexpected { address, what, status, message: refusal.message }
    }
}

fn unreachable(address: &Url, source: reqwest::Error) -> RegistryError {
    RegistryError::Unreachable { address: address.to_string(), source: source.without_url() }
}

#[cfg(test)]
mod tests;
