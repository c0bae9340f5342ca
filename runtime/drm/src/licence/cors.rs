//! Which pages may ask for licences (the Fetch standard's CORS protocol).

use axum::http::{HeaderMap, HeaderValue, header};

/// What players send.
const SENT: &str = "authorization, content-type";
/// What they read of an answer.
const READ: &str = "licence-renew-after, retry-after";

/// The origins that are allowed.
#[derive(Clone, Debug)]
pub(super) struct Cors {
    allowed: Vec<String>,
}

impl Cors {
    pub(super) fn new(allowed: &[String]) -> Cors {
        Cors { allowed: allowed.to_vec() }
    }

    /// Adds what a browser wants to see to an answer.
    pub(super) fn add(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        let all = self.allowed.iter().any(|it| it == "*");
        let allowed = if all {
            Some(HeaderValue::from_static("*"))
        } else {
            answer.append(header::VARY, HeaderValue::from_static("origin"));
            let origin = request.get(header::ORIGIN);
            origin.filter(|origin| self.allowed.iter().any(|it| it.as_bytes() == origin.as_bytes())).cloned()
        };
        let Some(allowed) = allowed else { return };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
    }

    /// Adds what a preflight asks for.
    pub(super) fn preflight(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        self.add(request, answer);
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, OPTIONS"));
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(SENT));
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
}
