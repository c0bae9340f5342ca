//! The metrics of one service on this host: it tells them on a socket of its own, which no scraper reaches.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use streamverse_model::platform::Name;
use streamverse_model::platform::node::ApiError;

use super::{Answer, OwnerPath, held};
use crate::agent::Agent;
use crate::keeper::Keeper;

/// A scraper gives up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// A page that is larger is none of ours.
const LARGEST: usize = 8 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricsOptions {
    object: Option<String>,
}

#[utoipa::path(
    get,
    path = "/v1/deployments/{deployment}/owners/{kind}/{name}/metrics",
    params(
        ("deployment" = Name, Path, description = "The deployment"),
        ("kind" = Name, Path, description = "The owner's kind"),
        ("name" = Name, Path, description = "The owner's name"),
        ("object" = Option<String>, Query, description = "`service/origin`; the owner's first service where none is given"),
    ),
    responses((status = 200, description = "Its metrics, OpenMetrics text", body = String), (status = "4XX", body = ApiError), (status = "5XX", body = ApiError)),
)]
pub(super) async fn metrics(
    State(agent): State<Arc<Agent>>,
    Path(path): OwnerPath,
    Query(options): Query<MetricsOptions>,
) -> Result<Response, Answer> {
    let (owner, observed) = held(&agent, &path)?;
    let mut services =
        observed.objects.iter().map(|it| it.object.as_str()).filter(|it| it.starts_with("service/"));
    let found = match &options.object {
        Some(object) => services.find(|it| it == object),
        None => services.next(),
    };
    let wanted = options.object.as_deref().unwrap_or("service");
    let object = found.ok_or_else(|| Answer::not_found(&format!("{owner} has no {wanted} here")))?;
    let silent = || {
        let message = format!("{object} of {owner} does not answer: it is not running, or stuck");
        Answer(
            StatusCode::SERVICE_UNAVAILABLE,
            ApiError { code: "unavailable".to_owned(), message, next: None, field: None },
        )
    };
    let socket = Keeper::socket_of(&agent.shared, &owner, object);
    let client = reqwest::Client::builder().unix_socket(socket).timeout(PATIENCE).build();
    let asked = client.map_err(|_| silent())?.get("http://admin/metrics").send().await;
    let answer = asked.ok().filter(|it| it.status().is_success()).ok_or_else(silent)?;
    let kind = answer.headers().get("content-type").cloned();
    let mut page = Vec::new();
    let mut answer = answer;
    while let Some(bytes) = answer.chunk().await.map_err(|_| silent())? {
        if page.len() + bytes.len() > LARGEST {
            return Err(silent());
        }
        page.extend_from_slice(&bytes);
    }
    let mut told = page.into_response();
    if let Some(kind) = kind {
        told.headers_mut().insert("content-type", kind);
    }
    Ok(told)
}
