//! What players ask of a channel: whatever it is, it is read once and for all, or refused with a code.

use streamverse_delivery::{NoQuestion, Question};

/// The codes that a player may be told. They never change.
const CODES: &[&str] = &[
    "number-invalid",
    "parameter-twice",
    "part-without-msn",
    "query-too-long",
    "skip-invalid",
    "time-invalid",
    "time-out-of-range",
    "time-reversed",
    "to-without-from",
];

/// Any bytes as an address and what stands behind its question mark; and as the latter of addresses that are there.
pub fn any(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (path, query) = text.split_once('?').map_or((&*text, None), |(path, query)| (path, Some(query)));
    one(path, query);
    for path in ["hls.m3u8", "video/720p.m3u8", "dash.mpd"] {
        one(path, Some(query.unwrap_or(path)));
        one(path, Some(&text));
    }
}

fn one(path: &str, query: Option<&str>) {
    let read = Question::read(path, query);
    match &read {
        Ok(question) => {
            let carried = question.carried();
            // It stands in playlists as it is.
            let plain = |it: u8| it.is_ascii_alphanumeric() || b"?&=:-.".contains(&it);
            assert!(carried.len() < 100 && carried.bytes().all(plain), "{carried:?}");
            let again = Question::read(path, carried.strip_prefix('?')).expect("what is carried on is read");
            assert_eq!((question.stretch(), &carried), (again.stretch(), &again.carried()));
            if let (Some(from), Some(to)) = question.stretch() {
                assert!(from < to, "{from} {to}");
            }
        }
        Err(NoQuestion::Missing) => {}
        Err(NoQuestion::Refused { code, message }) => {
            assert!(CODES.contains(code) && !message.is_empty(), "{code}: {message}");
        }
    }
    assert_eq!(read, Question::read(path, query), "the same question, the same answer");
}
