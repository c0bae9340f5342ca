//! Equality of JSON numbers by value, without rounding.

/// Sign, significant digits and exponent of the last one: equal texts mean equal numbers.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = all.trim_end_matches('0');
        let dropped = i64::try_from(all.len() - significant.len()).ok()?;
        let digits = significant.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(dropped)?;
        Some(Self { negative, digits, exponent })
    }
}

/// Whether two JSON numbers are the same number, however they are written.
pub(super) fn equal(left: &serde_json::Number, right: &serde_json::Number) -> bool {
    let (left, right) = (left.to_string(), right.to_string());
    left == right
        || matches!((Decimal::parse(&left), Decimal::parse(&right)), (Some(left), Some(right)) if left == right)
}

#[cfg(test)]
mod tests {
    fn equal(left: &str, right: &str) -> bool {
        super::equal(&serde_json::from_str(left).unwrap(), &serde_json::from_str(right).unwrap())
    }

    #[test]
    fn numbers_are_equal_by_value_at_any_precision() {
        for (left, right) in [("3", "3.0"), ("3", "3e0"), ("300", "3E+2"), ("-0", "0.00"), ("0.10", "1e-1")] {
            assert!(equal(left, right), "{left} {right}");
        }
        for (left, right) in [
            ("3", "-3"),
            ("3", "30"),
            ("0.1", "0.10000000000000000000001"),
            ("1208925819614629174706176", "1208925819614629174706177"),
        ] {
            assert!(!equal(left, right), "{left} {right}");
        }
    }
}
