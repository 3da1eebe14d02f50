//! Every record there and back, by our codec and by apache-avro; and bytes that are no record.

use std::fmt::Debug;

use super::*;
use crate::journal::samples;

fn encoded<T: Record + Serialize>(record: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    Codec::builtin().encode(record, &mut bytes).unwrap();
    bytes
}

/// What ours wrote is read by ours and by apache-avro; what apache-avro writes of it is read by ours.
#[track_caller]
fn there_and_back<T>(record: &T)
where
    T: Record + Serialize + Deserialize<'static> + PartialEq + Debug,
{
    let codec = Codec::builtin();
    let bytes: &'static [u8] = encoded(record).leak();
    assert_eq!(&codec.decode::<T>(bytes).unwrap(), record);

    let schema = apache_avro::Schema::parse_str(schema::newest(T::SCHEMA).unwrap().text).unwrap();
    let value = apache_avro::from_avro_datum(&schema, &mut &bytes[HEADER..], None).unwrap();
    let theirs = [&bytes[..HEADER], &apache_avro::to_avro_datum(&schema, value).unwrap()].concat();
    assert_eq!(theirs.len(), bytes.len());
    assert_eq!(&codec.decode::<T>(theirs.leak()).unwrap(), record);
}

#[test]
fn every_record_reads_back_and_apache_avro_agrees() {
    there_and_back(&samples::billing_line());
    there_and_back(&samples::resource());
    there_and_back(&samples::identity());
    there_and_back(&samples::metric_value());
    there_and_back(&samples::day_sealed());
    there_and_back(&samples::chargeback_row());
    there_and_back(&samples::topic_attribution_row());
    there_and_back(&samples::day_allocated());
    there_and_back(&samples::gather_state());
    samples::gather_state_parts().iter().for_each(there_and_back);
    there_and_back(&samples::quarantined());
    there_and_back(&samples::quarantined_row());
}
