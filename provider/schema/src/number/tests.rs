//! Numbers of any precision: reading, writing, comparing, hashing.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use bigdecimal::BigDecimal;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

use super::{MAX_DIGITS, Number};

fn number(text: &str) -> Number {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn hash(number: &Number) -> u64 {
    let mut hasher = DefaultHasher::new();
    number.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn equal_numbers_are_equal_however_they_are_written() {
    for (a, b) in [
        ("1.50", "1.5"),
        ("1e3", "1000"),
        ("0.001e3", "1"),
        ("-0", "0"),
        ("0e99999999999999999999", "0"),
        ("00012.100", "12.1"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+7", "7"),
        ("9223372036854775808", "9.223372036854775808E18"),
        ("10000000000000000000000", "1e22"),
    ] {
        assert_eq!(number(a), number(b));
        assert_eq!(hash(&number(a)), hash(&number(b)), "{a} and {b}");
        assert_eq!(number(a).cmp(&number(b)), std::cmp::Ordering::Equal);
    }
}

#[test]
fn what_is_no_number_is_refused() {
    for text in [
        "", "-", ".", "e5", "1e", "1e+", "1.2.3", "0x10", "1_000", "inf", "NaN", " 1", "1 ", "--1", "1e5.0",
        "١",
    ] {
        assert!(text.parse::<Number>().is_err(), "{text:?}");
    }
}

#[test]
fn numbers_are_in_order_across_all_sizes() {
    let ascending = [
        "-1e100000",
        "-1e20",
        "-9223372036854775809",
        "-9223372036854775808",
        "-1.5",
        "-1",
        "-1e-100000",
        "0",
        "1e-100000",
        "0.1",
        "0.5",
        "1",
        "1.0000000000000000000000001",
        "2",
        "9223372036854775807",
        "9223372036854775807.5",
        "9223372036854775808",
        "18446744073709551615",
        "1e20",
        "1e99999",
        "9e99999",
        "1e100000",
    ];
    let numbers: Vec<Number> = ascending.iter().map(|text| number(text)).collect();
    for (i, a) in numbers.iter().enumerate() {
        for (j, b) in numbers.iter().enumerate() {
            assert_eq!(a.cmp(b), i.cmp(&j), "{} and {}", ascending[i], ascending[j]);
            assert_eq!(a == b, i == j);
        }
    }
}

#[test]
fn huge_exponents_cost_little_time() {
    let started = Instant::now();
    let (huge, tiny) = (number("1e100000"), number("-1e-100000"));
    for _ in 0..200 {
        assert!(
            huge > Number::from(1)
                && tiny < Number::from(0)
                && huge > tiny
                && huge > number("123456789e99000")
        );
        assert_ne!(huge, number("1e99999"));
        assert_ne!(hash(&huge), hash(&number("1e99999")));
        assert_eq!((huge.to_u64(), huge.to_i128(), tiny.to_u64()), (None, None, None));
        assert_eq!((huge.to_f64_exact(), tiny.to_f64_exact()), (None, None));
        assert_eq!((huge.to_f64(), tiny.to_f64()), (f64::INFINITY, 0.0));
        assert_eq!(huge.to_string().parse::<Number>(), Ok(huge.clone()));
        assert_eq!(huge.round_to_significant(3), huge);
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn exponents_and_digits_beyond_the_bounds_are_refused_at_once() {
    let started = Instant::now();
    for text in [
        "1e100001",
        "1e-100001",
        "1e999999999999999999999",
        "-1e-999999999999999999999",
        "9e9223372036854775807",
    ] {
        assert!(text.parse::<Number>().is_err(), "{text}");
    }
    assert!("7".repeat(MAX_DIGITS + 1).parse::<Number>().is_err());
    assert!(format!("0.{}1", "0".repeat(1_000_000)).parse::<Number>().is_err());
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn a_long_number_that_is_round_is_read() {
    assert_eq!(number(&format!("1{}", "0".repeat(100_000))), number("1e100000"));
    assert_eq!(number(&format!("0.{}1", "0".repeat(99_999))), number("1e-100000"));
    assert_eq!(number(&"7".repeat(MAX_DIGITS)).to_decimal().digits(), MAX_DIGITS as u64);
}

#[test]
fn the_error_of_a_long_number_is_short() {
    let error = format!("1e{}", "9".repeat(1_000)).parse::<Number>().unwrap_err();
    assert!(error.to_string().len() < 100, "{error}");
}

#[test]
fn the_binary_value_of_a_double_has_every_digit() {
    let tenth = Number::from_f64_exact(0.1).unwrap();
    assert_eq!(tenth.to_string(), "0.1000000000000000055511151231257827021181583404541015625");
    assert_eq!(Number::from_f64(0.1).unwrap().to_string(), "0.1");
    assert_eq!(Number::from_f64_exact(5e-324).unwrap().to_decimal().digits(), 751);
    assert_eq!(Number::from_f64_exact(-0.0).unwrap(), Number::from(0));
    assert_eq!(Number::from_f64_exact(9_223_372_036_854_775_808.0).unwrap(), number("9223372036854775808"));
    for none in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(Number::from_f64_exact(none).is_err() && Number::from_f64(none).is_err());
    }
}

#[test]
fn between_two_shortest_decimals_the_even_one_is_taken() {
    // As Go and JavaScript do; the binary values are …023.25, ….515625, …570.25.
    for (float, text) in [
        (-1_416_253_708_453_023.2, "-1416253708453023.2"),
        (221_162_346_990.515_62, "221162346990.51562"),
        (949_142_132_175_570.2, "949142132175570.2"),
        (5e-324, "5e-324"),
        (0.1, "0.1"),
    ] {
        assert_eq!(Number::from_f64(float).unwrap(), number(text));
    }
}

#[test]
fn only_what_a_double_holds_is_a_double() {
    for text in ["0.5", "-0.75", "1267650600228229401496703205376", "1e22", "9007199254740992", "1.5"] {
        assert!(number(text).to_f64_exact().is_some(), "{text}");
    }
    for text in ["3.1", "0.1", "0.05", "1e23", "9007199254740993", "1e400", "0.15", "1e-400"] {
        assert!(number(text).to_f64_exact().is_none(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn each_finite_double_survives_exactly(bits in any::<u64>()) {
        let float = f64::from_bits(bits);
        if float.is_finite() {
            let exact = Number::from_f64_exact(float).unwrap();
            prop_assert_eq!(exact.to_f64_exact(), Some(float));
            prop_assert_eq!(exact.to_f64(), float);
            // The sum of its bits, computed another way: scaled by a power of two it is the mantissa.
            prop_assert_eq!(&exact.to_decimal(), &mantissa_times_power(float));
            let shortest = Number::from_f64(float).unwrap();
            prop_assert_eq!(shortest.to_f64(), float);
        }
    }

    #[test]
    fn order_equality_and_hash_agree(a in any::<i64>(), b in any::<i64>(), s in 0_i64..30, t in 0_i64..30) {
        let (x, y) = (BigDecimal::new(a.into(), s), BigDecimal::new(b.into(), t));
        let (m, n) = (Number::from_decimal(x.clone()), Number::from_decimal(y.clone()));
        prop_assert_eq!(m.cmp(&n), x.cmp(&y));
        prop_assert_eq!(m == n, x == y);
        prop_assert!(m != n || hash(&m) == hash(&n));
        prop_assert_eq!(m.to_string().parse::<Number>().unwrap(), m);
    }
}

fn mantissa_times_power(float: f64) -> BigDecimal {
    let bits = float.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, power) =
        if exponent == 0 { (fraction, -1_074) } else { (fraction | 1 << 52, exponent - 1_075) };
    let two = BigDecimal::from(2);
    let half = BigDecimal::new(5.into(), 1);
    let factor = (0..power.abs())
        .fold(BigDecimal::from(1), |product, _| product * if power < 0 { &half } else { &two });
    let magnitude = BigDecimal::from(mantissa) * factor;
    if float.is_sign_negative() { -magnitude } else { magnitude }
}
