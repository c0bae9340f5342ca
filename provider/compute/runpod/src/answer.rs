//! What an answer says when it is no success: RFC 9457, or whatever a proxy on the way put there.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use crate::error::{Error, class_of};

/// More than this of an answer nobody needs to explain a failure.
const LONGEST_TEXT: usize = 600;
/// Longer than this no server is waited for at once.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

/// How long the server wants to be left alone. A date is not read: RunPod says seconds.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// The error of an answer.
pub(crate) fn failure(call: &str, status: u16, headers: &HeaderMap, body: &[u8], safe: bool) -> Error {
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    let (says, fields) = match problem {
        Some(it) if !it.detail.is_empty() || !it.title.is_empty() => {
            let says = if it.detail.is_empty() { it.title } else { it.detail };
            let fields = it.errors.into_iter().map(|one| match one {
                serde_json::Value::String(text) => short(&text),
                other => short(&other.to_string()),
            });
            (short(&says), fields.take(20).collect())
        }
        _ => (short(String::from_utf8_lossy(body).trim()), Vec::new()),
    };
    let says = if says.is_empty() { "the answer says nothing".to_owned() } else { says };
    let after = retry_after(headers);
    let class = class_of(status, &says, after, safe);
    Error { class, status: Some(status), call: call.to_owned(), says, fields, after }
}

fn short(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(LONGEST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_the_field_and_a_proxy_is_heard_too() {
        let body = br#"{"title":"Unprocessable Entity","status":422,"detail":"invalid body","errors":["/gpuTypeIds: is not allowed"]}"#;
        let error = failure("POST /v2/pods", 422, &HeaderMap::new(), body, false);
        assert_eq!(
            error.to_string(),
            "RunPod, POST /v2/pods: 422, invalid body; /gpuTypeIds: is not allowed"
        );
        let error = failure("GET /v2/pods", 502, &HeaderMap::new(), b"<html>bad gateway</html>\n", true);
        assert_eq!(error.class, crate::Class::Unavailable);
        assert!(error.says.contains("bad gateway"));
        let long = vec![b'x'; 100_000];
        assert!(failure("GET /", 500, &HeaderMap::new(), &long, true).says.len() <= LONGEST_TEXT);
    }
}
