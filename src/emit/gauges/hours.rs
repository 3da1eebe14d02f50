//! A day's cost as the cost of its hours.

use crate::domain::Amount;

/// The 24 parts of a day's cost: equal to the last of 14 decimals, what is left in the last hour, so that they add up.
pub fn hourly(day: Amount) -> [Amount; 24] {
    let part = day.units() / 24;
    let mut hours = [Amount::from_units(part); 24];
    hours[23] = Amount::from_units(day.units() - part * 23);
    hours
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hours_add_up_to_the_day(units in -10_i128.pow(27)..10_i128.pow(27)) {
            let day = Amount::from_units(units);
            let hours = hourly(day);
            prop_assert_eq!(hours.into_iter().sum::<Amount>(), day);
            prop_assert!(hours.iter().all(|hour| (hour.units() - hours[0].units()).abs() < 24));
        }
    }
}
