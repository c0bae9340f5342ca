//! Requests to the API server: made lazily, tried again where that is safe, refused in words.

use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::config::Access;
use super::credentials;
use crate::error::{Class, Error, Result};

/// One request.
const LIMIT: Duration = Duration::from_secs(30);
/// How long an API server that is being restarted, or that asks for patience, is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Server-side apply's content type (Kubernetes API concepts, "Server-side apply"). JSON is YAML.
const APPLY: &str = "application/apply-patch+yaml";

/// An API server.
pub(super) struct Api {
    site: String,
    access: Access,
    /// Made at the first request, and again when its credentials are no longer accepted.
    client: Mutex<Option<Made>>,
}

/// A client, and which one it is.
#[derive(Clone)]
struct Made {
    client: kube::Client,
    number: u64,
}

/// What it answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    /// How long it asked us to stay away (RFC 9110, `Retry-After`).
    pub(super) after: Option<Duration>,
}

/// What is asked.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<&'a Value>,
    /// What it is about, for messages: `Deployment demo-origin-main`.
    pub(super) about: &'a str,
}

impl Api {
    pub(super) fn new(site: &str, access: Access) -> Api {
        Api { site: site.to_owned(), access, client: Mutex::default() }
    }

    /// The client; another one than `refused`, whose credentials the server does not take any more.
    async fn client(&self, refused: Option<u64>) -> Result<Made> {
        let mut held = self.client.lock().await;
        match &*held {
            Some(made) if refused != Some(made.number) => Ok(made.clone()),
            before => {
                let number = before.as_ref().map_or(0, |made| made.number + 1);
                let made = Made { client: self.connect().await?, number };
                *held = Some(made.clone());
                Ok(made)
            }
        }
    }

    async fn connect(&self) -> Result<kube::Client> {
        let unusable = |what: &str| {
            Error::new(Class::Invalid, format!("site {}: {what}", self.site))
                .next("Correct the site's kubernetes block in the provider block.")
        };
        let options = |context: Option<String>| KubeConfigOptions { context, ..KubeConfigOptions::default() };
        let mut config = match &self.access {
            Access::InCluster => kube::Config::incluster()
                .map_err(|error| unusable("there is no service account of a pod here").because(error))?,
            Access::Kubeconfig { path, context } => {
                let file = match path {
                    Some(path) => Kubeconfig::read_from(path),
                    None => Kubeconfig::read(),
                };
                let named =
                    path.as_ref().map_or("the usual kubeconfig".to_owned(), |p| p.display().to_string());
                let file =
                    file.map_err(|error| unusable(&format!("{named} cannot be read")).because(error))?;
                kube::Config::from_custom_kubeconfig(file, &options(context.clone()))
                    .await
                    .map_err(|error| unusable(&format!("{named} cannot be used")).because(error))?
            }
            Access::Direct { .. } => {
                let file: Kubeconfig = serde_json::from_value(self.direct())
                    .map_err(|error| unusable("its address cannot be used").because(error))?;
                kube::Config::from_custom_kubeconfig(file, &options(None))
                    .await
                    .map_err(|error| unusable("its address cannot be used").because(error))?
            }
        };
        credentials::fill(&self.site, &mut config.auth_info, credentials::LIMIT).await?;
        // Repetitions are ours: within our patience, and with the server's own words when that is over.
        config.default_retry = false;
        kube::Client::try_from(config).map_err(|error| unusable("no client can be made").because(error))
    }

    /// A kubeconfig of one context. It exists in memory only.
    fn direct(&self) -> Value {
        use base64::Engine as _;
        let Access::Direct { host, certificate_authority, token, exec } = &self.access else {
            return Value::Null;
        };
        let mut cluster = json!({ "server": host });
        if let Some(pem) = certificate_authority {
            cluster["certificate-authority-data"] =
                json!(base64::engine::general_purpose::STANDARD.encode(pem));
        }
        let mut user = json!({});
        if let Some(token) = token {
            user["token"] = json!(token.0);
        }
        if let Some(exec) = exec {
            let env: Vec<Value> =
                exec.env.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
            user["exec"] = json!({
                "apiVersion": exec.api_version, "command": exec.command, "args": exec.args, "env": env,
                "interactiveMode": "Never",
            });
        }
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "site",
            "clusters": [{ "name": "site", "cluster": cluster }],
            "users": [{ "name": "site", "user": user }],
            "contexts": [{ "name": "site", "context": { "cluster": "site", "user": "site" } }],
        })
    }

    /// One request, again while the server is away or asks for patience. Everything that we send may be repeated.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Answer> {
        let mut made = self.client(None).await?;
        let mut renewed = false;
        let until = tokio::time::Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(200);
        loop {
            let mut wait = pause.mul_f64(rand::random_range(0.5..1.0));
            let failure = match tokio::time::timeout(LIMIT, self.once(&made.client, &ask)).await {
                // A token that ran out: the plugin, or the file, has another one.
                Ok(Ok(answer)) if answer.status == 401 && !renewed => {
                    renewed = true;
                    made = self.client(Some(made.number)).await?;
                    continue;
                }
                Ok(Ok(answer)) if !passing(&answer) => return Ok(answer),
                Ok(Ok(answer)) => {
                    wait += answer.after.unwrap_or_default();
                    refused(&answer, ask.about)
                }
                Ok(Err(error)) => error,
                Err(_) => {
                    return Err(self
                        .unreachable()
                        .because(std::io::Error::from(std::io::ErrorKind::TimedOut)));
                }
            };
            let again = matches!(failure.class, Class::Unreachable | Class::Retry);
            if !again || tokio::time::Instant::now() + wait > until {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(Duration::from_secs(4));
        }
    }

    async fn once(&self, client: &kube::Client, ask: &Ask<'_>) -> Result<Answer> {
        let kind = if ask.method == Method::PATCH { APPLY } else { "application/json" };
        let bytes = ask.body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(ask.method.clone())
            .uri(&ask.path)
            .header("content-type", kind)
            .header("accept", "application/json")
            .body(Body::from(bytes))
            .map_err(|error| Error::new(Class::Permanent, "a request cannot be written").because(error))?;
        let answer = client.send(request).await.map_err(|error| self.failed(error))?;
        let status = answer.status().as_u16();
        let after = answer.headers().get("retry-after").and_then(|it| it.to_str().ok()?.parse().ok());
        let after = after.map(Duration::from_secs);
        let bytes = answer
            .into_body()
            .collect()
            .await
            .map_err(|error| self.unreachable().because(std::io::Error::other(error.to_string())))?
            .to_bytes();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| json!({ "message": String::from_utf8_lossy(&bytes) }));
        Ok(Answer { status, body, after })
    }

    fn failed(&self, error: kube::Error) -> Error {
        match error {
            kube::Error::Auth(error) => {
                Error::new(Class::Denied, format!("site {}: no credentials could be had", self.site))
                    .next("Run the credential plugin of its kubeconfig by hand: it says what it lacks.")
                    .because(error)
            }
            other => self.unreachable().because(other),
        }
    }

    fn unreachable(&self) -> Error {
        Error::new(Class::Unreachable, format!("the API server of site {} does not answer", self.site))
            .next("Check that the cluster runs and that its address in the provider block is right.")
    }
}

/// Whether trying again soon may help. A 500 that tells of a field is a body that will never be accepted: server-side
/// apply answers so where the schema of a typed object lacks a field.
fn passing(answer: &Answer) -> bool {
    match answer.status {
        429 | 502 | 503 | 504 => true,
        500 => !message(answer).contains("not declared in schema"),
        403 => message(answer).contains("is being terminated"),
        _ => false,
    }
}

fn message(answer: &Answer) -> &str {
    answer.body["message"].as_str().unwrap_or_default()
}

/// A refusal, in the API server's words, with what to do about it.
pub(super) fn refused(answer: &Answer, about: &str) -> Error {
    let said = message(answer);
    let told = |class| Error::new(class, format!("{about}: {said}"));
    match answer.status {
        401 => told(Class::Denied).next("The credentials are not accepted: renew them."),
        403 if passing(answer) => {
            told(Class::Retry).next("The namespace is being removed: apply again when it is gone.")
        }
        403 => told(Class::Denied).next("Give the identity of the provider a Role that allows it."),
        404 if !said.contains("not found") => told(Class::Unsupported)
            .next("The cluster does not have this kind: install the operator that brings it."),
        404 => told(Class::Invalid),
        409 => conflict(answer, about),
        429 | 502 | 503 | 504 => {
            told(Class::Retry).next("The API server is overloaded or restarting: apply again.")
        }
        400 | 422 => told(Class::Invalid),
        500 if !passing(answer) => told(Class::Invalid),
        500 => told(Class::Retry).next("The API server failed: look at its log, and apply again."),
        _ => told(Class::Permanent),
    }
}

/// Who holds which field, and what to do.
fn conflict(answer: &Answer, about: &str) -> Error {
    let held = holders(answer);
    if held.is_empty() {
        return Error::new(Class::Retry, format!("{about}: {}", message(answer)));
    }
    let lines: Vec<String> = held.iter().map(|it| format!("{} by {}", it.field, it.manager)).collect();
    Error::new(Class::Conflict, format!("{about}: fields are held by others: {}", lines.join(", "))).next(
        "Have the other manager give them up (remove the fields from what it applies), or remove the object; then \
         apply again.",
    )
}

/// A field that somebody else holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) field: String,
    pub(super) manager: String,
    /// Whether it was changed by hand (an update), rather than declared by another applier.
    pub(super) by_hand: bool,
}

/// The fields of a conflict (`details.causes`, reason `FieldManagerConflict`). A manager that updated is told with the
/// version that it `using`d; one that applied is not.
pub(super) fn holders(answer: &Answer) -> Vec<Held> {
    let causes = answer.body.pointer("/details/causes").and_then(Value::as_array);
    let conflict = |cause: &&Value| cause["reason"] == "FieldManagerConflict";
    let held = |cause: &Value| {
        let text = cause["message"].as_str().unwrap_or_default();
        let manager = text.split('"').nth(1).unwrap_or("somebody").to_owned();
        Held {
            field: cause["field"].as_str().unwrap_or_default().to_owned(),
            // Whoever leaves the number of replicas to a scaler does not send it: who does is told of none any more.
            by_hand: text.contains(" using ") && manager.starts_with("kubectl")
                || manager.starts_with("streamverse-") && manager.contains("-keda-scaler-"),
            manager,
        }
    };
    causes.into_iter().flatten().filter(conflict).map(held).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict_of(text: &str) -> Answer {
        let causes =
            json!([{ "reason": "FieldManagerConflict", "message": text, "field": ".spec.replicas" }]);
        let body = json!({ "message": "Apply failed", "details": { "causes": causes } });
        Answer { status: 409, body, after: None }
    }

    #[test]
    fn a_conflict_names_field_and_holder_and_tells_hands_from_appliers() {
        let by_hand =
            holders(&conflict_of("conflict with \"kubectl-scale\" with subresource \"scale\" using apps/v1"));
        assert!(by_hand[0].by_hand);
        let applier = conflict_of("conflict with \"argocd\"");
        assert!(!holders(&applier)[0].by_hand);
        let error = refused(&applier, "Deployment a");
        assert_eq!(error.class, Class::Conflict);
        assert!(error.message.contains(".spec.replicas by argocd"), "{}", error.message);
    }

    #[tokio::test]
    async fn without_a_pod_around_us_the_service_account_is_missed_in_words() {
        if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            return; // this test itself runs in a pod
        }
        let api = Api::new("far", Access::InCluster);
        let ask = Ask { method: Method::GET, path: "/version".to_owned(), body: None, about: "it" };
        let error = api.ask(ask).await.unwrap_err();
        assert_eq!(error.class, Class::Invalid);
        assert!(error.message.contains("no service account of a pod"), "{error}");
    }

    #[test]
    fn a_500_about_a_field_is_never_tried_again() {
        let answer = |text: &str| Answer { status: 500, body: json!({ "message": text }), after: None };
        assert!(!passing(&answer("failed: .spec.replicaz: field not declared in schema")));
        assert_eq!(refused(&answer(".spec.x: field not declared in schema"), "x").class, Class::Invalid);
        assert!(passing(&answer("etcdserver: leader changed")));
    }
}
