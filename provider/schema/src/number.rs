//! Numbers of any size and precision, as cty has them: `3.1` and 2^80 survive every round trip.

use std::fmt;
use std::str::FromStr;

use bigdecimal::num_traits::{FromPrimitive, ToPrimitive};
use bigdecimal::{BigDecimal, RoundingMode};
use num_bigint::BigInt;

/// The longest decimal exponent that is accepted, in digits. A hundred characters of input must not
/// become gigabytes of digits; cty's own numbers have 512 bits of precision.
pub const MAX_EXPONENT: i64 = 100_000;

/// The most significant digits that are accepted. The longest `f64` has 767; cty itself keeps about 154.
pub const MAX_DIGITS: usize = 10_000;

/// A number of any size and precision. Equal numbers are equal however they were written (`1.50 == 1.5`).
///
/// An `f64` becomes the shortest decimal that reads back as the same `f64` (so a provider that stores
/// `3.1` gives back what the configuration said); use [`Number::from_f64_exact`] for its binary value.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number(Repr);

// Canonical: whatever fits an i64 is `Int`, all else is a normalised `Big` (no trailing zeros among its
// digits). So equal numbers have equal parts. The impls of `BigDecimal` itself would do too, but its hash
// writes out every zero of 1e100000.
#[derive(Clone)]
enum Repr {
    Int(i64),
    Big(Box<BigDecimal>),
}

impl PartialEq for Repr {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Repr::Int(a), Repr::Int(b)) => a == b,
            (Repr::Big(a), Repr::Big(b)) => a.as_bigint_and_scale() == b.as_bigint_and_scale(),
            _ => false,
        }
    }
}

impl Eq for Repr {}

impl std::hash::Hash for Repr {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Repr::Int(int) => int.hash(state),
            Repr::Big(big) => big.as_bigint_and_scale().hash(state),
        }
    }
}

impl PartialOrd for Repr {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Repr {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Repr::Int(a), Repr::Int(b)) => a.cmp(b),
            (Repr::Big(a), Repr::Big(b)) => a.cmp(b),
            (Repr::Int(a), Repr::Big(b)) => BigDecimal::from(*a).cmp(b),
            (Repr::Big(a), Repr::Int(b)) => (**a).cmp(&BigDecimal::from(*b)),
        }
    }
}

/// Why a text or float is not a [`Number`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberError(String);

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NumberError {}

impl Number {
    /// The binary value of a float, every digit of it. Fails for infinities and NaN.
    pub fn from_f64_exact(float: f64) -> Result<Number, NumberError> {
        if float.fract() == 0.0 && float.abs() < 9.0e15 {
            return Ok(Number(Repr::Int(float as i64)));
        }
        let exact = BigDecimal::from_f64(float).filter(|_| float.is_finite());
        // `from_f64` of the crate is exact: it expands mantissa and exponent.
        exact.map(Number::from_decimal).ok_or_else(|| NumberError(format!("{float} is not a finite number")))
    }

    /// The shortest decimal that reads back as this float. Fails for infinities and NaN.
    pub fn from_f64(float: f64) -> Result<Number, NumberError> {
        if !float.is_finite() {
            return Err(NumberError(format!("{float} is not a finite number")));
        }
        let short: Number = format!("{float:e}").parse()?;
        // Where two decimals of that length are equally near, Go and JavaScript take the even one, Rust not always;
        // and what Go writes, Terraform compares. Exactly between two such decimals lies what ends in 5 one digit later.
        let digits = short.digits();
        if digits >= 15 {
            let exact = Number::from_f64_exact(float)?;
            if exact.digits() == digits + 1 {
                let even = exact.round_to_significant(digits);
                if even.to_f64() == float {
                    return Ok(even);
                }
            }
        }
        Ok(short)
    }

    /// The number as a decimal of the `bigdecimal` crate.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "symmetric with `to_decimal`, and callers have a fresh one"
    )]
    pub fn from_decimal(decimal: BigDecimal) -> Number {
        Number::from_normal(decimal.normalized())
    }

    // `normal` has no trailing zeros among its digits.
    fn from_normal(normal: BigDecimal) -> Number {
        if normal.fractional_digit_count() <= 0
            && let Some(int) = small_integer(&normal)
        {
            return Number(Repr::Int(int));
        }
        Number(Repr::Big(Box::new(normal)))
    }

    /// The number as a decimal of the `bigdecimal` crate.
    pub fn to_decimal(&self) -> BigDecimal {
        match &self.0 {
            Repr::Int(int) => BigDecimal::from(*int),
            Repr::Big(big) => (**big).clone(),
        }
    }

    /// The number as `i64`, if it is one.
    pub fn to_i64(&self) -> Option<i64> {
        match self.0 {
            Repr::Int(int) => Some(int),
            Repr::Big(_) => None,
        }
    }

    /// The number as `u64`, if it is one.
    pub fn to_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Int(int) => u64::try_from(*int).ok(),
            // The magnitude is looked at first: 1e100000 must not be written out to find that it is too large.
            Repr::Big(big) if self.is_integer() && order(big) <= 20 => big.to_u64(),
            Repr::Big(_) => None,
        }
    }

    /// The number as `i128`, if it is one.
    pub fn to_i128(&self) -> Option<i128> {
        match &self.0 {
            Repr::Int(int) => Some(i128::from(*int)),
            Repr::Big(big) if self.is_integer() && order(big) <= 40 => big.to_i128(),
            Repr::Big(_) => None,
        }
    }

    /// The nearest `f64`; infinite where the number is out of its range.
    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            Repr::Int(int) => *int as f64,
            // The standard library's parser rounds correctly.
            Repr::Big(big) => big.to_scientific_notation().parse().unwrap_or(f64::NAN),
        }
    }

    /// The `f64` that is exactly this number, if there is one: what may go on the wire as a float.
    pub fn to_f64_exact(&self) -> Option<f64> {
        if let Repr::Big(big) = &self.0 {
            // A binary fraction written in decimal ends in 5, and has at most 1074 digits behind the point. That
            // rules out 3.1 without arithmetic on long numbers.
            let (digits, scale) = big.as_bigint_and_scale();
            if scale > 0 && (scale > 1_074 || digits.magnitude() % 10_u32 != num_bigint::BigUint::from(5_u32))
            {
                return None;
            }
            if scale < -400 {
                return None;
            }
        }
        let float = self.to_f64();
        (float.is_finite() && Number::from_f64_exact(float).is_ok_and(|back| back == *self)).then_some(float)
    }

    // How many significant digits it has.
    fn digits(&self) -> u64 {
        self.to_decimal().normalized().digits()
    }

    /// Whether the number has no fraction.
    pub fn is_integer(&self) -> bool {
        match &self.0 {
            Repr::Int(_) => true,
            Repr::Big(big) => big.fractional_digit_count() <= 0,
        }
    }

    /// The number rounded to `digits` significant digits, half to even.
    pub fn round_to_significant(&self, digits: u64) -> Number {
        match std::num::NonZeroU64::new(digits) {
            Some(digits) => {
                Number::from_decimal(self.to_decimal().with_precision_round(digits, RoundingMode::HalfEven))
            }
            None => self.clone(),
        }
    }
}

// How many digits the integer part has, roughly.
fn order(big: &BigDecimal) -> i64 {
    (big.digits() as i64).saturating_sub(big.fractional_digit_count())
}

fn small_integer(normal: &BigDecimal) -> Option<i64> {
    if order(normal) > 19 {
        return None;
    }
    normal.to_i64()
}

impl FromStr for Number {
    type Err = NumberError;

    /// Reads `12`, `-0.5`, `1e9`. The exponent is bounded by [`MAX_EXPONENT`], the digits by [`MAX_DIGITS`]
    /// (zeros at either end do not count, so a long but round number is read).
    fn from_str(text: &str) -> Result<Number, NumberError> {
        if let Ok(int) = text.parse::<i64>() {
            return Ok(Number(Repr::Int(int)));
        }
        let parts = Parts::of(text).ok_or_else(|| {
            NumberError(format!("{:?} is not a number", text.chars().take(40).collect::<String>()))
        })?;
        // All digits as one integer, without the zeros at either end; what they are worth is the exponent.
        let mut digits: Vec<u8> = Vec::with_capacity(parts.whole.len() + parts.fraction.len());
        digits.extend_from_slice(parts.whole.as_bytes());
        digits.extend_from_slice(parts.fraction.as_bytes());
        let trailing = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        digits.truncate(digits.len() - trailing);
        let leading = digits.iter().take_while(|digit| **digit == b'0').count();
        let digits = &digits[leading..];
        if digits.is_empty() {
            return Ok(Number(Repr::Int(0)));
        }
        if digits.len() > MAX_DIGITS {
            return Err(NumberError(format!("the number has more than {MAX_DIGITS} digits")));
        }
        let scale = (parts.fraction.len() as i64 - trailing as i64).saturating_sub(parts.exponent);
        if scale.saturating_abs() > MAX_EXPONENT {
            return Err(NumberError(format!("the exponent of the number is larger than {MAX_EXPONENT}")));
        }
        let magnitude =
            BigInt::parse_bytes(digits, 10).ok_or_else(|| NumberError("not a number".to_owned()))?;
        let signed = if parts.negative { -magnitude } else { magnitude };
        Ok(Number::from_normal(BigDecimal::new(signed, scale)))
    }
}

// A decimal number taken apart: sign, digits before and after the point, exponent.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Parts<'a>> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Parts::exponent(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let complete = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
        complete.then_some(Parts { negative, whole, fraction, exponent })
    }

    // Saturates: what is too large for an i64 is too large anyway.
    fn exponent(text: &str) -> Option<i64> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let size = digits.parse::<i64>().unwrap_or(i64::MAX);
        Some(if text.starts_with('-') { -size } else { size })
    }
}

/// Plain digits where that is short, scientific notation beyond a few hundred digits.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(int) => write!(f, "{int}"),
            Repr::Big(big) if big.fractional_digit_count().abs() > 2_000 => {
                f.write_str(&big.to_scientific_notation())
            }
            Repr::Big(big) => f.write_str(&big.to_plain_string()),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! from_small {
    ($($int:ty),*) => { $(
        impl From<$int> for Number {
            fn from(int: $int) -> Number { Number(Repr::Int(i64::from(int))) }
        }
    )* };
}
from_small!(i8, i16, i32, i64, u8, u16, u32);

impl From<u64> for Number {
    fn from(int: u64) -> Number {
        match i64::try_from(int) {
            Ok(int) => Number(Repr::Int(int)),
            Err(_) => Number::from_decimal(BigDecimal::from(int)),
        }
    }
}

impl From<usize> for Number {
    fn from(int: usize) -> Number {
        Number::from(int as u64)
    }
}

impl From<i128> for Number {
    fn from(int: i128) -> Number {
        Number::from_decimal(BigDecimal::from(BigInt::from(int)))
    }
}

impl From<u128> for Number {
    fn from(int: u128) -> Number {
        Number::from_decimal(BigDecimal::from(BigInt::from(int)))
    }
}

impl serde::Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::Number::from_str(&self.to_string()) {
            Ok(number) => number.serialize(serializer),
            Err(error) => Err(serde::ser::Error::custom(error)),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        number.to_string().parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
