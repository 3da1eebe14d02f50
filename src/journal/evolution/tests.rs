//! Changes that are fine, and one test for each that is refused.

use super::*;
use crate::journal::schema::{self, FILES};

const V1: &str = r#"{"type": "record", "name": "Thing", "namespace": "io.tributary", "doc": "A thing.", "fields": [
  {"name": "id", "type": "string", "doc": "Id."},
  {"name": "n", "type": "int", "doc": "Count."},
  {"name": "day", "type": {"type": "int", "logicalType": "date"}, "doc": "UTC day."},
  {"name": "kind", "type": {"type": "enum", "name": "Kind", "doc": "Kind.", "symbols": ["a", "b"]}, "doc": "Kind."},
  {"name": "note", "type": ["null", "string"], "default": null, "doc": "Note."},
  {"name": "parts", "type": {"type": "array", "items": {"type": "record", "name": "Part", "doc": "Part.", "fields": [
    {"name": "amount", "doc": "Amount.",
     "type": {"type": "bytes", "logicalType": "decimal", "precision": 28, "scale": 14}}]}}, "doc": "Parts."}]}"#;

fn file(version: u32, text: &str) -> SchemaFile<'_> {
    SchemaFile { record: "thing", version, text }
}

fn release(file: &SchemaFile<'_>) -> Release {
    Release {
        record: file.record.to_owned(),
        version: file.version,
        id: FIRST_ID + file.version,
        digest: file.digest(),
    }
}

/// The faults of a version 2 that is version 1 with one text replaced.
fn change(from: &str, to: &str) -> Vec<String> {
    assert!(V1.contains(from));
    let text = V1.replacen(from, to, 1);
    let files = [file(1, V1), file(2, &text)];
    let releases: Vec<_> = files.iter().map(release).collect();
    faults(&files, &releases).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(from: &str, to: &str, words: &str) {
    let faults = change(from, to);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains(words), "{faults:?}");
}

#[test]
fn the_schemas_of_this_program_are_sound() {
    assert_eq!(faults(FILES, &schema::releases().unwrap()), []);
}

#[test]
fn what_old_data_still_fits_is_allowed() {
    let id = r#"{"name": "id", "type": "string", "doc": "Id."},"#;
    let none: [String; 0] = [];
    assert_eq!(change(id, &format!(r#"{id} {{"name": "x", "type": "int", "default": 0, "doc": "X."}},"#)), none);
    assert_eq!(change(id, ""), none, "a field may go");
    assert_eq!(change(r#""n", "type": "int""#, r#""n", "type": "long""#), none);
    assert_eq!(change(r#""n", "type": "int""#, r#""n", "type": ["null", "int"], "default": null"#), none);
    assert_eq!(change(r#"["a", "b"]"#, r#"["b", "a", "c"]"#), none);
    assert_eq!(change(r#"["null", "string"]"#, r#"["null", "string", "long"]"#), none);
    assert_eq!(change("A thing.", "A better thing."), none);
}

#[test]
fn what_old_data_does_not_fit_is_refused() {
    refused(r#""name": "id""#, r#""name": "uid""#, "uid is new and has no default");
    refused(r#""n", "type": "int""#, r#""n", "type": "string""#, "n was int and is string");
    refused(r#""id", "type": "string""#, r#""id", "type": "bytes""#, "id was string and is bytes");
    refused(r#", "logicalType": "date""#, "", "logicalType of day was \"date\" and is absent");
    refused(r#""scale": 14"#, r#""scale": 4"#, "scale of parts.amount was 14 and is 4");
    refused(r#""precision": 28"#, r#""precision": 30"#, "precision of parts.amount was 28 and is 30");
    refused(r#"["a", "b"]"#, r#"["a"]"#, "symbol \"b\" of kind is gone");
    refused(r#"["null", "string"], "default": null"#, r#""string", "default": """#, "note was union and is string");
    refused(r#"["null", "string"]"#, r#"["null", "long"]"#, "note could be string and no longer can");
    refused(r#""name": "Kind""#, r#""name": "Sort""#, "renamed");
    assert!(change(r#""name": "Thing""#, r#""name": "Object""#)[0].contains("must be `io.tributary.Thing`"));
    refused(r#""doc": "Count.""#, r#""doc": """#, "field n has no doc");
    refused(r#""doc": "Part.", "#, "", "type Part has no doc");
    refused(r#""type": "int", "doc""#, r#""type": "integer", "doc""#, "is no Avro schema");
}

#[test]
fn a_later_version_is_held_against_every_earlier_one() {
    let v2 = V1.replace(r#""n", "type": "int""#, r#""n", "type": "long""#);
    let v3 = V1.replace(r#""n", "type": "int""#, r#""n", "type": "int", "default": 0"#);
    let files = [file(1, V1), file(2, &v2), file(3, &v3)];
    let releases: Vec<_> = files.iter().map(release).collect();
    let faults = faults(&files, &releases);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].to_string().contains("v3.avsc cannot read what schemas/thing/v2.avsc wrote"), "{faults:?}");
}

#[test]
fn a_released_file_is_never_edited_and_its_id_never_used_again() {
    let (one, edited) = (file(1, V1), V1.replace("A thing.", "Another."));
    let faults_of = |files: &[SchemaFile<'_>], releases: &[Release]| -> Vec<String> {
        faults(files, releases).iter().map(ToString::to_string).collect()
    };
    assert!(faults_of(&[file(1, &edited)], &[release(&one)])[0].contains("was released and is edited"));
    assert!(faults_of(&[], &[release(&one)])[0].contains("is missing"));
    let unreleased = faults_of(&[one, file(2, V1)], &[release(&one)]);
    assert!(unreleased[0].contains("version = 2\nid = 1000000003"), "{unreleased:?}");
    let same_id = [release(&one), Release { id: FIRST_ID + 1, ..release(&file(2, V1)) }];
    assert!(faults_of(&[one, file(2, V1)], &same_id)[0].contains("id 1000000002 twice"));
    assert!(faults_of(&[one], &[Release { id: 7, ..release(&one) }])[0].contains("a registry may give"));
    assert!(faults_of(&[one, file(3, V1)], &[release(&one), release(&file(3, V1))])[0].contains("without gaps"));
}
