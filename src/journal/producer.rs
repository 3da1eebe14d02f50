//! Writes records in Kafka transactions: all of them, or none.
//!
//! Every call blocks: run it on a thread of its own or in `spawn_blocking`.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientContext, TopicPartitionList};

use super::error::JournalError;
use super::settings::Connection;
use super::topic::Topic;

/// How long one call to the transaction coordinator may take before it is asked again.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is asked. Whoever waits longer could not be stopped either, and loses nothing by beginning anew.
const ATTEMPTS: u32 = 4;
/// When a call is believed to hang. The client forgets the limit of some calls while a coordinator goes away (its issues
/// 5456 and 5511), and would not come back from them for as long as nothing else moves.
const HUNG: Duration = Duration::from_secs(45);
/// How often a commit looks whether all its records are written.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Records between two looks at the client's queue of failures.
const POLL_EVERY: u32 = 1024;

/// How long a transaction of the usual size may stand open. Readers of committed records wait behind it, so this bounds
/// how long a process that dies in the middle of one holds up the others.
const SHORT: Duration = Duration::from_secs(15);
/// The same where whoever takes over has the same name, and ends at once what was left open.
const PATIENT: Duration = Duration::from_secs(60);
/// The same for a transaction with many records, which takes its time on a slow road: 1.5 million at 5,000 a second.
const LONG: Duration = Duration::from_secs(300);
/// Records that a transaction of the usual size has at most.
const USUAL: usize = 50_000;

/// A producer that fences every earlier one of the same instance and role.
pub struct TransactionalProducer {
    /// Shared with calls that are under way, also with one that never comes back.
    inner: Arc<BaseProducer<Deliveries>>,
    /// Does the client report every record, or only those that were refused?
    telling: bool,
    /// Records of the open transaction.
    sent: usize,
    connection: Connection,
    role: String,
    /// How long the broker lets a transaction stand open.
    limit: Duration,
    /// Since when a transaction may be open.
    begun: Instant,
    since_poll: u32,
    names: Vec<(Topic, String)>,
}

impl std::fmt::Debug for TransactionalProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TransactionalProducer({:?})", self.connection)
    }
}

/// Where a consumer group reads on: part of the transaction that writes what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextOffset {
    pub topic: Topic,
    pub partition: i32,
    /// The offset to read next.
    pub offset: i64,
}

impl TransactionalProducer {
    /// Connects and aborts what a crashed predecessor of the same name left open.
    ///
    /// # Errors
    /// [`JournalError::Unreachable`] if the brokers do not answer in time.
    pub fn new(connection: &Connection, role: &str) -> Result<Self, JournalError> {
        Self::with_limit(connection, role, SHORT, false)
    }

    /// As [`Self::new`], and [`Self::delivered`] tells where each record lies. For small transactions.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn telling(connection: &Connection, role: &str) -> Result<Self, JournalError> {
        Self::with_limit(connection, role, SHORT, true)
    }

    /// As [`Self::new`], for transactions of any size under a name that goes to whoever does the work next.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn patient(connection: &Connection, role: &str) -> Result<Self, JournalError> {
        Self::with_limit(connection, role, PATIENT, false)
    }

    fn with_limit(connection: &Connection, role: &str, limit: Duration, telling: bool) -> Result<Self, JournalError> {
        let names = Topic::all().iter().map(|topic| (*topic, connection.topic(*topic))).collect();
        let inner = connect(connection, role, limit, telling)?;
        let (connection, role) = (connection.clone(), role.to_owned());
        Ok(Self { inner, telling, sent: 0, connection, role, limit, begun: Instant::now(), since_poll: 0, names })
    }

    /// The one producer of a tenant's memory: opening it puts out whoever gathers the tenant, in whatever process.
    ///
    /// Two processes that gathered a tenant at the same time would give the same revision number to different facts, so
    /// the name goes with the tenant and not with the process: only the last one opened can commit.
    ///
    /// # Errors
    /// [`JournalError`] if the brokers do not answer in time.
    pub fn of_tenant(connection: &Connection, tenant: &str) -> Result<Self, JournalError> {
        Self::patient(&connection.as_instance("tenant"), &format!("gather-{tenant}"))
    }

    /// Opens a transaction.
    ///
    /// # Errors
    /// [`JournalError`] if the producer is fenced or beyond use.
    pub fn begin(&mut self) -> Result<(), JournalError> {
        self.begun = Instant::now();
        self.sent = 0;
        self.inner.context().forget();
        self.inner.begin_transaction().map_err(|cause| self.sort(cause))
    }

    /// Opens a transaction for about so many records: many get more time, which the broker is told by connecting anew.
    ///
    /// Connecting puts out any other producer of this name, also one that had put us out. So this is only for those whose
    /// transactions hold a group's positions ([`Self::send_offsets`]): these keep out whoever lost the partitions.
    ///
    /// # Errors
    /// [`JournalError`] if the producer is beyond use, or if the brokers do not answer in time.
    pub fn begin_for(&mut self, records: usize) -> Result<(), JournalError> {
        let limit = if records <= USUAL { SHORT } else { LONG };
        if limit != self.limit {
            self.inner = connect(&self.connection, &self.role, limit, self.telling)?;
            self.limit = limit;
        }
        self.begin()
    }

    /// Queues one record; waits while the client's buffer is full. `None` as payload is a tombstone.
    ///
    /// Without a partition the key decides, as in Java's clients.
    ///
    /// # Errors
    /// [`JournalError`] if the record can never be sent or the producer is beyond use.
    pub fn send(
        &mut self,
        topic: Topic,
        partition: Option<i32>,
        key: &[u8],
        payload: Option<&[u8]>,
    ) -> Result<(), JournalError> {
        let name = self.names.iter().find(|(t, _)| *t == topic).map_or("", |(_, name)| name.as_str());
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(name, self.sent).key(key);
        record.partition = partition;
        record.payload = payload;
        loop {
            match self.inner.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), unsent)) => {
                    self.inner.poll(Duration::from_millis(20));
                    record = unsent;
                }
                // A record sent earlier was refused for good, so the client takes no more of this transaction.
                Err((cause @ KafkaError::MessageProduction(RDKafkaErrorCode::State), _)) => {
                    return Err(JournalError::Abort(cause));
                }
                Err((cause, _)) => return Err(self.sort(cause)),
            }
        }
        self.sent += 1;
        self.since_poll += 1;
        if self.since_poll >= POLL_EVERY {
            self.since_poll = 0;
            self.inner.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Adds the positions of a consumer group to the transaction.
    ///
    /// # Errors
    /// [`JournalError::Rebalanced`] if the group moved on without us, others as for `commit`.
    pub fn send_offsets(&mut self, next: &[NextOffset], group: ConsumerGroupMetadata) -> Result<(), JournalError> {
        let mut list = TopicPartitionList::with_capacity(next.len());
        for NextOffset { topic, partition, offset } in next {
            let name = self.connection.topic(*topic);
            list.add_partition_offset(&name, *partition, rdkafka::Offset::Offset(*offset))
                .map_err(|cause| self.sort(cause))?;
        }
        self.patiently(move |inner| inner.send_offsets_to_transaction(&list, &group, PATIENCE))
    }

    /// Waits until every record of the open transaction has a place, and tells partition and offset in the order they were
    /// sent. Nobody sees them before [`Self::commit`].
    ///
    /// # Errors
    /// [`JournalError`] if a record was refused or the brokers do not answer; nothing will be visible.
    pub fn delivered(&self) -> Result<Vec<(i32, i64)>, JournalError> {
        self.patiently(|inner| inner.flush(PATIENCE))?;
        self.inner.context().places(self.sent).map_err(|cause| self.sort(cause))
    }

    /// Makes the transaction's records visible, all at once.
    ///
    /// # Errors
    /// [`JournalError::Abort`]: nothing is visible, call [`Self::abort`] and do the batch again.
    /// [`JournalError::Unreachable`] and [`JournalError::Hung`] leave open whether it is visible: only a new producer
    /// finds out.
    pub fn commit(&mut self) -> Result<(), JournalError> {
        let written = self.wait_until_written();
        // Kafka's client has been seen to deliver nothing more after an outage where a new one delivered at once. Who has
        // few records to write and begins anew cheaply need not wait for the end of the transaction's minute.
        if !written && self.limit == PATIENT {
            return Err(hung(&self.connection));
        }
        self.patiently(|inner| inner.commit_transaction(PATIENCE))
    }

    /// Waits until the brokers have every record, or until that takes too long for a commit. Have they?
    ///
    /// A commit waits for that, too, but looks every 100 ms only: the client reports failures, and success by silence.
    fn wait_until_written(&self) -> bool {
        let since = Instant::now();
        while self.inner.in_flight_count() > 0 {
            if since.elapsed() >= PATIENCE {
                return false;
            }
            self.inner.poll(LOOK_EVERY);
        }
        true
    }

    /// Discards the transaction's records.
    ///
    /// # Errors
    /// [`JournalError`] if the producer is fenced or beyond use.
    pub fn abort(&mut self) -> Result<(), JournalError> {
        self.patiently(|inner| inner.abort_transaction(PATIENCE))
    }

    /// Asks again while the coordinator is away, for a minute in all.
    fn patiently<C>(&self, call: C) -> Result<(), JournalError>
    where
        C: Fn(&BaseProducer<Deliveries>) -> Result<(), KafkaError> + Send + Sync + 'static,
    {
        let call = Arc::new(call);
        let mut attempt = 1;
        loop {
            let (inner, call) = (Arc::clone(&self.inner), Arc::clone(&call));
            let answer = within(HUNG, move || call(&inner));
            let answer = answer.ok_or_else(|| hung(&self.connection))?;
            match answer.map_err(|cause| self.sort(cause)) {
                Err(JournalError::Unreachable { cause, .. }) if attempt < ATTEMPTS => {
                    tracing::warn!(%cause, "Kafka does not answer, asking again");
                    self.inner.poll(Duration::from_millis(200));
                    attempt += 1;
                }
                settled => return settled,
            }
        }
    }

    fn sort(&self, cause: KafkaError) -> JournalError {
        match JournalError::of(cause, self.connection.bootstrap(), self.connection.instance()) {
            // The broker puts out whoever kept a transaction open for too long, as a successor would.
            JournalError::Fenced { cause, .. } if self.begun.elapsed() >= self.limit => JournalError::Overdue(cause),
            error => error,
        }
    }
}

/// Partition and offset of a record, or why it has none.
type Delivered = Result<(i32, i64), KafkaError>;

/// Where the records of the open transaction lie, by the order they were sent in, as far as the client has said.
#[derive(Debug)]
struct Deliveries {
    /// Is anything kept?
    telling: bool,
    told: Mutex<Vec<Option<Delivered>>>,
}

impl Deliveries {
    fn forget(&self) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn places(&self, count: usize) -> Result<Vec<(i32, i64)>, KafkaError> {
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        let silent = || Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut));
        let mut told = told.into_iter();
        (0..count).map(|_| told.next().flatten().unwrap_or_else(silent)).collect()
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    /// How many records of the transaction were sent before.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, at: usize) {
        if !self.telling {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() <= at {
            told.resize(at + 1, None);
        }
        told[at] = Some(match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((cause, _)) => Err(cause.clone()),
        });
    }
}

/// What a call says, if it comes back in time. If not, its thread is left behind with all it holds.
fn within<T: Send + 'static>(limit: Duration, call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (answer, answered) = mpsc::sync_channel(1);
    let called = std::thread::Builder::new().name("transaction".to_owned()).spawn(move || {
        // Nobody may wait for it any more.
        let _ = answer.send(call());
    });
    called.ok()?;
    answered.recv_timeout(limit).ok()
}

/// Connects as this role of this instance; whoever was it before is put out, and what it left open is aborted.
fn connect(
    connection: &Connection,
    role: &str,
    limit: Duration,
    telling: bool,
) -> Result<Arc<BaseProducer<Deliveries>>, JournalError> {
    let sort = |cause| JournalError::of(cause, connection.bootstrap(), connection.instance());
    let mut config = connection.producer_config(role, limit);
    if telling {
        config.set("delivery.report.only.error", "false");
    }
    let deliveries = Deliveries { telling, told: Mutex::default() };
    let inner: Arc<BaseProducer<Deliveries>> = Arc::new(config.create_with_context(deliveries).map_err(sort)?);
    let called = Arc::clone(&inner);
    let answer = within(HUNG, move || called.init_transactions(PATIENCE));
    answer.ok_or_else(|| hung(connection))?.map_err(sort)?;
    Ok(inner)
}

fn hung(connection: &Connection) -> JournalError {
    JournalError::Hung { bootstrap: connection.bootstrap().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_never_comes_back_is_left_behind() {
        let (_kept, never) = mpsc::channel::<()>();
        assert_eq!(within(Duration::from_millis(20), move || never.recv().is_ok()), None);
        assert_eq!(within(Duration::from_secs(60), || 7), Some(7));
    }
}
