//! Errors of the log, named after what the caller does next.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Why a call to Kafka failed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The brokers may come back: pause, then the same again.
    #[error("Kafka at {bootstrap} does not answer ({cause}); check kafka.bootstrap_servers and that the brokers run")]
    Unreachable { bootstrap: String, cause: KafkaError },
    /// The transaction is lost, the producer is not: abort, then the same batch again.
    #[error("the Kafka transaction has to be aborted")]
    Abort(#[source] KafkaError),
    /// Another process took over with the same name: stop, commit nothing.
    #[error("another process took over as instance {instance:?}; give each process its own `instance` name")]
    Fenced { instance: String, cause: KafkaError },
    /// The client cannot go on; nothing that was committed is lost.
    #[error("the Kafka client failed")]
    Fatal(#[source] KafkaError),
    /// A topic that should be there is not.
    #[error("topic {0} does not exist; run `tributary topology apply`")]
    NoTopic(String),
}

impl JournalError {
    /// Sorts a client error by what to do about it.
    pub fn of(cause: KafkaError, bootstrap: &str, instance: &str) -> Self {
        match &cause {
            KafkaError::Transaction(error) if is_fenced(error.code()) => {
                Self::Fenced { instance: instance.to_owned(), cause }
            }
            KafkaError::Transaction(error) if error.is_fatal() => Self::Fatal(cause),
            KafkaError::Transaction(error) if error.txn_requires_abort() => Self::Abort(cause),
            KafkaError::Transaction(error) if error.is_retriable() => {
                Self::Unreachable { bootstrap: bootstrap.to_owned(), cause }
            }
            KafkaError::MessageConsumptionFatal(code) if is_fenced(*code) => {
                Self::Fenced { instance: instance.to_owned(), cause }
            }
            KafkaError::MessageConsumptionFatal(_) => Self::Fatal(cause),
            _ if cause.rdkafka_error_code().is_some_and(is_transient) => {
                Self::Unreachable { bootstrap: bootstrap.to_owned(), cause }
            }
            _ => Self::Fatal(cause),
        }
    }

    /// May the same call succeed later?
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Abort(_))
    }
}

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{FencedInstanceId, InvalidProducerEpoch, ProducerFenced};
    matches!(code, FencedInstanceId | InvalidProducerEpoch | ProducerFenced | RDKafkaErrorCode::Fenced)
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
    )
}
