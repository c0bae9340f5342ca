//! Whether an edge serves, asked as a viewer would.

use std::time::Duration;

use reqwest::tls::TlsInfo;
use reqwest::{Client, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use streamverse_core::engine::Prepared;
use streamverse_core::{Error, Result, ServiceContext};
use streamverse_model::delivery::{AtsEdgeSpec, ats};

/// What was rendered, beside the engine's files.
pub(super) const SPEC: &str = "spec.json";
/// What an engine answers that uses what was rendered. Not there beside what an earlier version rendered.
pub(super) const MARK: &str = "mark";

struct Asker {
    spec: AtsEdgeSpec,
    host: String,
    client: Client,
}

async fn asker(running: &Prepared, cx: &ServiceContext) -> Result<Asker> {
    let broken = |text: &str| Error::permanent("engine-broken", text.to_owned());
    let text = tokio::fs::read(running.folder.join(SPEC)).await.unwrap_or_default();
    let spec = serde_json::from_slice(&text)
        .map_err(|error| broken("the running configuration has no spec").because(error))?;
    let host = if cx.bind.is_unspecified() { "127.0.0.1".to_owned() } else { cx.bind.to_string() };
    // Its certificate is for its viewers' names, not for this address.
    let client = Client::builder()
        .timeout(Duration::from_secs(3))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .danger_accept_invalid_certs(true)
        .tls_info(true)
        .build()
        .map_err(|error| broken("no HTTP client").because(error))?;
    Ok(Asker { spec, host, client })
}

/// It uses this configuration, each of its ports answers and, where a health check is declared, its path is served by an origin.
pub(super) async fn serves(running: &Prepared, cx: &ServiceContext) -> Result<()> {
    let asker = asker(running, cx).await?;
    let plain = format!("http://{}:{}", asker.host, asker.spec.port);
    if let Ok(mark) = tokio::fs::read_to_string(running.folder.join(MARK)).await {
        uses(&asker.client, &format!("{plain}/{}", ats::MARK_PATH), mark.trim()).await?;
    }
    ask(&asker.client, &format!("{plain}/_edge/metrics"), "the edge").await?;
    if let Some(tls) = &asker.spec.tls {
        let url = format!("https://{}:{}/_edge/metrics", asker.host, tls.port);
        shows(&asker.client, &url, &tls.certificate).await?;
    }
    if let Some(check) = &asker.spec.health_check {
        let what = format!("the edge, asked for {} of its origins,", check.path);
        ask(&asker.client, &format!("{plain}{}", check.path), &what).await?;
    }
    Ok(())
}

/// A reload is taken over seconds after it was told; until then it is the configuration before that answers.
async fn uses(client: &Client, url: &str, mark: &str) -> Result<()> {
    let answer = client.get(url).send().await.map_err(|error| {
        Error::passing("unhealthy", "the edge does not answer").because(error.without_url())
    })?;
    match answer.headers().get(ats::MARK_HEADER) {
        Some(told) if told.as_bytes() == mark.as_bytes() => Ok(()),
        _ => Err(Error::passing("unhealthy", "the edge does not use its newest configuration yet")),
    }
}

/// By TLS it answers, and with its newest certificate: that is loaded apart from the rest.
async fn shows(client: &Client, url: &str, certificate: &str) -> Result<()> {
    let answer = ask(client, url, "the edge by TLS").await?;
    let shown = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
    match (shown, CertificateDer::from_pem_slice(certificate.as_bytes())) {
        (Some(shown), Ok(ours)) if shown != ours.as_ref() => {
            Err(Error::passing("unhealthy", "the edge does not show its newest certificate yet"))
        }
        _ => Ok(()),
    }
}

async fn ask(client: &Client, url: &str, who: &str) -> Result<Response> {
    match client.get(url).send().await {
        Ok(answer) if answer.status().is_success() || answer.status().is_redirection() => Ok(answer),
        Ok(answer) => Err(Error::passing("unhealthy", format!("{who} answers {}", answer.status()))),
        Err(error) => {
            Err(Error::passing("unhealthy", format!("{who} does not answer")).because(error.without_url()))
        }
    }
}

/// How many transactions of viewers it has, as it counted them within the last 200 ms.
pub(super) async fn transactions(running: &Prepared, cx: &ServiceContext) -> Result<u64> {
    let asker = asker(running, cx).await?;
    let url = format!("http://{}:{}/_edge/metrics", asker.host, asker.spec.port);
    let failed = |error: reqwest::Error| {
        Error::passing("unhealthy", "the edge tells no metrics").because(error.without_url())
    };
    let page: Value = asker.client.get(url).send().await.map_err(failed)?.json().await.map_err(failed)?;
    let count = page.pointer("/global/proxy.process.http.current_client_transactions");
    let count = count.and_then(|count| count.as_str()?.parse().ok().or_else(|| count.as_u64()));
    count.ok_or_else(|| Error::passing("unhealthy", "the edge does not count its transactions"))
}
