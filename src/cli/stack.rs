//! What every command stands on: Kafka and Postgres, the configured ones or the embedded ones.

use anyhow::{Context, Result};

use crate::config::Config;
use crate::embedded::{self, EmbeddedError, Services};
use crate::journal::Connection;
use crate::secret::Secret;
use crate::service::Say;

/// Which of the two a command needs.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    pub kafka: bool,
    pub postgres: bool,
}

impl Need {
    /// Kafka and Postgres.
    pub const BOTH: Self = Self { kafka: true, postgres: true };
    /// Only Kafka.
    pub const KAFKA: Self = Self { kafka: true, postgres: false };
    /// Only Postgres.
    pub const POSTGRES: Self = Self { kafka: false, postgres: true };
}

/// Addresses, and the embedded services behind them if we started any.
#[derive(Debug)]
pub struct Stack {
    kafka: Option<String>,
    database_url: Option<Secret>,
    services: Option<Services>,
}

impl Stack {
    /// For the service itself: starts what is not configured; a second one on the same data is refused.
    ///
    /// # Errors
    /// Says what is missing and what to do.
    pub async fn start(config: &Config, need: Need, say: &Say) -> Result<Self> {
        let settings = embedded_settings(config, need);
        let services = embedded::start(settings, &|line| say.line(line)).await?;
        Ok(Self::on(config, services))
    }

    /// For a command that looks at the data: uses embedded services that run already, else starts them for
    /// the length of the command.
    ///
    /// # Errors
    /// Says what is missing and what to do.
    pub async fn attach(config: &Config, need: Need, say: &Say) -> Result<Self> {
        let settings = embedded_settings(config, need);
        match embedded::start(settings.clone(), &|line| say.line(line)).await {
            Ok(services) => Ok(Self::on(config, services)),
            Err(in_use @ EmbeddedError::InUse { .. }) => {
                let running = embedded::running(settings.data_dir.as_deref()).ok_or(in_use)?;
                let kafka = config.kafka.bootstrap_servers.clone().or(running.kafka);
                let url = config.database.url.clone().or_else(|| running.database_url.map(Secret::new));
                Ok(Self { kafka, database_url: url, services: None })
            }
            Err(other) => Err(other.into()),
        }
    }

    fn on(config: &Config, services: Services) -> Self {
        Self {
            kafka: config.kafka.bootstrap_servers.clone().or_else(|| services.kafka_bootstrap()),
            database_url: config.database.url.clone().or_else(|| services.database_url().map(Secret::new)),
            services: Some(services),
        }
    }

    /// The connection to Kafka.
    ///
    /// # Errors
    /// If a property of the configuration breaks a promise.
    pub fn connection(&self, config: &Config) -> Result<Connection> {
        let bootstrap = self.kafka.clone().context("this command did not ask for Kafka")?;
        let Config { kafka, topics, instance, .. } = config;
        Ok(Connection::new(bootstrap, kafka.properties.clone(), topics.prefix.clone(), instance.clone())?)
    }

    /// The address of Postgres, password included: not for printing.
    ///
    /// # Errors
    /// If the command did not ask for Postgres.
    pub fn database_url(&self) -> Result<&str> {
        self.database_url.as_ref().map(Secret::expose).context("this command did not ask for Postgres")
    }

    /// Resolves when an embedded service ended by itself; never, when none does.
    pub fn died(&self) -> impl Future<Output = EmbeddedError> + Send + 'static {
        let died = self.services.as_ref().map(Services::died);
        async move {
            match died {
                Some(died) => died.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Ends what was started for us.
    pub async fn stop(self) {
        if let Some(services) = self.services {
            services.stop().await;
        }
    }
}

fn embedded_settings(config: &Config, need: Need) -> embedded::Settings {
    embedded::Settings {
        data_dir: config.data_dir.clone(),
        kafka: need.kafka && config.kafka.bootstrap_servers.is_none(),
        postgres: need.postgres && config.database.url.is_none(),
    }
}
