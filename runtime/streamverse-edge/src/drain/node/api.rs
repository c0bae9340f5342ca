//! The few requests to the Kubernetes API that a drain needs.

use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use streamverse_core::{Error, Result};

const WITHIN: Duration = Duration::from_secs(10);
/// Pods in one answer.
const PAGE: u32 = 250;

/// A client of one cluster.
pub(super) struct Api(kube::Client);

impl Api {
    /// # Errors
    /// No kubeconfig, no service account, one that cannot be used.
    pub(super) async fn connect(kubeconfig: Option<&str>) -> Result<Api> {
        let unusable = |text: String| Error::permanent("kubernetes", text);
        let mut config = match kubeconfig {
            None => kube::Config::incluster().map_err(|error| {
                unusable("there is no service account of a pod here".to_owned()).because(error)
            })?,
            Some(path) => {
                let file = Kubeconfig::read_from(path)
                    .map_err(|error| unusable(format!("{path} cannot be read")).because(error))?;
                kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                    .await
                    .map_err(|error| unusable(format!("{path} cannot be used")).because(error))?
            }
        };
        // A budget's 429 is an answer, not a reason to ask again at once.
        config.default_retry = false;
        kube::Client::try_from(config)
            .map(Api)
            .map_err(|error| unusable("no client of the cluster can be made".to_owned()).because(error))
    }

    /// Merges fields into an object.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub(super) async fn merge(&self, path: &str, body: &Value) -> Result<()> {
        let (status, said) =
            self.ask(Method::PATCH, path, "application/merge-patch+json", Some(body)).await?;
        match status {
            200 => Ok(()),
            _ => Err(refused(path, status, &said)),
        }
    }

    /// The pods on a node.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub(super) async fn pods_of(&self, node: &str) -> Result<Vec<Value>> {
        let mut pods = Vec::new();
        let mut after = String::new();
        loop {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("fieldSelector", &format!("spec.nodeName={node}"))
                .append_pair("limit", &PAGE.to_string())
                .append_pair("continue", &after)
                .finish();
            let path = format!("/api/v1/pods?{query}");
            let (status, mut said) = self.ask(Method::GET, &path, "application/json", None).await?;
            if status != 200 {
                return Err(refused("/api/v1/pods", status, &said));
            }
            if let Some(Value::Array(items)) = said.get_mut("items").map(Value::take) {
                pods.extend(items);
            }
            after = said["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
            if after.is_empty() {
                return Ok(pods);
            }
        }
    }

    /// Asks for an eviction. That a budget forbids it now, or that the pod is gone, is no error.
    ///
    /// # Errors
    /// When the server does not answer, or refuses for good.
    pub(super) async fn evict(&self, path: &str, body: &Value) -> Result<()> {
        let (status, said) = self.ask(Method::POST, path, "application/json", Some(body)).await?;
        match status {
            200 | 201 | 404 | 409 | 429 => Ok(()),
            _ => Err(refused(path, status, &said)),
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .header("accept", "application/json")
            .body(Body::from(body.map(|it| it.to_string().into_bytes()).unwrap_or_default()))
            .map_err(|error| Error::permanent("kubernetes", "a request cannot be written").because(error))?;
        let asking = async {
            let answer = self.0.send(request).await.map_err(|error| unreachable().because(error))?;
            let status = answer.status().as_u16();
            let bytes = answer.into_body().collect().await;
            let bytes =
                bytes.map_err(|error| unreachable().because(std::io::Error::other(error.to_string())))?;
            Ok((status, serde_json::from_slice(&bytes.to_bytes()).unwrap_or_default()))
        };
        tokio::time::timeout(WITHIN, asking).await.unwrap_or_else(|_| {
            Err(unreachable().because(std::io::Error::from(std::io::ErrorKind::TimedOut)))
        })
    }
}

fn unreachable() -> Error {
    Error::passing("kubernetes", "the API server does not answer")
}

fn refused(path: &str, status: u16, said: &Value) -> Error {
    let told = said["message"].as_str().unwrap_or_default();
    Error::passing("kubernetes", format!("the API server answers {path} with {status}: {told:.300}"))
}
