//! Formats take what they say they take, and nothing like it.

use tfplugin_schema::{Cidr, Duration, Size, Timestamp};

#[test]
fn a_time_is_spelled_as_rfc_3339_says() {
    for text in ["2026-11-22T18:00:00Z", "2026-11-22t18:00:00.25z", "2026-11-22T18:00:00-05:30"] {
        assert!(text.parse::<Timestamp>().is_ok(), "{text}");
    }
    for text in [
        "2026-11-22T18:00:00+01",
        "2026-11-22T18:00:00+0100",
        "2026-11-22T18:00:00+01:00:00",
        "2026-11-22T18:00:00,5Z",
        "2026-11-22T180000.00Z",
        "2026-11-22T18:00:00.Z",
        "2026-11-22 18:00:00Z",
        "2026-11-22T18:00:00Z[UTC]",
        "2026-11-22T25:00:00Z",
        "2026-02-30T18:00:00Z",
        "2026-11-22T18:00:0\u{e9}Z",
    ] {
        assert!(text.parse::<Timestamp>().is_err(), "{text}");
    }
}

#[test]
fn ranges_of_addresses_have_one_spelling() {
    assert!("10.0.0.0/8".parse::<Cidr>().is_ok());
    for text in ["010.0.0.0/8", "10.0.0.0/08", "10.0.0.0/+8", "10.0.0.1/8", "10.0.0.0", "10.0.0.0/33"] {
        assert!(text.parse::<Cidr>().is_err(), "{text}");
    }
}

#[test]
fn spans_and_sizes_are_read_back_as_they_are_written() {
    for seconds in [0, 1, 59, 3_600, 86_399, 31_557_600, 99_999_999, u64::from(u32::MAX)] {
        let span = Duration(std::time::Duration::new(seconds, 1_002_003));
        assert_eq!(span.to_string().parse(), Ok(span));
        let size = Size(seconds << 13);
        assert_eq!(size.to_string().parse(), Ok(size));
    }
    for text in [
        "",
        "B",
        "-1B",
        "1e3B",
        ".5KiB",
        "18446744073709551616B",
        "99999999999999999999999999999999999999999PiB",
    ] {
        assert!(text.parse::<Size>().is_err(), "{text}");
    }
    assert!("99999999999999999999y".parse::<Duration>().is_err());
}
