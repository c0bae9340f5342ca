//! A blocking client of the API server, for use in and out of an asynchronous test.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

pub(super) const JSON: &str = "application/json";
pub(super) const APPLY: &str = "application/apply-patch+yaml";
pub(super) const MERGE: &str = "application/merge-patch+json";

/// An address, how to trust it, and who asks.
pub(super) struct Client {
    server: String,
    token: String,
    ca_pem: String,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    pub(super) fn new(server: String, token: String, ca_file: &Path) -> Result<Self, String> {
        let ca_pem = std::fs::read_to_string(ca_file).map_err(|error| error.to_string())?;
        let authority =
            reqwest::Certificate::from_pem(ca_pem.as_bytes()).map_err(|error| error.to_string())?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([authority])
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { server, token, ca_pem, http, runtime })
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Status and body; 0 and why when nobody answers.
    pub(super) fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Option<Vec<u8>>,
    ) -> (u16, Value) {
        let asked = self.ask(method, path, content_type, body);
        // On a thread of its own, because the caller may be inside of a runtime, where nothing may block on another.
        let said = std::thread::scope(|scope| scope.spawn(|| self.runtime.block_on(asked)).join());
        match said {
            Ok(Ok((status, text))) => {
                let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
                (status, value)
            }
            Ok(Err(error)) => (0, Value::String(format!("{error:?}"))),
            Err(_) => (0, Value::String("the request panicked".to_owned())),
        }
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(u16, String), reqwest::Error> {
        let method = method.parse().unwrap_or(reqwest::Method::GET);
        let mut request =
            self.http.request(method, format!("{}{path}", self.server)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", content_type).body(body);
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}
