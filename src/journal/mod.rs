//! The door to our event log on Kafka.
//!
//! In: domain records. Out: the same records, in the order of their partition, nothing lost, nothing twice.
//! Absent: SQL, vendors, allocation.
