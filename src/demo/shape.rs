//! How made-up usage moves: by the hour, the weekday and the month, with noise that is always the same.
//!
//! In: a seed, a name, an hour. Out: a factor around 1. Absent: clocks, random number generators with state
//! (so nothing depends on the order in which things are made), functions whose last digit differs by machine.

use chrono::{Datelike, Weekday};

use crate::domain::Day;

/// The daily and weekly rhythm of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The same at all hours.
    Steady,
    /// People at their desks: weekdays, 8 to 18.
    Office,
    /// Customers: evenings and weekends are strongest.
    Shop,
    /// A batch from 1 to 5 in the morning.
    Nightly,
    /// Like `Shop`, and half as much again every 30 days.
    Growing,
    /// Like `Shop`, with one day (the 20th) on which everything is read again.
    Replay,
}

const OFFICE: [u32; 24] =
    [2, 2, 2, 2, 2, 4, 10, 40, 150, 260, 290, 280, 220, 260, 290, 280, 250, 180, 90, 40, 20, 10, 5, 3];
const SHOP: [u32; 24] =
    [40, 25, 18, 15, 15, 20, 40, 70, 90, 100, 110, 120, 130, 120, 115, 115, 120, 140, 170, 200, 210, 180, 120, 70];

impl Shape {
    /// Factor for an hour (0 to 23) of a day, the `n`th of the period (from 0).
    pub fn factor(self, day: Day, n: u32, hour: usize) -> f64 {
        let weekend = matches!(day.date().weekday(), Weekday::Sat | Weekday::Sun);
        let shop = f64::from(SHOP[hour]) / 100.0 * if weekend { 1.3 } else { 1.0 };
        match self {
            Self::Steady => 1.0,
            Self::Office => f64::from(OFFICE[hour]) / 100.0 * if weekend { 0.08 } else { 1.0 },
            Self::Shop => shop,
            Self::Nightly if (1..5).contains(&hour) => 6.0,
            Self::Nightly => 0.0,
            Self::Growing => shop * (1.0 + f64::from(n) / 60.0),
            Self::Replay => shop * if n == 19 { 9.0 } else { 1.0 },
        }
    }
}

/// A hash of a seed, a name and a number; equal input gives equal output, for ever.
pub fn hash(seed: u64, name: &str, n: u64) -> u64 {
    let mut state = mix(seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for byte in name.bytes() {
        state = mix(state ^ u64::from(byte));
    }
    state
}

/// The finishing step of SplitMix64: every input bit changes half of the output bits.
fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Noise from `1 - spread` up to `1 + spread`.
pub fn noise(seed: u64, name: &str, n: u64, spread: f64) -> f64 {
    let unit = (hash(seed, name, n) >> 11) as f64 / (1_u64 << 53) as f64;
    1.0 + spread * (2.0 * unit - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_stays_in_its_bounds_and_repeats() {
        let draws: Vec<f64> = (0..1000).map(|n| noise(7, "orders", n, 0.2)).collect();
        assert!(draws.iter().all(|d| (0.8..=1.2).contains(d)));
        assert!(draws.iter().any(|d| *d < 0.85) && draws.iter().any(|d| *d > 1.15));
        assert_eq!(draws[3], noise(7, "orders", 3, 0.2));
        assert_ne!(draws[3], noise(8, "orders", 3, 0.2));
    }

    #[test]
    fn offices_sleep_at_the_weekend_and_shops_do_not() {
        let friday: Day = "2026-02-27".parse().unwrap();
        let of_day = |shape: Shape, day: Day| (0..24).map(|h| shape.factor(day, 0, h)).sum::<f64>();
        assert!(of_day(Shape::Office, friday) > 10.0 * of_day(Shape::Office, friday.plus(1)));
        assert!(of_day(Shape::Shop, friday) < of_day(Shape::Shop, friday.plus(1)));
    }
}
