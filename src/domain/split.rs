//! Splits an amount by weights, to the last digit.
//!
//! In: an amount and weights, in the order of their targets' ids. Out: parts that add up to the amount.
//! Absent: who the targets are, and money as a float: a float is only ever a weight.
//!
//! A part is the exact share rounded down or up to a whole number of units of 10⁻ˢ, s being the larger of 4 and
//! the amount's own scale. What rounding down leaves goes, one unit each, to the largest remainders, ties to
//! the first. So no part changes sign, nobody without weight gets anything, and who weighs more never gets less (weights
//! that differ by less than the last bit of the largest are equal).

use super::Amount;
use super::amount::SCALE;

/// Decimals that a part has at least.
const LEAST_SCALE: u32 = 4;
/// Weights are scaled to integers of this many bits: what a float holds.
const BITS: u32 = 53;
/// Up to this many weights (as a power of two) keep all their bits: remainders are multiplied in 128 bits.
const FULL_PRECISION: u32 = 20;

/// The step of a split, in units of 10⁻¹⁴: parts are whole multiples of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step(u128);

/// Why there is nothing to split by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWeights {
    /// NaN, infinite or below zero.
    #[error("weight {0} is not a finite number of at least 0")]
    NotAWeight(usize),
    /// No weights, or all zero.
    #[error("no weight is above 0")]
    Nothing,
}

/// Splits `total` in proportion to `weights`.
///
/// # Errors
/// [`BadWeights`] if a weight is no weight or all are zero.
pub fn split(total: Amount, weights: &[f64]) -> Result<Vec<Amount>, BadWeights> {
    let mut splitter = Splitter::default();
    Ok(splitter.by_weight(total, Step::of(total), weights.iter().copied())?.to_vec())
}

/// Splits `total` into `count` parts that differ by one step at most, the larger ones first.
pub fn evenly(total: Amount, step: Step, count: u32) -> impl Iterator<Item = Amount> {
    let steps = step.count(total);
    let (least, larger) = match u128::from(count) {
        0 => (0, 0),
        count => (steps / count, steps % count),
    };
    let (small, large) = (step.amount(least, total), step.amount(least + 1, total));
    (0..count).map(move |i| if u128::from(i) < larger { large } else { small })
}

impl Step {
    /// 10⁻ˢ, s being the larger of 4 and the decimals `total` needs.
    pub fn of(total: Amount) -> Self {
        Self(10_u128.pow(SCALE - total.scale().max(LEAST_SCALE)))
    }

    /// How many steps an amount's absolute value has; the amount must be a multiple, as parts of a split are.
    fn count(self, total: Amount) -> u128 {
        debug_assert_eq!(total.units().unsigned_abs() % self.0, 0, "{total} is no multiple of the step");
        total.units().unsigned_abs() / self.0
    }

    /// So many steps with the sign of `like`.
    fn amount(self, steps: u128, like: Amount) -> Amount {
        // Not beyond the amount that was split, which fits.
        let units = (steps * self.0).cast_signed();
        Amount::from_units(if like.units() < 0 { -units } else { units })
    }
}

/// Splits again and again without allocating again and again.
#[derive(Debug, Default)]
pub struct Splitter {
    weights: Vec<u64>,
    remainders: Vec<u128>,
    ranking: Vec<u32>,
    parts: Vec<Amount>,
}

impl Splitter {
    /// Splits by float weights, which are first brought to integers by a common power of two: the largest gets
    /// 53 bits, so a weight 2⁻⁵³ times the largest or less counts as zero.
    ///
    /// # Errors
    /// [`BadWeights`] if a weight is no weight or all are zero.
    pub fn by_weight(
        &mut self,
        total: Amount,
        step: Step,
        weights: impl ExactSizeIterator<Item = f64> + Clone,
    ) -> Result<&[Amount], BadWeights> {
        let mut largest = 0.0_f64;
        for (i, weight) in weights.clone().enumerate() {
            if !(weight >= 0.0 && weight.is_finite()) {
                return Err(BadWeights::NotAWeight(i));
            }
            largest = largest.max(weight);
        }
        if largest == 0.0 {
            return Err(BadWeights::Nothing);
        }
        let (first, second) = scaling(largest, bits_for(weights.len()));
        self.weights.clear();
        self.weights.extend(weights.map(|weight| (weight * first * second) as u64));
        self.divide(total, step);
        Ok(&self.parts)
    }

    /// Splits by whole weights below 2⁵³.
    ///
    /// # Errors
    /// [`BadWeights`] if a weight is too large or all are zero.
    pub fn by_ratio(&mut self, total: Amount, step: Step, ratios: &[u64]) -> Result<&[Amount], BadWeights> {
        if let Some(i) = ratios.iter().position(|ratio| *ratio >> BITS != 0) {
            return Err(BadWeights::NotAWeight(i));
        }
        if ratios.iter().all(|ratio| *ratio == 0) {
            return Err(BadWeights::Nothing);
        }
        self.weights.clear();
        self.weights.extend_from_slice(ratios);
        self.divide(total, step);
        Ok(&self.parts)
    }

    /// Largest remainders. Some weight is above zero.
    fn divide(&mut self, total: Amount, step: Step) {
        let steps = step.count(total);
        let sum: u128 = self.weights.iter().map(|weight| u128::from(*weight)).sum();
        // steps * weight would not fit: the whole multiples of `sum` are dealt with apart.
        let (whole, rest) = (steps / sum, steps % sum);
        let share = Share::new(rest, sum);
        self.parts.clear();
        self.remainders.clear();
        let mut dealt = 0;
        for weight in &self.weights {
            let (quotient, remainder) = share.of(*weight);
            let part = whole * u128::from(*weight) + quotient;
            dealt += part;
            self.parts.push(step.amount(part, total));
            self.remainders.push(remainder);
        }
        self.hand_out(steps - dealt, step.amount(1, total));
        debug_assert_eq!(self.parts.iter().copied().sum::<Amount>(), total);
    }

    /// One step each to the `left` largest remainders. There are always more remainders above zero than that:
    /// they add up to `left` times the sum of the weights, and each is below it.
    fn hand_out(&mut self, left: u128, one: Amount) {
        let Some(last) = usize::try_from(left).ok().and_then(|left| left.checked_sub(1)) else { return };
        let remainders = &self.remainders;
        self.ranking.clear();
        self.ranking.extend((0_u32..).zip(remainders).filter(|(_, r)| **r > 0).map(|(i, _)| i));
        self.ranking
            .select_nth_unstable_by(last, |a, b| remainders[*b as usize].cmp(&remainders[*a as usize]).then(a.cmp(b)));
        for i in &self.ranking[..=last] {
            self.parts[*i as usize] += one;
        }
    }
}

/// Multiplies by weights and divides by their sum, without the slow 128-bit division.
struct Share {
    rest: u128,
    sum: u128,
    /// `rest / sum`, nearly.
    ratio: f64,
}

impl Share {
    /// `rest < sum`, both below 2⁷⁵.
    fn new(rest: u128, sum: u128) -> Self {
        Self { rest, sum, ratio: rest as f64 / sum as f64 }
    }

    /// `rest * weight` divided by `sum`, and the remainder; the weight is below 2⁵³.
    fn of(&self, weight: u64) -> (u128, u128) {
        let product = self.rest * u128::from(weight);
        // Off by a few at most, so the loops below turn a few times at most.
        let mut quotient = u128::from((self.ratio * weight as f64) as u64);
        while quotient * self.sum > product {
            quotient -= 1;
        }
        let mut remainder = product - quotient * self.sum;
        while remainder >= self.sum {
            remainder -= self.sum;
            quotient += 1;
        }
        (quotient, remainder)
    }
}

/// Bits of the largest weight, so that products with remainders stay within 128.
fn bits_for(count: usize) -> u32 {
    let log2 = count.next_power_of_two().trailing_zeros();
    BITS.saturating_sub(log2.saturating_sub(FULL_PRECISION)).max(1)
}

/// Two powers of two whose product brings `largest` into `[2^(bits-1), 2^bits)`; one alone could overflow.
fn scaling(largest: f64, bits: u32) -> (f64, f64) {
    let shift = bits.cast_signed() - 1 - exponent(largest);
    let first = shift / 2;
    (2_f64.powi(first), 2_f64.powi(shift - first))
}

/// The power of two at or below a number above zero.
fn exponent(number: f64) -> i32 {
    const SUBNORMAL: i32 = 200;
    let biased = |number: f64| ((number.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    if number < f64::MIN_POSITIVE { biased(number * 2_f64.powi(SUBNORMAL)) - SUBNORMAL } else { biased(number) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    fn texts(parts: &[Amount]) -> Vec<String> {
        parts.iter().map(ToString::to_string).collect()
    }

    fn even_texts(total: &str, count: u32) -> Vec<String> {
        let total = amount(total);
        texts(&evenly(total, Step::of(total), count).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_left_goes_to_the_first_of_equals() {
        assert_eq!(even_texts("10", 3), ["3.3334", "3.3333", "3.3333"]);
        assert_eq!(even_texts("-10", 3), ["-3.3334", "-3.3333", "-3.3333"]);
        assert_eq!(even_texts("0.0001", 3), ["0.0001", "0", "0"]);
        assert_eq!(even_texts("0.00004", 3), ["0.00002", "0.00001", "0.00001"]);
        assert_eq!(even_texts("0", 2), ["0", "0"]);
        assert!(even_texts("1", 0).is_empty());
    }

    #[test]
    fn what_is_left_goes_to_the_largest_remainder() {
        assert_eq!(texts(&split(amount("10"), &[1.0, 1.0, 4.0]).unwrap()), ["1.6667", "1.6667", "6.6666"]);
        assert_eq!(texts(&split(amount("0.0005"), &[1.0, 0.0, 2.0]).unwrap()), ["0.0002", "0", "0.0003"]);
    }

    #[test]
    fn keeps_the_scale_of_the_line() {
        assert_eq!(texts(&split(amount("1.000001"), &[1.0, 1.0]).unwrap()), ["0.500001", "0.5"]);
    }

    #[test]
    fn refuses_what_is_no_weight() {
        assert_eq!(split(amount("1"), &[]), Err(BadWeights::Nothing));
        assert_eq!(split(amount("1"), &[0.0, -0.0]), Err(BadWeights::Nothing));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            assert_eq!(split(amount("1"), &[1.0, bad]), Err(BadWeights::NotAWeight(1)));
        }
        let one = amount("1");
        let mut splitter = Splitter::default();
        assert_eq!(splitter.by_ratio(one, Step::of(one), &[1 << BITS]), Err(BadWeights::NotAWeight(0)));
        assert_eq!(splitter.by_ratio(one, Step::of(one), &[0]), Err(BadWeights::Nothing));
    }

    #[test]
    fn takes_weights_from_the_smallest_to_the_largest_float() {
        for weight in [f64::from_bits(1), f64::MIN_POSITIVE, 1.0, f64::MAX] {
            assert_eq!(texts(&split(amount("3"), &[weight, weight]).unwrap()), ["1.5", "1.5"]);
        }
        assert_eq!(texts(&split(amount("3"), &[f64::MAX, f64::from_bits(1)]).unwrap()), ["3", "0"]);
    }

    #[test]
    fn does_not_overflow_at_the_border() {
        let largest = Amount::from_units(10_i128.pow(28) - 1);
        for count in [1_usize << 20, (1 << 20) + 1, 1 << 22] {
            // Odd bits everywhere: the least divisible weights there are.
            let weights: Vec<f64> = (0..count).map(|i| ((1_u64 << 53) - 1 - (i as u64 % 7)) as f64).collect();
            let parts = split(largest, &weights).unwrap();
            assert_eq!(parts.iter().copied().sum::<Amount>(), largest);
        }
    }

    fn totals() -> impl Strategy<Value = Amount> {
        let units = (-(10_i128.pow(28)) + 1)..10_i128.pow(28);
        (units, 0_u32..28).prop_map(|(units, shrink)| Amount::from_units(units / 10_i128.pow(shrink)))
    }

    fn weights() -> impl Strategy<Value = Vec<f64>> {
        let weight = prop_oneof![
            2 => Just(0.0),
            4 => (0_u32..5).prop_map(f64::from),
            4 => (0_u64..1 << 53).prop_map(|w| w as f64),
            3 => 0.0..1.0,
            1 => any::<f64>().prop_map(f64::abs).prop_filter("finite", |w| w.is_finite()),
        ];
        prop::collection::vec(weight, 1..40).prop_filter("some", |w| w.iter().any(|w| *w > 0.0))
    }

    proptest! {
        #[test]
        fn parts_add_up_and_keep_sign_and_zero((total, weights) in (totals(), weights())) {
            let parts = split(total, &weights).unwrap();
            prop_assert_eq!(parts.len(), weights.len());
            prop_assert_eq!(parts.iter().copied().sum::<Amount>(), total);
            for (part, weight) in parts.iter().zip(&weights) {
                prop_assert!(part.is_zero() || (part.units() < 0) == (total.units() < 0));
                prop_assert!(*weight > 0.0 || part.is_zero());
            }
        }

        #[test]
        fn who_weighs_more_never_gets_less((total, weights) in (totals(), weights())) {
            let parts = split(total, &weights).unwrap();
            let largest = weights.iter().copied().fold(0.0, f64::max);
            // What differs by less than the last bit of the largest is equal.
            let not_more = |x: f64, y: f64| x - y < largest * 2_f64.powi(-52);
            for (a, x) in parts.iter().zip(&weights) {
                for (b, y) in parts.iter().zip(&weights) {
                    prop_assert!(not_more(*x, *y) || a.units().abs() >= b.units().abs());
                }
            }
        }

        #[test]
        fn a_part_is_less_than_a_step_from_its_exact_share(
            (total, weights) in (totals(), prop::collection::vec(0_u64..1 << 30, 1..40)
                .prop_filter("some", |w| w.iter().any(|w| *w > 0)))
        ) {
            let step = Step::of(total);
            let mut splitter = Splitter::default();
            let parts = splitter.by_ratio(total, step, &weights).unwrap().to_vec();
            let floats: Vec<f64> = weights.iter().map(|w| *w as f64).collect();
            prop_assert_eq!(&parts, &split(total, &floats).unwrap());
            let sum: u64 = weights.iter().sum();
            for (part, weight) in parts.iter().zip(&weights) {
                // |part * sum - total * weight| < step * sum, rearranged so that nothing overflows.
                let (sum, weight) = (i128::from(sum), i128::from(*weight));
                let (q, r) = (total.units() / sum, total.units() % sum);
                let off = (part.units() - q * weight) * sum - r * weight;
                prop_assert!(off.unsigned_abs() < step.0 * sum.unsigned_abs());
            }
        }

        #[test]
        fn order_decides_nothing_but_ties(
            (total, seed) in (totals(), prop::collection::btree_set(1_u64..1 << 40, 1..30)),
            turn in 0_usize..30,
        ) {
            let weights: Vec<f64> = seed.into_iter().map(|w| w as f64).collect();
            let mut turned = weights.clone();
            turned.rotate_left(turn % weights.len());
            let mut parts = split(total, &turned).unwrap();
            parts.rotate_right(turn % weights.len());
            // Equal remainders of unequal weights are the one tie left: amounts may swap by one step.
            let step = Step::of(total).0;
            for (a, b) in parts.iter().zip(split(total, &weights).unwrap()) {
                prop_assert!((*a - b).units().unsigned_abs() <= step);
            }
        }

        #[test]
        fn dividing_by_floats_is_exact((rest, sum, weight) in (any::<u128>(), 1_u128..1 << 73, 0_u64..1 << 53)) {
            let rest = rest % sum;
            let product = rest * u128::from(weight);
            prop_assert_eq!(Share::new(rest, sum).of(weight), (product / sum, product % sum));
        }

        #[test]
        fn even_is_equal_weights((total, count) in (totals(), 1_u32..50)) {
            let even: Vec<Amount> = evenly(total, Step::of(total), count).collect();
            prop_assert_eq!(even, split(total, &vec![1.0; count as usize]).unwrap());
        }
    }
}
