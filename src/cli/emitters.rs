//! Emitters, from the configuration.

use crate::config::{self, Config, Granularity};
use crate::domain::{Aggregation, EmittedRows};
use crate::emit::{Emitter, Sink, gauges};

/// All emitters of all tenants, in the order of the file.
pub fn of(config: &Config) -> Vec<Emitter> {
    let of_tenant = |tenant: &config::Tenant| -> Vec<Emitter> {
        let chargebacks = tenant.ecosystem.emitters().iter().map(|e| emitter(tenant, e, EmittedRows::Chargebacks));
        let topics =
            tenant.ecosystem.topic_emitters().iter().map(|e| emitter(tenant, e, EmittedRows::TopicAttributions));
        chargebacks.chain(topics).collect()
    };
    config.tenants.iter().flat_map(of_tenant).collect()
}

fn emitter(tenant: &config::Tenant, emitter: &config::Emitter, dataset: EmittedRows) -> Emitter {
    Emitter {
        tenant: tenant.tenant_id.clone(),
        name: emitter.name.clone(),
        dataset,
        aggregation: match emitter.aggregation {
            // Hourly is refused where the configuration is read.
            None | Some(Granularity::Hourly) => Aggregation::Rows,
            Some(Granularity::Daily) => Aggregation::Daily,
            Some(Granularity::Monthly) => Aggregation::Monthly,
        },
        lookback_days: emitter.lookback_days,
        cutoff_days: tenant.cutoff_days,
        sink: match emitter.sink.clone() {
            config::Sink::Csv { output_dir, filename_template } => {
                Sink::Csv { folder: output_dir, template: filename_template }
            }
            config::Sink::Prometheus { host, port, prefix, max_series } => {
                Sink::Gauges(gauges::Settings { host, port, prefix, max_series })
            }
        },
    }
}
