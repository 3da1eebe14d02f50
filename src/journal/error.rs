//! Errors of the log, named after what the caller does next.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::codec::DecodeError;

/// Why a call to Kafka failed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The brokers may come back: pause, then the same again.
    #[error(
        "Kafka at {bootstrap} does not answer ({cause}); check kafka.bootstrap_servers, the security settings in \
         kafka.properties, and that the brokers run"
    )]
    Unreachable { bootstrap: String, cause: KafkaError },
    /// The brokers answer, and say no: an operator has to act.
    #[error(
        "Kafka at {bootstrap} refuses us ({cause}); check the credentials in kafka.properties and that this user may \
         read, write and describe the topics, groups and transactional ids with the configured prefix"
    )]
    Denied { bootstrap: String, cause: KafkaError },
    /// The transaction is lost, the producer is not: abort, then the same batch again.
    #[error("the Kafka transaction has to be aborted")]
    Abort(#[source] KafkaError),
    /// The group gave our partitions away while a transaction was open: forget what was read, read again.
    #[error("the partitions moved to another member of the consumer group before what was read of them was committed")]
    Rebalanced(#[source] KafkaError),
    /// Another process took over with the same name: stop, commit nothing.
    #[error(
        "another process took over as instance {instance:?}; give each process its own `instance` name, then start this \
         one again"
    )]
    Fenced {
        instance: String,
        #[source]
        cause: KafkaError,
    },
    /// The broker aborted a transaction that stood open for too long, and put its producer out: begin anew.
    #[error(
        "a transaction stood open for too long, so Kafka aborted it; where Kafka is that slow, raise \
         transaction.timeout.ms in kafka.properties"
    )]
    Overdue(#[source] KafkaError),
    /// A call did not come back although its time was long up: leave the client behind, begin anew with another one.
    #[error("the Kafka client at {bootstrap} does not come back from a call; beginning anew with another one")]
    Hung { bootstrap: String },
    /// A transaction that should have been ended long ago still holds up readers: wait on, and tell an operator.
    #[error(
        "a transaction stands open in {place} for longer than Kafka allows, and everybody who reads it waits; find it with \
         `kafka-transactions.sh find-hanging` and end it with `kafka-transactions.sh abort`"
    )]
    Unsettled { place: String },
    /// The client cannot go on; nothing that was committed is lost.
    #[error("the Kafka client failed")]
    Fatal(#[source] KafkaError),
    /// What others were told long ago is not understood here.
    #[error(
        "{place} cannot be read; run the version of Tributary that wrote it, or a newer one; if Tributary never wrote it, \
         write a tombstone under its key"
    )]
    Unreadable {
        place: String,
        #[source]
        source: Box<DecodeError>,
    },
    /// A topic that should be there is not.
    #[error("topic {0} does not exist; run `tributary topology apply`")]
    NoTopic(String),
    /// As [`Self::NoTopic`], where the client does not say which; a new topic takes a moment to be known everywhere.
    #[error("a topic or one of its partitions does not exist; run `tributary topology apply`")]
    UnknownTopic(#[source] KafkaError),
}

impl JournalError {
    /// Sorts a client error by what to do about it.
    pub fn of(cause: KafkaError, bootstrap: &str, instance: &str) -> Self {
        let (bootstrap, instance) = (|| bootstrap.to_owned(), || instance.to_owned());
        let code = cause.rdkafka_error_code();
        match &cause {
            _ if code.is_some_and(is_fenced) => Self::Fenced { instance: instance(), cause },
            _ if code.is_some_and(is_denied) => Self::Denied { bootstrap: bootstrap(), cause },
            KafkaError::Transaction(error) if error.is_fatal() => Self::Fatal(cause),
            KafkaError::Transaction(error) if error.txn_requires_abort() => match code.is_some_and(is_rebalance) {
                true => Self::Rebalanced(cause),
                false => Self::Abort(cause),
            },
            KafkaError::Transaction(error) if error.is_retriable() => {
                Self::Unreachable { bootstrap: bootstrap(), cause }
            }
            KafkaError::MessageConsumptionFatal(_) => Self::Fatal(cause),
            _ if code.is_some_and(is_transient) => Self::Unreachable { bootstrap: bootstrap(), cause },
            _ if code.is_some_and(is_unknown_topic) => Self::UnknownTopic(cause),
            _ => Self::Fatal(cause),
        }
    }

    /// May the same call succeed later?
    pub fn is_transient(&self) -> bool {
        use JournalError::{Abort, Hung, Overdue, Rebalanced, UnknownTopic, Unreachable, Unsettled};
        let waits = matches!(self, Unreachable { .. } | Hung { .. } | Unsettled { .. } | UnknownTopic(_));
        waits || matches!(self, Abort(_) | Overdue(_) | Rebalanced(_))
    }

    /// Is this client of no more use, although another one may be?
    pub fn breaks_the_client(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::Fatal(_))
    }
}

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{FencedInstanceId, InvalidProducerEpoch, ProducerFenced};
    matches!(code, FencedInstanceId | InvalidProducerEpoch | ProducerFenced | RDKafkaErrorCode::Fenced)
}

fn is_denied(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
    )
}

/// What the group coordinator answers to positions of a member that is none any more.
fn is_rebalance(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Code::IllegalGeneration | Code::UnknownMemberId | Code::RebalanceInProgress)
}

fn is_unknown_topic(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition)
}

fn is_transient(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::RequestTimedOut
            | Code::TimedOutQueue
            | Code::BrokerNotAvailable
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NotEnoughReplicas
            | Code::Retry
            // The worker was busy (a database away); the group takes us in again with the next poll.
            | Code::PollExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: RDKafkaErrorCode) -> JournalError {
        JournalError::of(KafkaError::MessageConsumption(code), "host:9092", "one")
    }

    #[test]
    fn an_outage_is_waited_for_and_a_refusal_is_told() {
        use RDKafkaErrorCode as Code;
        for code in [Code::AllBrokersDown, Code::OperationTimedOut, Code::PollExceeded, Code::UnknownTopicOrPartition] {
            assert!(of(code).is_transient(), "{code}");
        }
        for code in [Code::TopicAuthorizationFailed, Code::SaslAuthenticationFailed] {
            let error = of(code);
            assert!(matches!(error, JournalError::Denied { .. }) && !error.is_transient(), "{code}");
            assert!(error.to_string().contains("kafka.properties"), "{error}");
        }
    }

    #[test]
    fn a_member_with_our_name_puts_us_out_for_good() {
        let error = of(RDKafkaErrorCode::FencedInstanceId);
        assert!(matches!(error, JournalError::Fenced { .. }) && !error.is_transient());
    }

    #[test]
    fn what_nobody_foresaw_is_not_repeated_for_ever() {
        assert!(matches!(of(RDKafkaErrorCode::InvalidMessageSize), JournalError::Fatal(_)));
    }
}
