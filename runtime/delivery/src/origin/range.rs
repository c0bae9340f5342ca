//! Byte ranges (RFC 9110 section 14): which part of an object a request means.

use std::ops::Range;

/// What a `Range` field asks of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: there is no field, or one that may be ignored (section 14.2: another unit, a broken one, several ranges).
    Whole,
    /// These bytes; never empty, never beyond the end.
    Part(Range<u64>),
    /// None that it has: 416.
    Nothing,
}

/// Reads a `Range` field for an object of `size` bytes.
pub fn wanted(field: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = field.and_then(bytes_of) else { return Wanted::Whole };
    // Several ranges would need multipart/byteranges, which no player asks for; a server may answer with all of it.
    if spec.contains(',') {
        return Wanted::Whole;
    }
    let Some((first, last)) = spec.trim_matches([' ', '\t']).split_once('-') else { return Wanted::Whole };
    match (first, last) {
        ("", suffix) => match number(suffix) {
            None => Wanted::Whole,
            Some(0) => Wanted::Nothing,
            Some(_) if size == 0 => Wanted::Nothing,
            Some(length) => Wanted::Part(size.saturating_sub(length)..size),
        },
        (first, "") => match number(first) {
            None => Wanted::Whole,
            Some(first) if first >= size => Wanted::Nothing,
            Some(first) => Wanted::Part(first..size),
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => match first < size {
                true => Wanted::Part(first..last.saturating_add(1).min(size)),
                false => Wanted::Nothing,
            },
            _ => Wanted::Whole,
        },
    }
}

/// What follows `bytes=`; units are case-insensitive.
fn bytes_of(field: &str) -> Option<&str> {
    let (unit, spec) = field.split_once('=')?;
    unit.trim().eq_ignore_ascii_case("bytes").then_some(spec)
}

/// `1*DIGIT`; one that is larger than any object is as large as the largest.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

/// The `Content-Range` of a part.
pub fn content_range(part: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_rfc_9110_mean_what_it_says() {
        let of = |field: &str| wanted(Some(field), 10_000);
        assert_eq!(of("bytes=0-499"), Wanted::Part(0..500));
        assert_eq!(of("bytes=500-999"), Wanted::Part(500..1000));
        assert_eq!(of("bytes=-500"), Wanted::Part(9500..10_000));
        assert_eq!(of("bytes=9500-"), Wanted::Part(9500..10_000));
        assert_eq!(of("bytes=0-0"), Wanted::Part(0..1));
        assert_eq!(of("BYTES=0-0"), Wanted::Part(0..1));
        assert_eq!(of("bytes=0-0,-1"), Wanted::Whole);
        assert_eq!(of("bytes=10000-"), Wanted::Nothing);
        assert_eq!(of("bytes=-0"), Wanted::Nothing);
        assert_eq!(wanted(None, 10_000), Wanted::Whole);
    }

    #[test]
    fn what_is_no_range_is_ignored() {
        for field in ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "seconds=1-2", "bytes=+1-2", "bytes=1-2-3"] {
            assert_eq!(wanted(Some(field), 10), Wanted::Whole, "{field:?}");
        }
    }

    #[test]
    fn an_empty_object_has_no_part() {
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
        assert_eq!(wanted(Some("bytes=-1"), 0), Wanted::Nothing);
    }

    proptest! {
        #[test]
        fn a_range_selects_exactly_the_bytes_that_it_names(
            content in prop::collection::vec(any::<u8>(), 0..200), first in 0u64..300, last in 0u64..300,
        ) {
            let named: Vec<u8> = content.iter().enumerate()
                .filter(|(at, _)| (first..=last).contains(&(*at as u64))).map(|(_, byte)| *byte).collect();
            match wanted(Some(&format!("bytes={first}-{last}")), content.len() as u64) {
                Wanted::Part(part) => {
                    prop_assert!(!named.is_empty());
                    prop_assert_eq!(&content[part.start as usize..part.end as usize], &named[..]);
                }
                Wanted::Nothing => prop_assert!(first <= last && first >= content.len() as u64),
                Wanted::Whole => prop_assert!(first > last),
            }
        }

        #[test]
        fn a_suffix_is_the_last_bytes(content in prop::collection::vec(any::<u8>(), 1..200), length in 1u64..300) {
            let Wanted::Part(part) = wanted(Some(&format!("bytes=-{length}")), content.len() as u64) else {
                return Err(TestCaseError::fail("no part"));
            };
            let last: Vec<u8> = content.iter().rev().take(length as usize).rev().copied().collect();
            prop_assert_eq!(&content[part.start as usize..part.end as usize], &last[..]);
        }

        #[test]
        fn no_field_leads_outside_of_the_object(field in "(bytes=)?[0-9,\\- ]{0,30}", size: u64) {
            if let Wanted::Part(part) = wanted(Some(&field), size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(field in ".*", size: u64) {
            let _ = wanted(Some(&field), size);
        }
    }
}
