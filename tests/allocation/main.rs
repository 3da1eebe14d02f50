//! Allocation through its one door: facts in, rows out.
//!
//! `golden`: every way a cost can go, as cases a person can read. `laws`: what holds for any day.
//! `rate_card`: the same from measurements on. `refusals`: days that break a law.

mod case;
mod golden;
mod laws;
mod rate_card;
mod refusals;
