//! Conditional requests (RFC 9110 section 13): whether a client's copy is still good.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators {
    /// The strong entity tag, with its quotes.
    pub etag: String,
    /// When it was last changed.
    pub modified: SystemTime,
}

/// What the preconditions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answer as if there were none.
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Evaluates the preconditions in the order of section 13.2.2, for GET and HEAD.
pub fn evaluate(headers: &HeaderMap, now: &Validators) -> Verdict {
    if headers.contains_key(IF_MATCH) {
        // Strong comparison: a weak tag never matches.
        if !tags(headers, IF_MATCH).any(|tag| tag == "*" || tag == now.etag) {
            return Verdict::Failed;
        }
    } else if let Some(since) = date(headers, IF_UNMODIFIED_SINCE)
        && whole_seconds(now.modified) > since
    {
        return Verdict::Failed;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        // Weak comparison: the prefix does not count.
        if tags(headers, IF_NONE_MATCH).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == now.etag) {
            return Verdict::NotModified;
        }
    } else if let Some(since) = date(headers, IF_MODIFIED_SINCE)
        && whole_seconds(now.modified) <= since
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Whether `Range` counts: there is no `If-Range`, or it names what is here now (section 13.1.5).
pub fn range_counts(headers: &HeaderMap, now: &Validators, clock: SystemTime) -> bool {
    let Some(field) = headers.get(IF_RANGE) else { return true };
    let Ok(text) = field.to_str() else { return false };
    if text.starts_with('"') {
        return text == now.etag;
    }
    let Ok(named) = httpdate::parse_http_date(text) else { return false };
    // A date is a strong validator only when it is old enough to tell two changes apart (section 8.8.2.2).
    let settled = clock.duration_since(now.modified).is_ok_and(|age| age >= Duration::from_secs(1));
    settled && named == whole_seconds(now.modified)
}

/// Dates in HTTP have no fractions.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

fn date(headers: &HeaderMap, name: http::HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// The entity tags of a list. A comma inside of quotes is allowed by the grammar, and made by none of our tags.
fn tags(headers: &HeaderMap, name: http::HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn now() -> Validators {
        let modified = httpdate::parse_http_date(THEN).unwrap() + Duration::from_millis(300);
        Validators { etag: "\"a1\"".into(), modified }
    }

    fn with(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn verdict(pairs: &[(http::HeaderName, &str)]) -> Verdict {
        evaluate(&with(pairs), &now())
    }

    #[test]
    fn a_copy_with_the_same_tag_is_not_sent_again() {
        for tag in ["\"a1\"", "W/\"a1\"", "\"x\", \"a1\"", "*"] {
            assert_eq!(verdict(&[(IF_NONE_MATCH, tag)]), Verdict::NotModified, "{tag}");
        }
        assert_eq!(verdict(&[(IF_NONE_MATCH, "\"b2\"")]), Verdict::Proceed);
    }

    #[test]
    fn a_date_counts_only_without_a_tag() {
        assert_eq!(verdict(&[(IF_MODIFIED_SINCE, THEN)]), Verdict::NotModified);
        assert_eq!(verdict(&[(IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT")]), Verdict::Proceed);
        assert_eq!(verdict(&[(IF_MODIFIED_SINCE, "yesterday")]), Verdict::Proceed);
        assert_eq!(verdict(&[(IF_NONE_MATCH, "\"b2\""), (IF_MODIFIED_SINCE, THEN)]), Verdict::Proceed);
    }

    #[test]
    fn what_must_match_and_does_not_fails() {
        assert_eq!(verdict(&[(IF_MATCH, "\"b2\"")]), Verdict::Failed);
        assert_eq!(verdict(&[(IF_MATCH, "W/\"a1\"")]), Verdict::Failed);
        assert_eq!(verdict(&[(IF_MATCH, "\"a1\"")]), Verdict::Proceed);
        assert_eq!(verdict(&[(IF_UNMODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT")]), Verdict::Failed);
    }

    #[test]
    fn a_range_of_another_version_is_no_range() {
        let counts = |text: &str| range_counts(&with(&[(IF_RANGE, text)]), &now(), SystemTime::now());
        assert!(counts("\"a1\"") && counts(THEN));
        assert!(!counts("\"b2\"") && !counts("W/\"a1\"") && !counts("Sun, 06 Nov 1994 08:49:38 GMT") && !counts("x"));
        assert!(range_counts(&HeaderMap::new(), &now(), SystemTime::now()));
        let at_once = now().modified + Duration::from_millis(100);
        assert!(!range_counts(&with(&[(IF_RANGE, THEN)]), &now(), at_once));
    }
}
