//! Notices when the allocate role begins to read: it logs which partitions it has, once it knows where to read on.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use super::machine::{Others, Watch};

/// Starts a stopwatch with the first partition.
#[derive(Debug, Clone)]
pub struct Reads {
    others: Others,
    watch: Arc<Mutex<Option<Watch>>>,
}

impl Reads {
    pub fn new(others: Others) -> Self {
        Self { others, watch: Arc::default() }
    }

    /// Listens to what this thread logs meanwhile; warnings are shown as ever.
    pub fn during<T>(self, work: impl FnOnce() -> T) -> T {
        // What the Kafka client says of itself is left out, as in the program.
        let shown = Targets::new().with_default(LevelFilter::WARN).with_target("rdkafka", LevelFilter::OFF);
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(shown);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines).with(self), work)
    }

    /// The stopwatch, if the role has begun.
    pub fn watch(&self) -> Option<Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S: Subscriber> Layer<S> for Reads {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let of = event.metadata();
        if *of.level() == Level::INFO && of.target() == "tributary::allocate::worker" {
            let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
            watch.get_or_insert_with(|| Watch::start(self.others));
        }
    }
}
