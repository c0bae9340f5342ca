//! Byte ranges (RFC 9110 section 14).

/// What a request's `Range` asks for of a representation of `size` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ranged {
    /// All of it: no range, one that is not understood, or several.
    Whole,
    /// `first..=last`.
    Part { first: u64, last: u64 },
    /// None of it: 416.
    Nothing,
}

/// Reads a `Range` header. Several ranges are answered whole, which section 14.2 allows: players ask for one, and who asks
/// for many small ones asks for more work than the whole is.
pub(super) fn read(header: Option<&str>, size: u64) -> Ranged {
    let Some((unit, set)) = header.and_then(|header| header.split_once('=')) else { return Ranged::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Ranged::Whole;
    }
    // Empty members of a list do not count (section 5.6.1).
    let mut members = set.split(',').map(str::trim).filter(|member| !member.is_empty());
    let (Some(only), None) = (members.next(), members.next()) else { return Ranged::Whole };
    let Some((first, last)) = only.split_once('-') else { return Ranged::Whole };
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (first.is_empty(), last.is_empty()) {
        (false, _) => {
            let Some(first) = number(first) else { return Ranged::Whole };
            let last = if last.is_empty() { Some(u64::MAX) } else { number(last) };
            let Some(last) = last else { return Ranged::Whole };
            if last < first {
                return Ranged::Whole; // not valid, so not there
            }
            if first >= size {
                return Ranged::Nothing;
            }
            Ranged::Part { first, last: last.min(size - 1) }
        }
        (true, false) => match number(last) {
            None => Ranged::Whole,
            Some(0) => Ranged::Nothing,
            Some(_) if size == 0 => Ranged::Nothing,
            Some(suffix) => Ranged::Part { first: size.saturating_sub(suffix), last: size - 1 },
        },
        (true, true) => Ranged::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let part = |first, last| Ranged::Part { first, last };
        for (header, size, wanted) in [
            ("bytes=0-0", 10, part(0, 0)),
            ("bytes=2-", 10, part(2, 9)),
            ("bytes=2-99", 10, part(2, 9)),
            ("bytes=-3", 10, part(7, 9)),
            ("bytes=-30", 10, part(0, 9)),
            ("bytes=10-", 10, Ranged::Nothing),
            ("bytes=-0", 10, Ranged::Nothing),
            ("bytes=0-", 0, Ranged::Nothing),
            ("bytes=5-2", 10, Ranged::Whole),
            ("bytes=a-b", 10, Ranged::Whole),
            ("bytes=0-1,3-4", 10, Ranged::Whole),
            ("bytes=, 0-1,", 10, part(0, 1)),
            ("bytes=,", 10, Ranged::Whole),
            ("BYTES=0-1", 10, part(0, 1)),
            ("bytes=+1-2", 10, Ranged::Whole),
            ("bytes=1 - 2", 10, Ranged::Whole),
            ("bytes=-", 10, Ranged::Whole),
            ("bytes=--1", 10, Ranged::Whole),
            ("items=0-1", 10, Ranged::Whole),
            ("bytes=99999999999999999999-", 10, Ranged::Nothing),
        ] {
            assert_eq!(read(Some(header), size), wanted, "{header}");
        }
        assert_eq!(read(None, 10), Ranged::Whole);
    }
}
