//! What a player asks of a playlist: a stretch of time, a delta update. Strict and bounded; every refusal has a code.

use std::fmt::Write as _;

use super::time::{self, NoTime};

/// Longer is no question of a player.
const LONGEST: usize = 2048;
const MOST_PARAMETERS: usize = 32;

/// A question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Query {
    /// Milliseconds since the epoch: start-over and catch-up.
    pub(super) from: Option<u64>,
    pub(super) to: Option<u64>,
    /// A delta update (draft-pantos-hls-rfc8216bis section 6.2.5.1).
    pub(super) skip: Skip,
    /// The segment that the client waits for. We let nobody wait, but refuse what cannot be.
    pub(super) msn: Option<u64>,
}

/// What may be left out of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Skip {
    #[default]
    Nothing,
    /// Old segments.
    Segments,
    /// Old segments and date ranges.
    DateRanges,
}

/// Why a question is none: a code for programs, words for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

pub(super) const fn refusal(code: &'static str, message: &'static str) -> Refusal {
    Refusal { code, message }
}

pub(super) const OUT_OF_RANGE: Refusal =
    refusal("time-out-of-range", "from must lie within the channel's catch-up window and before now");

impl Query {
    /// Reads what stands behind the question mark. Parameters that are not ours, as of CMCD, are left alone.
    pub(super) fn parse(text: Option<&str>) -> Result<Query, Refusal> {
        let mut query = Query::default();
        let Some(text) = text.filter(|it| !it.is_empty()) else { return Ok(query) };
        if text.len() > LONGEST || text.split('&').count() > MOST_PARAMETERS {
            return Err(refusal("query-too-long", "at most 2048 characters and 32 parameters are read"));
        }
        let mut seen: Vec<String> = Vec::new();
        let mut part = false;
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            if !["from", "to", "_HLS_skip", "_HLS_msn", "_HLS_part"].contains(&name.as_ref()) {
                continue;
            }
            if seen.iter().any(|it| *it == name) {
                return Err(refusal("parameter-twice", "each parameter may be given once"));
            }
            match name.as_ref() {
                "from" => query.from = Some(instant(&value)?),
                "to" => query.to = Some(instant(&value)?),
                "_HLS_skip" => {
                    query.skip = match value.as_ref() {
                        "YES" => Skip::Segments,
                        "v2" => Skip::DateRanges,
                        _ => return Err(refusal("skip-invalid", "_HLS_skip is YES or v2")),
                    }
                }
                "_HLS_msn" => query.msn = Some(number(&value)?),
                _ => {
                    number(&value)?;
                    part = true;
                }
            }
            seen.push(name.into_owned());
        }
        if part && query.msn.is_none() {
            return Err(refusal("part-without-msn", "_HLS_part is only read with _HLS_msn"));
        }
        match (query.from, query.to) {
            (None, Some(_)) => Err(refusal("to-without-from", "to is only read with from")),
            (Some(from), Some(to)) if to <= from => {
                Err(refusal("time-reversed", "to must be later than from"))
            }
            _ => Ok(query),
        }
    }

    /// What the addresses of its media playlists carry on.
    pub(super) fn carried(&self) -> String {
        let mut text = String::new();
        let mut put = |name: &str, ms: Option<u64>| {
            if let Some(ms) = ms {
                let at = time::utc(ms).replace(".000Z", "Z");
                let _ = write!(text, "{}{name}={at}", if text.is_empty() { '?' } else { '&' });
            }
        };
        put("from", self.from);
        put("to", self.to);
        text
    }
}

fn instant(text: &str) -> Result<u64, Refusal> {
    time::parse(text).map_err(|why| match why {
        NoTime::Form => refusal("time-invalid", "from and to are times of RFC 3339: 2026-11-26T12:00:00Z"),
        NoTime::Fraction => refusal("time-invalid", "from and to are whole seconds"),
        NoTime::Early => OUT_OF_RANGE,
    })
}

/// A whole number, as HLS directives have it.
fn number(text: &str) -> Result<u64, Refusal> {
    let digits = !text.is_empty() && text.len() <= 19 && text.bytes().all(|it| it.is_ascii_digit());
    let read = if digits { text.parse().ok() } else { None };
    read.ok_or_else(|| refusal("number-invalid", "_HLS_msn and _HLS_part are whole numbers"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> &'static str {
        Query::parse(Some(text)).map_or_else(|it| it.code, |_| "")
    }

    #[test]
    fn every_hostile_question_has_a_code_of_its_own() {
        for (text, wanted) in [
            ("", ""),
            ("CMCD=bl%3D1&x=1", ""),
            ("from=2026-11-26T12:00:00Z", ""),
            ("from=2026-11-26T12%3A00%3A00.000Z&to=2026-11-26T14:00:00%2B01:00", ""),
            ("from=0001-01-01T00:00:00Z", "time-out-of-range"),
            ("from=-2026-01-01T00:00:00Z", "time-invalid"),
            ("from=-5", "time-invalid"),
            ("from=1e9", "time-invalid"),
            ("from=2026-11-26T12:00:00.5Z", "time-invalid"),
            ("from=", "time-invalid"),
            ("from=%00", "time-invalid"),
            ("to=2026-11-26T12:00:00Z", "to-without-from"),
            ("from=2026-11-26T12:00:01Z&to=2026-11-26T12:00:01Z", "time-reversed"),
            ("from=2026-11-26T12:00:00Z&from=2026-11-26T12:00:00Z", "parameter-twice"),
            ("_HLS_skip=YES", ""),
            ("_HLS_skip=yes", "skip-invalid"),
            ("_HLS_skip=", "skip-invalid"),
            ("_HLS_msn=7&_HLS_part=0", ""),
            ("_HLS_msn=-1", "number-invalid"),
            ("_HLS_msn=1.5", "number-invalid"),
            ("_HLS_msn=99999999999999999999999", "number-invalid"),
            ("_HLS_part=0", "part-without-msn"),
        ] {
            assert_eq!(code(text), wanted, "{text}");
        }
        assert_eq!(code(&"x".repeat(3000)), "query-too-long");
        assert_eq!(code(&"a=1&".repeat(40)), "query-too-long");
    }

    #[test]
    fn what_is_carried_on_is_read_back() {
        let query =
            Query::parse(Some("from=2026-11-26T12:00:00Z&to=2026-11-26T14:00:00%2B01:00&_HLS_skip=v2"))
                .unwrap();
        assert_eq!(query.carried(), "?from=2026-11-26T12:00:00Z&to=2026-11-26T13:00:00Z");
        let read = Query::parse(query.carried().strip_prefix('?')).unwrap();
        assert_eq!((read.from, read.to), (query.from, query.to));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,300}") {
            let _ = Query::parse(Some(&text));
        }

        #[test]
        fn what_is_taken_is_in_order_and_carried_on(
            from in "[0-9]{0,5}-?[0-9]{1,3}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{0,3})?(Z|[+-][0-9]{2}:[0-9]{2}|)",
            to in proptest::option::of("[12][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z"),
        ) {
            let text = format!("from={}{}", from.replace('+', "%2B"), to.map(|it| format!("&to={it}")).unwrap_or_default());
            if let Ok(query) = Query::parse(Some(&text)) {
                prop_assert!(query.to.is_none_or(|to| Some(to) > query.from));
                let read = Query::parse(query.carried().strip_prefix('?'));
                prop_assert_eq!(read, Ok(query));
            }
        }
    }
}
