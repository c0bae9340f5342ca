//! Looks whether what a job made is still as it made it: a job beside it, of the target `TARGET-look`, with its spec and what it may read, in
//! folders of its own.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use streamverse_model::platform::node::Looked;
use streamverse_model::platform::{JobObject, Name, Object, Owner, Phase};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::agent::Shared;
use crate::keeper::{Board, Keeper, Order, Turn};

/// Longer than this nobody waits for it: what cannot be looked at is as it was told last.
const LONGEST: Duration = Duration::from_secs(20);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(50);
/// What it is called; no owner has a job of that name.
const NAME: &str = "look";

/// Looks at what a job made, where there is a target that can.
pub(crate) async fn look(shared: &Arc<Shared>, owner: &Owner, job: &JobObject) -> Looked {
    let target = format!("{}-look", job.target);
    let Ok(name) = Name::parse(NAME) else { return Looked::default() };
    if !shared.targets.iter().any(|it| it.name == target) {
        return Looked::default();
    }
    let asked = JobObject { name, target, retries: 0, deadline_seconds: LONGEST.as_secs(), ..job.clone() };
    let key = format!("job/{NAME}");
    let board: Board = Arc::new(Mutex::default());
    let (orders, order) = watch::channel(Order::Keep(Box::new(Object::Job(asked)), Turn::default()));
    let keeper = Keeper::new(Arc::clone(shared), owner.clone(), key.clone(), Arc::clone(&board), order);
    let task = tokio::spawn(keeper.run());
    let until = Instant::now() + LONGEST;
    let said = loop {
        let status = board.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&key).cloned();
        match status {
            Some(status) if status.phase == Phase::Succeeded => break status.result,
            // A secret that is missing, a catalogue that does not answer: nobody knows.
            Some(status) if matches!(status.phase, Phase::Failed | Phase::Waiting) => break None,
            _ if Instant::now() > until => break None,
            _ => tokio::time::sleep(LOOK).await,
        }
    };
    // Its folders go with it.
    orders.send_replace(Order::Remove);
    let _ = task.await;
    said.and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default()
}
