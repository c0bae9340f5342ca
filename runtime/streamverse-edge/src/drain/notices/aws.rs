//! EC2: spot interruption notices and rebalance recommendations, by the instance metadata service version 2.
//!
//! Source: Amazon EC2 User Guide, "Spot Instance interruption notices" (which asks for a look every 5 s), "EC2 instance
//! rebalance recommendations", "Use the Instance Metadata Service"; Amazon EC2 Auto Scaling User Guide, "Retrieve the target
//! lifecycle state through instance metadata".

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use streamverse_core::{Error, Result};
use streamverse_model::compute::Reason;
use tokio::sync::{Mutex, mpsc};

use super::Notice;
use crate::drain::metadata::{Answer, Metadata};
use crate::drain::now_ms;

const EVERY: Duration = Duration::from_secs(5);
const WITHIN: Duration = Duration::from_secs(2);
/// Six hours, which is the most.
const TOKEN_SECONDS: &str = "21600";

#[derive(Deserialize)]
struct InstanceAction {
    action: String,
    time: String,
}

/// What has been told.
#[derive(Default)]
struct Told {
    token: Option<String>,
    rebalance: bool,
    terminated: bool,
}

pub(super) async fn watch(metadata: Metadata, tell: mpsc::Sender<Notice>) -> Result<()> {
    let told = Arc::new(Mutex::new(Told::default()));
    super::every(EVERY, || look(metadata.clone(), Arc::clone(&told), tell.clone())).await
}

/// One look at everything. True when nothing more can come.
async fn look(metadata: Metadata, told: Arc<Mutex<Told>>, tell: mpsc::Sender<Notice>) -> Result<bool> {
    let mut told = told.lock().await;
    // The interruption comes first: of both it has less time.
    if let Some(text) = item(&metadata, &mut told, "/latest/meta-data/spot/instance-action").await? {
        let gone_ms = read_action(&text)?;
        // Hibernation begins at once.
        let notice = Notice::new(Reason::Preempted, Some(gone_ms.unwrap_or_else(now_ms)));
        return Ok(tell.send(notice).await.is_ok());
    }
    if !told.terminated {
        let state =
            item(&metadata, &mut told, "/latest/meta-data/autoscaling/target-lifecycle-state").await?;
        if state.is_some_and(|state| state.trim() == "Terminated") {
            told.terminated = true;
            let _ = tell.send(Notice::new(Reason::Terminated, None)).await;
        }
    }
    if !told.rebalance {
        let path = "/latest/meta-data/events/recommendations/rebalance";
        if item(&metadata, &mut told, path).await?.is_some() {
            told.rebalance = true;
            let _ = tell.send(Notice::new(Reason::Rebalance, None)).await;
        }
    }
    Ok(tell.is_closed())
}

/// When the instance is gone; none when that has begun.
fn read_action(text: &str) -> Result<Option<u64>> {
    let unreadable = |text: &str| {
        Error::passing("metadata", format!("the spot instance action cannot be read: {text:.200}"))
    };
    let action: InstanceAction =
        serde_json::from_str(text).map_err(|error| unreadable(text).because(error))?;
    if action.action == "hibernate" {
        return Ok(None);
    }
    let time: jiff::Timestamp = action.time.parse().map_err(|error| unreadable(text).because(error))?;
    Ok(Some(u64::try_from(time.as_millisecond()).unwrap_or_default()))
}

/// An item; none where there is none (404), as is usual.
async fn item(metadata: &Metadata, told: &mut Told, path: &str) -> Result<Option<String>> {
    for _ in 0..2 {
        let token = match &told.token {
            Some(token) => token.clone(),
            None => {
                let request = metadata
                    .put("/latest/api/token")
                    .header("X-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS);
                let answer = metadata.ask(request, WITHIN).await?;
                if answer.status != 200 {
                    return Err(refused(&answer, "/latest/api/token"));
                }
                told.token.insert(answer.body.trim().to_owned()).clone()
            }
        };
        let request = metadata.get(path).header("X-aws-ec2-metadata-token", token);
        let answer = metadata.ask(request, WITHIN).await?;
        match answer.status {
            200 => return Ok(Some(answer.body)),
            404 => return Ok(None),
            // It ran out, or the instance was moved.
            401 => told.token = None,
            _ => return Err(refused(&answer, path)),
        }
    }
    Err(Error::passing("metadata", "the metadata service refuses the token that it just gave"))
}

fn refused(answer: &Answer, path: &str) -> Error {
    Error::passing("metadata", format!("the metadata service answers {path} with {}", answer.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_says_when_the_instance_is_gone() {
        let text = r#"{"action": "terminate", "time": "2023-11-14T22:13:20Z"}"#;
        assert_eq!(read_action(text).ok(), Some(Some(1_700_000_000_000)));
        assert_eq!(read_action(r#"{"action":"hibernate","time":""}"#).ok(), Some(None));
        for broken in ["", "{}", r#"{"action":"stop","time":"soon"}"#] {
            assert!(read_action(broken).is_err(), "{broken}");
        }
    }
}
