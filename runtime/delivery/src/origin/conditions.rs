//! Conditional requests (RFC 9110 section 13) and the dates in them (section 5.6.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, header};

use super::objects::About;
use crate::calendar;

/// What the conditions of a GET or HEAD lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The answer without conditions.
    Serve,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Judges in the order of section 13.2.2. A tag decides alone: the date beside it is for those who know no tags.
pub(super) fn judge(headers: &HeaderMap, about: &About) -> Verdict {
    if headers.contains_key(header::IF_MATCH) {
        // A strong comparison: ours are strong, so a weak one is another.
        if !tags(headers, &header::IF_MATCH).any(|tag| tag == "*" || tag == &*about.etag) {
            return Verdict::Failed;
        }
    } else if date_of(headers, &header::IF_UNMODIFIED_SINCE).is_some_and(|date| modified(about) > date) {
        return Verdict::Failed;
    }
    if headers.contains_key(header::IF_NONE_MATCH) {
        let same = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == &*about.etag;
        return if tags(headers, &header::IF_NONE_MATCH).any(same) {
            Verdict::NotModified
        } else {
            Verdict::Serve
        };
    }
    match date_of(headers, &header::IF_MODIFIED_SINCE) {
        Some(date) if modified(about) <= date => Verdict::NotModified,
        _ => Verdict::Serve,
    }
}

/// Whether the client has what this tag is of, for answers without a date (section 13.1.2).
pub(crate) fn has_tag(headers: &HeaderMap, etag: &str) -> bool {
    let same = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
    tags(headers, &header::IF_NONE_MATCH).any(same)
}

/// Section 13.1.5: a range counts only while the representation is exactly the same.
pub(super) fn if_range_holds(headers: &HeaderMap, about: &About, now: SystemTime) -> bool {
    let Some(condition) = headers.get(header::IF_RANGE) else { return true };
    let Ok(condition) = condition.to_str() else { return false };
    let condition = condition.trim();
    if condition.starts_with('"') || condition.starts_with("W/") {
        return condition == &*about.etag;
    }
    // A date is as good as a tag only when nothing can have changed within its second (section 8.8.2.2).
    let settled = seconds(now) > modified(about) + 1;
    settled && parse_date(condition, now) == Some(modified(about))
}

/// The members of a list of tags, over all fields of that name. A comma inside of quotes belongs to the tag.
fn tags<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let fields = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    fields
        .flat_map(|field| {
            let mut quoted = false;
            field.split(move |it| {
                quoted ^= it == '"';
                it == ',' && !quoted
            })
        })
        .map(str::trim)
}

fn date_of(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    parse_date(headers.get(name)?.to_str().ok()?, SystemTime::now())
}

fn modified(about: &About) -> u64 {
    seconds(about.modified)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// An IMF-fixdate.
pub(super) fn http_date(time: SystemTime) -> String {
    let seconds = seconds(time);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = calendar::civil(days);
    let weekday = DAYS.get((days % 7) as usize).copied().unwrap_or_default();
    let month = MONTHS.get((month - 1) as usize).copied().unwrap_or_default();
    format!(
        "{weekday}, {day:02} {month} {year} {:02}:{:02}:{:02} GMT",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Seconds since 1970 of a date in any of the three forms; `None` for what is none, which is then as if it were not there.
fn parse_date(text: &str, now: SystemTime) -> Option<u64> {
    let words: Vec<&str> = text.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let (day, month, year, time) = match words.as_slice() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        [_, day, month, year, time, "GMT"] => (*day, *month, year.parse::<u64>().ok()?, *time),
        // Sunday, 06-Nov-94 08:49:37 GMT: a year of two digits that is more than 50 years ahead is past.
        [_, date, time, "GMT"] => {
            let mut parts = date.split('-');
            let (day, month) = (parts.next()?, parts.next()?);
            let year = parts.next()?.parse::<u64>().ok().filter(|year| *year < 100)?;
            let this = 1970 + seconds(now) / 31_556_952;
            let near = this / 100 * 100 + year;
            (day, month, if near > this + 50 { near - 100 } else { near }, *time)
        }
        // Sun Nov  6 08:49:37 1994
        [_, month, day, time, year] => (*day, *month, year.parse::<u64>().ok()?, *time),
        _ => return None,
    };
    let month = MONTHS.iter().position(|it| *it == month)? as u64 + 1;
    let day: u64 = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    let mut clock = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if !(1970..=9999).contains(&year) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = calendar::days(year.cast_signed(), month.cast_signed(), day.cast_signed());
    let days = u64::try_from(days).ok()?;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: u64 = 784_111_777; // the example of RFC 9110

    #[test]
    fn dates_are_written_and_read_as_http_wants_them() {
        let at = |seconds| http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(at(EXAMPLE), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        let now = UNIX_EPOCH + Duration::from_secs(1_795_000_000); // in 2026
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(parse_date(text, now), Some(EXAMPLE), "{text}");
        }
        for day in (0..30_000).step_by(13) {
            assert_eq!(parse_date(&at(day * 86_400 + 3723), now), Some(day * 86_400 + 3723));
        }
        for none in [
            "",
            "yesterday",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 41 Nov 1994 08:49:37 GMT",
            "1",
            "a b c d e",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
        ] {
            assert_eq!(parse_date(none, now), None, "{none}");
        }
    }

    #[test]
    fn a_date_allows_a_range_only_when_its_second_is_over() {
        let about = About::for_tests("\"a\"", UNIX_EPOCH + Duration::from_secs(EXAMPLE));
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_RANGE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        let after = |seconds| UNIX_EPOCH + Duration::from_secs(EXAMPLE + seconds);
        assert!(!if_range_holds(&headers, &about, after(0)));
        assert!(if_range_holds(&headers, &about, after(2)));
    }
}
