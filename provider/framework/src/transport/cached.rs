//! The one answer that never changes while the process lives, and is by far the largest: the schemas. It is
//! encoded once; hosts that ask again get the same bytes.

use std::sync::OnceLock;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Response};

/// The path of the call whose answer is kept.
pub(super) const SCHEMAS: &str = "/tfplugin6.Provider/GetProviderSchema";

/// An answer as it went over the wire.
#[derive(Default)]
pub(super) struct Cached {
    answer: OnceLock<Encoded>,
}

struct Encoded {
    headers: HeaderMap,
    frame: Bytes,
    trailers: HeaderMap,
}

impl Cached {
    /// The answer that is kept, if there is one yet.
    pub(super) fn get(&self) -> Option<Response<Body>> {
        self.answer.get().map(Encoded::response)
    }

    /// Keeps an answer, if it is a good one, and gives it on.
    pub(super) async fn keep(&self, response: Response<Body>) -> Response<Body> {
        let (parts, body) = response.into_parts();
        let Ok(collected) = body.collect().await else {
            return Status::internal("the schemas could not be encoded").into_http();
        };
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let encoded = Encoded { headers: parts.headers, frame: collected.to_bytes(), trailers };
        let response = encoded.response();
        // An error ends in the headers, or in trailers that say so.
        if !encoded.frame.is_empty()
            && Status::from_header_map(&encoded.trailers).is_none_or(|s| s.code() == tonic::Code::Ok)
        {
            // Of several first answers, which are all the same, one is kept.
            let _ = self.answer.set(encoded);
        }
        response
    }
}

impl Encoded {
    fn response(&self) -> Response<Body> {
        let trailers = self.trailers.clone();
        let body = Full::new(self.frame.clone());
        let body = if trailers.is_empty() {
            Body::new(body)
        } else {
            Body::new(body.with_trailers(std::future::ready(Some(Ok(trailers)))))
        };
        let mut response = Response::new(body);
        response.headers_mut().clone_from(&self.headers);
        response
    }
}
