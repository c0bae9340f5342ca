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
    /// One that a kubeconfig of ours leads to: a context, a token, an authority in it.
    pub(super) fn of(kubeconfig: &Path) -> Result<Self, String> {
        use base64::Engine as _;
        let bad = |why: String| format!("{}: {why}", kubeconfig.display());
        let said = std::fs::read_to_string(kubeconfig).map_err(|error| bad(error.to_string()))?;
        let config: Value = serde_json::from_str(&said).map_err(|error| bad(error.to_string()))?;
        let part =
            |pointer: &str| config.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let authority = part("/clusters/0/cluster/certificate-authority-data");
        let authority = base64::engine::general_purpose::STANDARD.decode(authority);
        let authority = authority.map_err(|error| bad(error.to_string()))?;
        let pem = String::from_utf8_lossy(&authority).into_owned();
        Self::new(part("/clusters/0/cluster/server"), part("/users/0/user/token"), pem)
    }

    pub(super) fn new(server: String, token: String, ca_pem: String) -> Result<Self, String> {
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

    /// Everything in a namespace but events, each with the plural of its kind.
    pub(super) fn all_in(&self, namespace: &str) -> Result<Vec<(String, Value)>, String> {
        let mut all = Vec::new();
        for group in self.groups() {
            let (_, about) = self.send("GET", &group, JSON, None);
            for resource in about["resources"].as_array().into_iter().flatten() {
                let name = resource["name"].as_str().unwrap_or_default();
                let verbs = resource["verbs"].as_array();
                let lists = verbs.is_some_and(|verbs| verbs.iter().any(|verb| verb == "list"));
                if resource["namespaced"] != true || !lists || name == "events" {
                    continue;
                }
                let (status, list) =
                    self.send("GET", &format!("{group}/namespaces/{namespace}/{name}"), JSON, None);
                if status != 200 {
                    return Err(format!("{group} {name}: {status} {list}"));
                }
                let items = list["items"].as_array().cloned().unwrap_or_default();
                all.extend(items.into_iter().map(|item| (name.to_owned(), item)));
            }
        }
        Ok(all)
    }

    /// Every group of the API in its preferred version, as a path.
    fn groups(&self) -> Vec<String> {
        let (_, said) = self.send("GET", "/apis", JSON, None);
        let groups = said["groups"].as_array().into_iter().flatten();
        let preferred =
            |group: &Value| group.pointer("/preferredVersion/groupVersion")?.as_str().map(str::to_owned);
        let named = groups.filter_map(preferred).map(|version| format!("/apis/{version}"));
        std::iter::once("/api/v1".to_owned()).chain(named).collect()
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
