//! The cases of `tests/golden/allocation`.

use crate::case::{Case, table, topic_table};

#[track_caller]
fn check(name: &str) {
    let case = Case::read(name);
    let allocation = case.facts().allocate().unwrap();
    let actual = if case.is_of_topics() { topic_table(&allocation) } else { table(&allocation) };
    let expected = case.expected();
    assert!(expected == actual, "{name}: {}\n\nexpected\n{expected}\nactual\n{actual}", case.why);
}

/// Every file must be named in a test below.
macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(concat!(stringify!($name), ".toml")) })*

        #[test]
        fn no_case_is_forgotten() {
            let known = [$(concat!(stringify!($name), ".toml")),*];
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/allocation");
            for file in std::fs::read_dir(folder).unwrap() {
                let name = file.unwrap().file_name().into_string().unwrap();
                assert!(name == "README.md" || known.contains(&name.as_str()), "{name} is in no test");
            }
        }
    };
}

cases! {
    cku_by_usage_and_shared
    cku_negative_with_other_ratios
    cku_all_by_usage
    cku_without_usage
    cku_over_the_tenant
    cku_with_nobody_known
    cku_usage_failed
    network_by_its_own_direction
    network_tiny_line
    network_without_usage
    network_key_without_owner
    network_usage_failed
    kafka_lines_see_all_principals
    kafka_usage_is_zero
    kafka_nobody_known
    kafka_keys_of_other_days
    schema_registry
    connectors
    ksqldb
    flink_by_compute_units
    flink_by_the_older_metric
    flink_inferred
    flink_usage_failed
    flink_nobody_known
    org_wide
    org_wide_with_nobody
    whole_to_the_resource
    remainder_goes_to_the_largest
    zero_lines_have_no_rows
    own_even
    own_by_usage
    own_shares
    own_owner
    own_to_somebody
    own_resource_and_unallocated
    own_first_that_fits
    own_mix
    own_rule_for_unknown_products
    identities_by_map_and_pattern
    identities_by_team
    identities_of_resources
    interval_rule
    usage_out_of_range
    topics_by_bytes_and_evenly
    topics_with_other_methods
    topics_that_nobody_used
    topics_skipped_without_usage
    topics_that_could_not_be_measured
}
