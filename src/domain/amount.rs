//! Exact decimal amounts: 28 digits, 14 of them after the point.
//!
//! An [`Amount`] is a count of 10⁻¹⁴ units, so addition is integer addition and equality is exact.
//! The border is that of Avro `decimal(28,14)` and Postgres `NUMERIC(28,14)`: what is written there
//! is what was computed here. Floats never enter; a provider's number is read from its text.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::de::{IntoDeserializer as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits after the point.
pub const SCALE: u32 = 14;
/// Digits in all.
pub const PRECISION: u32 = 28;
const ONE: i128 = 10_i128.pow(SCALE);
const LIMIT: i128 = 10_i128.pow(PRECISION);

/// An exact amount, in units of 10⁻¹⁴; its absolute value is below 10¹⁴.
///
/// Sums are unchecked in the type's range (an `i128` holds ten billion billion of the largest
/// amount); [`Amount::in_range`] says whether a sum still fits the wire and the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(i128);

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a decimal number: empty, letters, `NaN`, `Infinity`, digit separators.
    #[error("not a decimal number")]
    NotANumber,
    /// Fourteen or more digits before the point, beyond `decimal(28,14)`.
    #[error("more than 14 digits before the decimal point")]
    TooLarge,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From a count of 10⁻¹⁴ units.
    pub const fn from_units(units: i128) -> Self {
        Self(units)
    }

    /// The count of 10⁻¹⁴ units.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// A whole number.
    pub const fn whole(n: i64) -> Self {
        Self(n as i128 * ONE)
    }

    /// From the units in two's complement, the highest byte first; `None` beyond `decimal(28,14)`.
    pub fn from_be_bytes(bytes: &[u8]) -> Option<Self> {
        let is_negative = bytes.first().is_some_and(|first| *first >= 0x80);
        let mut all = if is_negative { [0xff; 16] } else { [0; 16] };
        let start = all.len().checked_sub(bytes.len())?;
        all[start..].copy_from_slice(bytes);
        Some(Self(i128::from_be_bytes(all))).filter(|amount| amount.in_range())
    }

    /// Is it nothing?
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Does it fit `decimal(28,14)`?
    pub const fn in_range(self) -> bool {
        self.0 > -LIMIT && self.0 < LIMIT
    }

    /// Digits after the point that are needed to write it, trailing zeros not counted (0 to 14).
    pub fn scale(self) -> u32 {
        if self.0 == 0 {
            return 0;
        }
        let (mut units, mut scale) = (self.0, SCALE);
        while scale > 0 && units % 10 == 0 {
            units /= 10;
            scale -= 1;
        }
        scale
    }

    /// The product, rounded half-even to 14 decimals once; `None` if it does not fit `decimal(28,14)`.
    pub fn times(self, factor: Self) -> Option<Self> {
        let one = ONE.unsigned_abs();
        let (a, b) = (self.0.unsigned_abs(), factor.0.unsigned_abs());
        let (a1, a0, b1, b0) = (a / one, a % one, b / one, b % one);
        let whole = a1.checked_mul(b1)?.checked_mul(one)?;
        let (low, rest) = (a0 * b0 / one, a0 * b0 % one);
        let units = whole.checked_add(a1.checked_mul(b0)?)?.checked_add(a0.checked_mul(b1)?)?.checked_add(low)?;
        let up = rest > one / 2 || (rest == one / 2 && units % 2 == 1);
        let units = i128::try_from(units + u128::from(up)).ok()?;
        let negative = (self.0 < 0) != (factor.0 < 0);
        Some(Self(if negative { -units } else { units })).filter(|product| product.in_range())
    }

    /// Reads a decimal number in plain or exponent notation, rounding half-even to 14 decimals.
    ///
    /// # Errors
    /// [`AmountError`] if the text is no finite decimal number or does not fit.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let bytes = text.as_bytes();
        let (negative, digits) = match bytes.first() {
            Some(b'-') => (true, &bytes[1..]),
            Some(b'+') => (false, &bytes[1..]),
            _ => (false, bytes),
        };
        let (mantissa, exponent) = split_exponent(digits)?;
        let units = round_to_units(mantissa, exponent)?;
        Ok(Self(if negative { -units } else { units }))
    }
}

/// Splits `12.5e-3` into `12.5` and -3.
fn split_exponent(text: &[u8]) -> Result<(&[u8], i64), AmountError> {
    match text.iter().position(|b| matches!(b, b'e' | b'E')) {
        None => Ok((text, 0)),
        Some(at) => {
            let exponent = std::str::from_utf8(&text[at + 1..]).ok().filter(|e| {
                let digits = e.strip_prefix(['+', '-']).unwrap_or(e);
                !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
            });
            let exponent = exponent.ok_or(AmountError::NotANumber)?;
            // An exponent beyond i64 is a number beyond every border, or indistinguishable from 0.
            let sign = if exponent.starts_with('-') { -1 } else { 1 };
            Ok((&text[..at], exponent.parse().unwrap_or(sign * i64::from(i32::MAX))))
        }
    }
}

/// The unsigned mantissa times 10^exponent, in units, half-even.
fn round_to_units(mantissa: &[u8], exponent: i64) -> Result<i128, AmountError> {
    let point = mantissa.iter().position(|b| *b == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(AmountError::NotANumber);
    }
    // Digit i counts 10^(first - i).
    let first = whole.len() as i64 - 1 + exponent;
    let (mut units, mut rest) = (0_i128, Rest::Nothing);
    for (i, byte) in whole.iter().chain(fraction).enumerate() {
        if !byte.is_ascii_digit() {
            return Err(AmountError::NotANumber);
        }
        let digit = i128::from(byte - b'0');
        let power = first - i as i64 + i64::from(SCALE);
        if power >= 0 {
            if digit != 0 && power >= i64::from(PRECISION) {
                return Err(AmountError::TooLarge);
            }
            if digit != 0 {
                units += digit * 10_i128.pow(power as u32);
            }
        } else {
            rest = rest.next(digit, power == -1);
        }
    }
    let up = match rest {
        Rest::Nothing | Rest::BelowHalf => false,
        Rest::Half => units % 2 == 1,
        Rest::AboveHalf => true,
    };
    let units = units + i128::from(up);
    if units >= LIMIT { Err(AmountError::TooLarge) } else { Ok(units) }
}

/// What stands behind the last digit kept.
#[derive(Clone, Copy)]
enum Rest {
    Nothing,
    BelowHalf,
    Half,
    AboveHalf,
}

impl Rest {
    fn next(self, digit: i128, leading: bool) -> Self {
        match (self, digit, leading) {
            (_, 6..=9, true) => Self::AboveHalf,
            (_, 5, true) => Self::Half,
            (_, 1..=4, true) => Self::BelowHalf,
            (rest, 0, _) => rest,
            (Self::Half, _, false) => Self::AboveHalf,
            (Self::Nothing, _, false) => Self::BelowHalf,
            (rest, _, _) => rest,
        }
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Plain notation without trailing zeros: `12.5`, `-0.00000001`, `0`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (whole, fraction) = (magnitude / ONE.unsigned_abs(), magnitude % ONE.unsigned_abs());
        let text = if fraction == 0 {
            whole.to_string()
        } else {
            let digits = format!("{fraction:014}");
            format!("{whole}.{}", digits.trim_end_matches('0'))
        };
        f.pad_integral(self.0 >= 0, "", &text)
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Amount {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        Self(parts.map(|p| p.0).sum())
    }
}

/// As a `Decimal`, which the Avro codec writes as `decimal(28,14)`.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // rust_decimal is what the Avro codec recognises as a decimal.
        let decimal = Decimal::try_from_i128_with_scale(self.0, SCALE);
        Serialize::serialize(&decimal.map_err(serde::ser::Error::custom)?, serializer)
    }
}

/// From a decimal's text, or from the bytes of `decimal(28,14)`: the units in two's complement, the highest byte first.
impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount with at most 14 decimals")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Amount, E> {
        let decimal: Decimal = Deserialize::deserialize(text.into_deserializer())?;
        let missing = SCALE.checked_sub(decimal.scale()).ok_or_else(|| E::custom("more than 14 decimals"))?;
        Amount(decimal.mantissa() * 10_i128.pow(missing)).checked()
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Amount, E> {
        Amount::from_be_bytes(bytes).ok_or_else(|| E::custom(AmountError::TooLarge))
    }
}

impl Amount {
    fn checked<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.in_range() { Ok(self) } else { Err(E::custom(AmountError::TooLarge)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str) -> Result<i128, AmountError> {
        Amount::parse(text).map(Amount::units)
    }

    #[test]
    fn bytes_and_texts_say_the_same() {
        use serde::de::value::{BytesDeserializer, Error, StrDeserializer};
        let of_bytes = |bytes: &[u8]| Amount::deserialize(BytesDeserializer::<Error>::new(bytes)).map(Amount::units);
        let of_text = |text: &str| Amount::deserialize(StrDeserializer::<Error>::new(text)).map(Amount::units);
        assert_eq!(of_bytes(&[]), Ok(0));
        for units in [0, 1, -1, 127, 128, -128, -129, LIMIT - 1, 1 - LIMIT] {
            let all = i128::to_be_bytes(units);
            let short = (0..16).rev().find(|start| {
                let sign = if units < 0 { 0xff } else { 0 };
                all[..*start].iter().all(|byte| *byte == sign) && (all[*start] >= 0x80) == (units < 0)
            });
            assert_eq!(of_bytes(&all[short.unwrap_or(0)..]), Ok(units));
            assert_eq!(of_bytes(&all), Ok(units));
            assert_eq!(of_text(&Amount::from_units(units).to_string()), Ok(units));
        }
        for units in [LIMIT, -LIMIT, i128::MAX, i128::MIN] {
            assert!(of_bytes(&units.to_be_bytes()).is_err(), "{units}");
        }
        assert!(of_bytes(&[0; 17]).is_err());
        assert!(of_text("0.000000000000001").is_err(), "15 decimals");
    }

    #[test]
    fn products_are_exact_and_rounded_once() {
        let times =
            |a: &str, b: &str| Amount::parse(a).unwrap().times(Amount::parse(b).unwrap()).map(|p| p.to_string());
        assert_eq!(times("72", "0.1523"), Some("10.9656".into()));
        assert_eq!(times("-1.5", "0.2"), Some("-0.3".into()));
        assert_eq!(times("0.00000000000001", "0.5"), Some("0".into()), "half to even");
        assert_eq!(times("0.00000000000003", "0.5"), Some("0.00000000000002".into()), "half to even");
        assert_eq!(times("99999999999999", "1"), Some("99999999999999".into()));
        assert_eq!(times("10000000000000", "10"), None);
        assert_eq!(times("99999999999999", "99999999999999"), None);
    }

    #[test]
    fn reads_plain_and_exponent_notation() {
        assert_eq!(units("1.5"), Ok(150_000_000_000_000));
        assert_eq!(units("-19.20268146"), Ok(-1_920_268_146_000_000));
        assert_eq!(units("1e-07"), Ok(10_000_000));
        assert_eq!(units("1E+3"), Ok(100_000_000_000_000_000));
        assert_eq!(units(".5"), Ok(50_000_000_000_000));
        assert_eq!(units("0e999999999999999999999"), Ok(0));
        assert_eq!(units("1e-999999999999999999999"), Ok(0));
    }

    #[test]
    fn rounds_half_even_at_the_fourteenth_decimal() {
        assert_eq!(units("0.000000000000005"), Ok(0));
        assert_eq!(units("0.000000000000015"), Ok(2));
        assert_eq!(units("0.000000000000025"), Ok(2));
        assert_eq!(units("0.0000000000000250001"), Ok(3));
        assert_eq!(units("-0.000000000000015"), Ok(-2));
        assert_eq!(units("7.7646999999999995"), Ok(776_470_000_000_000));
    }

    #[test]
    fn refuses_what_is_no_number_or_does_not_fit() {
        for text in ["", "-", ".", "abc", "NaN", "Infinity", "1_000", " 2 ", "1e", "1e+", "0x10", "1.2.3", "--1"] {
            assert_eq!(units(text), Err(AmountError::NotANumber), "{text:?}");
        }
        assert_eq!(units("100000000000000"), Err(AmountError::TooLarge));
        assert_eq!(units("99999999999999.999999999999999"), Err(AmountError::TooLarge));
        assert_eq!(units("1e400"), Err(AmountError::TooLarge));
        assert!(units("99999999999999.99999999999999").is_ok());
    }

    #[test]
    fn prints_without_trailing_zeros() {
        for text in ["0", "12.5", "-0.00000001", "99999999999999.99999999999999", "100"] {
            assert_eq!(Amount::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(format!("{:>8}", Amount::parse("-1.5").unwrap()), "    -1.5");
    }

    #[test]
    fn counts_the_decimals_it_needs() {
        assert_eq!(Amount::parse("10.50").unwrap().scale(), 1);
        assert_eq!(Amount::whole(100).scale(), 0);
        assert_eq!(Amount::from_units(1).scale(), 14);
    }
}
