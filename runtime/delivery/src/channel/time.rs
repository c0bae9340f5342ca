//! Instants as whole milliseconds since the Unix epoch, and as the texts of RFC 3339 and XML Schema.

use crate::calendar::{civil, days};

/// `2026-11-26T12:00:00.000Z`.
pub(super) fn utc(ms: u64) -> String {
    let (days, rest) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        rest / 3_600_000,
        rest / 60_000 % 60,
        rest / 1000 % 60,
        rest % 1000
    )
}

/// Why a text is no instant that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTime {
    /// It is not written so.
    Form,
    /// Before 1970.
    Early,
    /// A fraction of a second, which would make one playlist out of each.
    Fraction,
}

/// Reads a date and time of RFC 3339 with whole seconds: `2026-11-26T12:00:00Z`, `2026-11-26T13:00:00+01:00`.
pub(super) fn parse(text: &str) -> Result<u64, NoTime> {
    let bytes = text.as_bytes();
    let number = |from: usize, digits: usize| {
        let part = bytes.get(from..from + digits)?;
        part.iter()
            .all(u8::is_ascii_digit)
            .then(|| part.iter().fold(0_i64, |sum, it| sum * 10 + i64::from(it - b'0')))
    };
    let sign = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|it| wanted.contains(it));
    let all = (|| {
        let punctuated =
            sign(4, b"-") && sign(7, b"-") && sign(10, b"Tt") && sign(13, b":") && sign(16, b":");
        let whole =
            [number(0, 4)?, number(5, 2)?, number(8, 2)?, number(11, 2)?, number(14, 2)?, number(17, 2)?];
        punctuated.then_some(whole)
    })();
    let Some([year, month, day, hour, minute, second]) = all else { return Err(NoTime::Form) };
    let mut at = 19;
    if sign(at, b".") {
        let digits = bytes[at + 1..].iter().take_while(|it| it.is_ascii_digit()).count();
        if digits == 0 || digits > 9 {
            return Err(NoTime::Form);
        }
        if bytes[at + 1..].iter().take(digits).any(|it| *it != b'0') {
            return Err(NoTime::Fraction);
        }
        at += 1 + digits;
    }
    let offset = match bytes.get(at) {
        Some(b'Z' | b'z') if bytes.len() == at + 1 => 0,
        Some(which @ (b'+' | b'-')) if bytes.len() == at + 6 && sign(at + 3, b":") => {
            let (Some(hours), Some(minutes)) = (number(at + 1, 2), number(at + 4, 2)) else {
                return Err(NoTime::Form);
            };
            if hours > 23 || minutes > 59 {
                return Err(NoTime::Form);
            }
            (hours * 60 + minutes) * if *which == b'+' { 60 } else { -60 }
        }
        _ => return Err(NoTime::Form),
    };
    // A leap second is the second after it: clocks that smear never show one.
    if !(1..=12).contains(&month)
        || !(1..=days_of(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return Err(NoTime::Form);
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    u64::try_from(seconds).map(|it| it * 1000).map_err(|_| NoTime::Early)
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Units of a timescale as seconds with six digits, rounded to the nearest.
pub(super) fn seconds(units: u64, timescale: u32) -> String {
    let timescale = u128::from(timescale.max(1));
    let micros = (u128::from(units) * 2_000_000 + timescale) / (2 * timescale);
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// Milliseconds as a duration of XML Schema: `PT12.5S`.
pub(super) fn xml_duration(ms: u64) -> String {
    match ms % 1000 {
        0 => format!("PT{}S", ms / 1000),
        rest => format!("PT{}.{rest:03}S", ms / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_as_it_is_written_in_every_year() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(951_782_400_001), "2000-02-29T00:00:00.001Z");
        for ms in (0..253_402_300_799_000_u64).step_by(86_399_000 * 101) {
            assert_eq!(parse(&utc(ms)), Ok(ms));
        }
        assert_eq!(parse("2026-11-26T13:00:00+01:00"), parse("2026-11-26T12:00:00Z"));
        assert_eq!(parse("2024-02-29T12:00:00Z"), Ok(1_709_208_000_000));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "now",
            "2026",
            "-2026-11-26T12:00:00Z",
            "2026-11-26",
            "2026-11-26T12:00:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-26T24:00:00Z",
            "99999-01-01T00:00:00Z",
            "2026-11-26T12:00:00+0100",
            "2026-11-26T12:00:00.Z",
            "2026-11-26T12:00:00Zx",
            "２026-11-26T12:00:00Z",
            "2026-11-26T12:00:00é",
        ] {
            assert_eq!(parse(text), Err(NoTime::Form), "{text}");
        }
        assert_eq!(parse("0001-01-01T00:00:00Z"), Err(NoTime::Early));
        assert_eq!(parse("2026-11-26T12:00:00.5Z"), Err(NoTime::Fraction));
        assert_eq!(parse("9999-12-31T23:59:59Z"), Ok(253_402_300_799_000));
    }

    #[test]
    fn units_become_seconds_without_a_float() {
        assert_eq!(seconds(51_200, 12_800), "4.000000");
        assert_eq!(seconds(192_512, 48_000), "4.010667");
        assert_eq!(seconds(u64::MAX, 1), "18446744073709551615.000000");
        assert_eq!(xml_duration(12_500), "PT12.500S");
    }
}
