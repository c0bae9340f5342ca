//! Which pages may play (the Fetch standard's CORS protocol).

use axum::http::{HeaderMap, HeaderValue, header};

/// What players read of an answer.
const EXPOSED: &str = "content-length, content-range, etag, age, via, server-timing";

/// The origins that are allowed.
#[derive(Clone, Debug)]
pub(crate) struct Cors {
    allowed: Vec<String>,
}

impl Cors {
    pub(crate) fn new(allowed: &[String]) -> Cors {
        Cors { allowed: allowed.to_vec() }
    }

    /// Adds what a browser wants to see to an answer.
    pub(crate) fn add(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        let all = self.allowed.iter().any(|it| it == "*");
        if !all {
            // Caches in between must not give one page's answer to another.
            answer.append(header::VARY, HeaderValue::from_static("origin"));
        }
        let origin = request.get(header::ORIGIN);
        let allowed = if all {
            Some(HeaderValue::from_static("*"))
        } else {
            origin.filter(|origin| self.allowed.iter().any(|it| it.as_bytes() == origin.as_bytes())).cloned()
        };
        let Some(allowed) = allowed else { return };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        answer.insert("timing-allow-origin", HeaderValue::from_static("*"));
    }

    /// Adds what a preflight asks for.
    pub(crate) fn preflight(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        self.add(request, answer);
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        answer.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("range, if-none-match, if-modified-since"),
        );
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
}
