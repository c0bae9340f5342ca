//! A metadata service: plain HTTP on a link-local address, which must never go through a proxy.

use std::time::Duration;

use streamverse_core::{Error, Result};

/// The largest answer that is read; all of them are short.
const LARGEST: usize = 1 << 20;

/// A client of one metadata service.
#[derive(Clone)]
pub(super) struct Metadata {
    http: reqwest::Client,
    endpoint: String,
}

/// What it answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) etag: Option<String>,
    pub(super) body: String,
}

impl Metadata {
    /// # Errors
    /// When no client can be made.
    pub(super) fn new(endpoint: &str) -> Result<Metadata> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(2))
            .build()
            .map_err(|error| {
                Error::permanent("metadata", "no client of the metadata service can be made").because(error)
            })?;
        Ok(Metadata { http, endpoint: endpoint.trim_end_matches('/').to_owned() })
    }

    /// … of what answers at a Unix socket.
    ///
    /// # Errors
    /// When no client can be made.
    pub(super) fn at_socket(path: &std::path::Path) -> Result<Metadata> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .unix_socket(path)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| {
                Error::permanent("metadata", "no client of a socket can be made").because(error)
            })?;
        Ok(Metadata { http, endpoint: "http://worker".to_owned() })
    }

    pub(super) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.endpoint))
    }

    pub(super) fn put(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.put(format!("{}{path}", self.endpoint))
    }

    pub(super) fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.post(format!("{}{path}", self.endpoint))
    }

    /// # Errors
    /// When it does not answer within the time, or at too great length.
    pub(super) async fn ask(&self, request: reqwest::RequestBuilder, within: Duration) -> Result<Answer> {
        let failed = |error: reqwest::Error| {
            Error::passing("metadata", format!("the metadata service at {} does not answer", self.endpoint))
                .because(error.without_url())
        };
        let mut answer = request.timeout(within).send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let etag = answer.headers().get("etag").and_then(|it| it.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            body.extend_from_slice(&part);
            if body.len() > LARGEST {
                return Err(Error::passing("metadata", "the metadata service answers more than 1 MiB"));
            }
        }
        Ok(Answer { status, etag, body: String::from_utf8_lossy(&body).into_owned() })
    }
}
