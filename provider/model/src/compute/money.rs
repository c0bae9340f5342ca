//! US dollars, exact to a millionth: sums of prices must not depend on the order in which they are added.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Number, Scalar, Type, Value};

/// An amount of US dollars, in millionths. In HCL and JSON it is a number of dollars: `1.39`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u64);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// Millionths of a dollar.
    pub const fn micros(micros: u64) -> Money {
        Money(micros)
    }

    /// The nearest amount to a number of dollars; `None` where it is negative, no number, or above 18 trillion.
    pub fn dollars(dollars: f64) -> Option<Money> {
        let micros = (dollars * 1e6).round();
        // 2^64 is the first that no longer fits.
        (0.0..18_446_744_073_709_551_616.0).contains(&micros).then_some(Money(micros as u64))
    }

    /// In millionths of a dollar.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// In dollars, for ratios and graphs.
    pub fn as_dollars(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// So many of it.
    #[must_use]
    pub const fn times(self, count: u64) -> Money {
        Money(self.0.saturating_mul(count))
    }

    /// What a price per hour comes to over so many milliseconds, to the nearest millionth.
    #[must_use]
    pub fn per_hour_for_ms(self, ms: u64) -> Money {
        let exact = (u128::from(self.0) * u128::from(ms) + 1_800_000) / 3_600_000;
        Money(u64::try_from(exact).unwrap_or(u64::MAX))
    }

    /// What is left after taking `other` away; nothing where that is more.
    #[must_use]
    pub const fn less(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

impl Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Money) {
        *self = *self + other;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(all: I) -> Money {
        all.fold(Money::ZERO, Money::add)
    }
}

impl fmt::Display for Money {
    /// `$1.39`, `$0.0875`: two decimals, and as many more as it has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let digits = format!("{part:06}");
        let more = digits.trim_end_matches('0').len().max(2);
        write!(f, "${whole}.{}", digits.get(..more).unwrap_or(&digits))
    }
}

impl FromStr for Money {
    type Err = String;

    /// Reads dollars as digits, at most six of them after the point.
    fn from_str(text: &str) -> Result<Money, String> {
        let refuse = || "must be an amount of US dollars with at most six decimals, such as 1.39".to_owned();
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
            return Err(refuse());
        }
        let whole: u64 = whole.parse().map_err(|_| refuse())?;
        let part: u64 = format!("{part:0<6}").parse().map_err(|_| refuse())?;
        let micros = whole.checked_mul(1_000_000).and_then(|it| it.checked_add(part));
        micros.map(Money).ok_or_else(refuse)
    }
}

impl Scalar for Money {
    const TYPE: Type = Type::Number;
    const SPELLINGS: bool = false;

    fn parse(value: &Value) -> Result<Money, String> {
        let number = value.as_number().ok_or_else(|| format!("must be a number, not {}", value.kind()))?;
        let scaled = number.to_f64() * 1e6;
        let found = Money::dollars(number.to_f64())
            .ok_or_else(|| "must be an amount of US dollars of at least 0".to_owned())?;
        if (scaled - scaled.round()).abs() > 1e-3 {
            return Err("must have at most six decimals".to_owned());
        }
        Ok(found)
    }

    fn spell(&self) -> Value {
        let (whole, part) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if part == 0 {
            return Value::Number(Number::from(whole));
        }
        Number::from_f64(self.as_dollars()).map_or_else(|_| Value::Number(Number::from(whole)), Value::Number)
    }
}

impl Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1_000_000) {
            serializer.serialize_u64(self.0 / 1_000_000)
        } else {
            serializer.serialize_f64(self.as_dollars())
        }
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        Money::dollars(dollars)
            .ok_or_else(|| serde::de::Error::custom(format!("{dollars} is no amount of US dollars")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_survives_json_and_hcl_to_the_millionth() {
        for micros in [0, 1, 87_500, 1_390_000, 2_000_000, 98_320_000_001, 123_456_789_012] {
            let amount = Money::micros(micros);
            let text = serde_json::to_string(&amount).unwrap();
            assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), amount, "{text}");
            assert_eq!(Money::parse(&amount.spell()).unwrap(), amount);
        }
        assert!(serde_json::from_str::<Money>("-1").is_err());
    }

    #[test]
    fn it_reads_and_shows_dollars() {
        assert_eq!("1.39".parse::<Money>().unwrap(), Money::micros(1_390_000));
        assert!("1.3900001".parse::<Money>().is_err() && "1,39".parse::<Money>().is_err());
        assert_eq!(Money::micros(1_390_000).to_string(), "$1.39");
        assert_eq!(Money::micros(87_500).to_string(), "$0.0875");
        assert_eq!(Money::micros(5_000_000).to_string(), "$5.00");
    }

    #[test]
    fn half_an_hour_costs_half() {
        assert_eq!(Money::micros(1_390_000).per_hour_for_ms(1_800_000), Money::micros(695_000));
        assert_eq!(Money::micros(u64::MAX).per_hour_for_ms(u64::MAX), Money::micros(u64::MAX));
    }
}
