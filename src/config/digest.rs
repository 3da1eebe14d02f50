//! Names a tenant's configuration, so that a changed one is noticed.

use super::metered::ResourceSource;
use super::{Ecosystem, Metrics, MetricsAuth, Secret, Tenant};

impl Tenant {
    /// A digest of everything configured for the tenant.
    ///
    /// It is kept in Kafka, where others may read it. Of each secret it holds 16 bits: enough to notice that somebody
    /// corrected one, of no use to whoever would try passwords against it.
    pub fn digest(&self) -> String {
        let mut text = format!("{self:?}");
        for secret in secrets(&self.ecosystem) {
            let digest = blake3::hash(secret.expose().as_bytes());
            let [first, second, ..] = digest.as_bytes();
            text.push_str(&format!(" {first:02x}{second:02x}"));
        }
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }
}

fn secrets(ecosystem: &Ecosystem) -> Vec<&Secret> {
    match ecosystem {
        Ecosystem::ConfluentCloud(cloud) => {
            let metrics = cloud.metrics.iter().flat_map(of_metrics);
            let flink = cloud.flink.iter().map(|region| &region.secret);
            [&cloud.api.secret].into_iter().chain(metrics).chain(flink).collect()
        }
        Ecosystem::SelfManagedKafka(cluster) => {
            let sasl = match &cluster.resources {
                ResourceSource::Admin(admin) => admin.sasl.as_ref(),
                ResourceSource::Prometheus => None,
            };
            let password = sasl.map(|sasl| &sasl.password);
            of_metrics(&cluster.metered.metrics).into_iter().chain(password).collect()
        }
        Ecosystem::GenericMetrics(system) => of_metrics(&system.metered.metrics),
        Ecosystem::External(_) => Vec::new(),
    }
}

fn of_metrics(metrics: &Metrics) -> Vec<&Secret> {
    let own = match &metrics.auth {
        MetricsAuth::None => None,
        MetricsAuth::Basic { password, .. } => Some(password),
        MetricsAuth::Bearer { token } => Some(token),
    };
    own.into_iter().chain(metrics.headers.iter().map(|(_, value)| value)).collect()
}
