//! The quick way and the ordinary one give the same, whatever comes behind whatever.

use proptest::prelude::*;

use super::*;
use crate::journal::samples;

/// Few enough values that neighbours often agree, odd enough that lengths, signs and nothing are all met.
fn rows() -> impl Strategy<Value = Vec<ChargebackRow<'static>>> {
    let text = || prop::sample::select(vec!["", "a", "lkc-abc", "é\0", &*"x".repeat(200).leak()]);
    let line = (text(), text(), text(), text(), 0..3_u32, 0..2_u32);
    let label = (any::<bool>(), text(), prop::option::of(text()), prop::sample::select(vec![0, 1, u32::MAX]));
    let limit = 10_i128.pow(28);
    let units = (1 - limit..limit, 0..28_u32).prop_map(|(units, shrink)| units / 10_i128.pow(shrink));
    let own = (any::<u32>(), text(), 0..3_u8, units, any::<f64>(), prop::option::of(any::<f64>()));
    let row = (line, label, own).prop_map(|(line, label, own)| ChargebackRow {
        tenant: if line.4 == 0 { "acme" } else { "b" },
        day: samples::chargeback_row().day.plus(line.5.into()),
        revision: line.4,
        ordinal: own.0,
        count: label.3,
        ecosystem: line.0,
        env_id: line.1,
        resource_id: line.2,
        product_category: line.3,
        product_type: line.0,
        identity_id: own.1,
        target: [Target::Identity, Target::Resource, Target::Unallocated][usize::from(own.2)],
        cost_type: if label.0 { CostType::Usage } else { CostType::Shared },
        allocation_method: label.1,
        allocation_detail: label.2,
        amount: Amount::from_units(own.3),
        currency: line.3,
        tier: label.3,
        share: own.4,
        usage: own.5,
    });
    prop::collection::vec(row, 1..12)
}

proptest! {
    #[test]
    fn rows_are_written_as_the_codec_writes_them_and_read_as_it_reads_them(rows in rows()) {
        let codec = Codec::builtin();
        let ordinary: Vec<Vec<u8>> = rows.iter().map(|row| encoded(&codec, row)).collect();
        let (mut writer, mut reader) = (codec.row_writer(), codec.row_reader());
        for (row, bytes) in rows.iter().zip(&ordinary) {
            let mut written = b"before".to_vec();
            writer.write(row, &mut written).unwrap();
            prop_assert_eq!(&written[6..], &bytes[..]);
            let quick = reader.quickly(bytes);
            // NaN is not equal to itself, its bytes are.
            prop_assert_eq!(quick.map(|row| encoded(&codec, &row)), Some(bytes.clone()));
        }
    }

    #[test]
    fn damaged_rows_mean_what_they_mean_to_the_codec(rows in rows(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let codec = Codec::builtin();
        let mut damaged: Vec<Vec<u8>> = rows.iter().map(|row| encoded(&codec, row)).collect();
        for bytes in &mut damaged {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        let cut = damaged.iter().map(|bytes| bytes[..at.index(bytes.len())].to_vec());
        let all: Vec<Vec<u8>> = cut.chain(damaged.iter().cloned()).collect();
        let mut reader = codec.row_reader();
        for bytes in &all {
            let told = |read: Result<ChargebackRow<'_>, DecodeError>| match read {
                Ok(row) => Ok(encoded(&codec, &row)),
                Err(error) => Err(crate::wording::chain(&error)),
            };
            prop_assert_eq!(told(reader.read(bytes)), told(codec.decode(bytes)));
        }
    }
}

fn encoded(codec: &Codec, row: &ChargebackRow<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(row, &mut bytes).unwrap();
    bytes
}

#[test]
fn an_amount_that_does_not_fit_is_told_as_ever_and_leaves_nothing_behind() {
    let codec = Codec::builtin();
    let row = ChargebackRow { amount: Amount::from_units(i128::MAX), ..samples::chargeback_row() };
    let mut out = b"before".to_vec();
    let (quick, ordinary) = (codec.row_writer().write(&row, &mut out), codec.encode(&row, &mut Vec::new()));
    assert_eq!(crate::wording::chain(&quick.unwrap_err()), crate::wording::chain(&ordinary.unwrap_err()));
    assert_eq!(out, b"before");
}

#[test]
fn texts_that_repeat_are_those_of_the_first_row() {
    let codec = Codec::builtin();
    let sample = samples::chargeback_row();
    let (one, two) = (encoded(&codec, &sample), encoded(&codec, &ChargebackRow { ordinal: 2, ..sample }));
    let mut reader = codec.row_reader();
    let (one, two) = (reader.read(&one).unwrap(), reader.read(&two).unwrap());
    assert_eq!((one.ordinal, two.ordinal), (1, 2));
    assert!(std::ptr::eq(one.resource_id, two.resource_id) && !std::ptr::eq(one.identity_id, two.identity_id));
}
