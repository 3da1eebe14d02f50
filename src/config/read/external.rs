//! A tenant whose days another program writes: only its rules are configured.

use super::super::kind::{List, object};
use super::super::scalar::Choice;
use super::super::section::Section;
use super::super::{BaseBook, External};
use super::emitter;
use super::rules::{EXTERNAL_WORDS, rules};

pub(super) fn settings(s: &mut Section<'_>) -> External {
    const BOOKS: Choice<BaseBook> = Choice(&[("none", BaseBook::None), ("confluent_cloud", BaseBook::ConfluentCloud)]);
    let doc = "the rules that yours are changes of; `none`: every product type to its resource";
    let starts_from = s.default("rules_of", BOOKS, BaseBook::None, doc);
    let emitters = s.default("emitters", List(object(emitter::of_chargebacks)), vec![], "where rows are written to");
    emitter::compare(s, "emitters", &emitters);
    External { starts_from, rules: rules(s, EXTERNAL_WORDS), emitters }
}
