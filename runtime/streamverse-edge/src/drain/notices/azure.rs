//! Azure: scheduled events of the instance metadata service.
//!
//! Source: Azure documentation, "Scheduled Events for Linux VMs" (`Preempt` of spot instances with at least 30 s, `Terminate`
//! of instances that somebody deletes; a look every second; `StartRequests` lets an event begin early).

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use streamverse_core::{Error, Result};
use streamverse_model::compute::Reason;
use tokio::sync::{Mutex, mpsc};
use tracing::{debug, warn};

use super::{Notice, Release};
use crate::drain::metadata::Metadata;
use crate::drain::now_ms;

const EVENTS: &str = "/metadata/scheduledevents?api-version=2020-07-01";
const NAME: &str = "/metadata/instance/compute/name?api-version=2021-02-01&format=text";
const EVERY: Duration = Duration::from_secs(1);
/// The first request switches the service on, which takes up to two minutes.
const FIRST: Duration = Duration::from_secs(130);
const WITHIN: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    document_incarnation: i64,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    event_id: String,
    event_type: String,
    #[serde(default)]
    event_status: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    not_before: String,
}

#[derive(Default)]
struct Seen {
    name: Option<String>,
    incarnation: Option<i64>,
    told: Vec<String>,
}

pub(super) async fn watch(metadata: Metadata, tell: mpsc::Sender<Notice>) -> Result<()> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    super::every(EVERY, || look(metadata.clone(), Arc::clone(&seen), tell.clone())).await
}

async fn look(metadata: Metadata, seen: Arc<Mutex<Seen>>, tell: mpsc::Sender<Notice>) -> Result<bool> {
    let mut seen = seen.lock().await;
    // Events of a whole scale set are delivered to each of its instances.
    if seen.name.is_none() {
        let answer = metadata.ask(metadata.get(NAME).header("Metadata", "true"), WITHIN).await?;
        if answer.status != 200 {
            let text = format!("the metadata service answers the instance's name with {}", answer.status);
            return Err(Error::passing("metadata", text));
        }
        seen.name = Some(answer.body.trim().to_owned());
    }
    let within = if seen.incarnation.is_none() { FIRST } else { WITHIN };
    let answer = metadata.ask(metadata.get(EVENTS).header("Metadata", "true"), within).await?;
    if answer.status != 200 {
        let text = format!("the metadata service answers scheduled events with {}", answer.status);
        return Err(Error::passing("metadata", text));
    }
    let document: Document = serde_json::from_str(&answer.body)
        .map_err(|error| Error::passing("metadata", "the scheduled events cannot be read").because(error))?;
    if seen.incarnation == Some(document.document_incarnation) {
        return Ok(tell.is_closed());
    }
    let name = seen.name.clone().unwrap_or_default();
    for event in
        document.events.iter().filter(|it| it.resources.iter().any(|one| one.eq_ignore_ascii_case(&name)))
    {
        if seen.told.contains(&event.event_id) {
            continue;
        }
        let Some(reason) = reason(&event.event_type) else {
            debug!(kind = event.event_type, "A scheduled event that takes nothing away.");
            continue;
        };
        let gone_ms = gone(event).unwrap_or_else(|error| {
            warn!(error = %error.chain(), "An event without a time is taken to begin now.");
            now_ms()
        });
        let release = Release { metadata: metadata.clone(), event: event.event_id.clone() };
        let notice = Notice { release: Some(release), ..Notice::new(reason, Some(gone_ms)) };
        seen.told.push(event.event_id.clone());
        if tell.send(notice).await.is_err() {
            return Ok(true);
        }
    }
    seen.incarnation = Some(document.document_incarnation);
    Ok(false)
}

fn reason(kind: &str) -> Option<Reason> {
    match kind {
        "Preempt" => Some(Reason::Preempted),
        "Terminate" => Some(Reason::Terminated),
        _ => None,
    }
}

/// When it begins; an event without a time, or one that was started, begins now.
fn gone(event: &Event) -> Result<u64> {
    if event.not_before.is_empty() || event.event_status == "Started" {
        return Ok(now_ms());
    }
    let time = jiff::fmt::rfc2822::parse(&event.not_before).map_err(|error| {
        Error::passing("metadata", format!("an event's NotBefore cannot be read: {:.60}", event.not_before))
            .because(error)
    })?;
    Ok(u64::try_from(time.timestamp().as_millisecond()).unwrap_or_default())
}

/// Lets an event begin now.
///
/// # Errors
/// When it is not taken.
pub(super) async fn start(metadata: &Metadata, event: &str) -> Result<()> {
    let body = json!({ "StartRequests": [{ "EventId": event }] }).to_string();
    let request = metadata.post(EVENTS).header("Metadata", "true").header("content-type", "application/json");
    let answer = metadata.ask(request.body(body), Duration::from_secs(3)).await?;
    match answer.status {
        200..=299 => Ok(()),
        status => Err(Error::passing("metadata", format!("starting the event is answered with {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(not_before: &str, status: &str) -> Event {
        Event {
            event_id: "1".to_owned(),
            event_type: "Preempt".to_owned(),
            event_status: status.to_owned(),
            resources: vec!["vm".to_owned()],
            not_before: not_before.to_owned(),
        }
    }

    #[test]
    fn an_event_begins_at_its_time_and_a_started_one_now() {
        let at = "Tue, 14 Nov 2023 22:13:20 GMT";
        assert_eq!(gone(&event(at, "Scheduled")).ok(), Some(1_700_000_000_000));
        assert!(gone(&event(at, "Started")).is_ok_and(|ms| ms > 1_700_000_000_000));
        assert!(gone(&event("", "Scheduled")).is_ok_and(|ms| ms > 1_700_000_000_000));
        assert!(gone(&event("tomorrow", "Scheduled")).is_err());
    }
}
