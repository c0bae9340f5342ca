//! A look at what is being removed waits until it is gone, as long as there is time.

use std::time::Duration;

use streamverse_model::platform::Observed;
use tokio::time::Instant;

/// How long a look waits for what is being removed: longer than a node gives a process that does not stop.
pub(super) const LEAVING: Duration = Duration::from_secs(60);

/// What is seen once it is no longer being removed, or once there is no more time for that.
pub(super) async fn past_leaving<E, F: Future<Output = std::result::Result<Option<Observed>, E>>>(
    patience: Duration,
    between: Duration,
    cancelled: impl Future<Output = ()>,
    mut observe: impl FnMut() -> F,
) -> F::Output {
    let until = Instant::now() + patience;
    tokio::pin!(cancelled);
    loop {
        let found = observe().await;
        if !matches!(&found, Ok(Some(it)) if it.is_leaving()) || Instant::now() + between > until {
            return found;
        }
        tokio::select! {
            biased;
            () = &mut cancelled => return found,
            () = tokio::time::sleep(between) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};

    use serde_json::{Value, json};

    use super::*;

    fn seen(phase: &str) -> Result<Option<Observed>, String> {
        let owner = json!({ "deployment": "live", "kind": "transcoder", "name": "main" });
        let status = json!({ "object": "service/main", "phase": phase });
        let it: Value =
            json!({ "bundle": { "owner": owner, "objects": [] }, "revision": "1", "objects": [status] });
        Ok(Some(serde_json::from_value(it).unwrap()))
    }

    const BETWEEN: Duration = Duration::from_millis(10);
    /// What a test waits for no longer, and a look would.
    const LONG: Duration = Duration::from_secs(600);

    /// How many looks there were at what leaves after so many, and whether it was still leaving then.
    async fn looked(
        patience: Duration,
        cancelled: impl Future<Output = ()>,
        leaves_after: u32,
    ) -> (u32, bool) {
        let looks = Cell::new(0);
        let found = past_leaving(patience, BETWEEN, cancelled, || {
            looks.set(looks.get() + 1);
            let gone = looks.get() > leaves_after;
            async move { if gone { Ok(None) } else { seen("stopping") } }
        });
        let found = tokio::time::timeout(Duration::from_secs(30), found).await.expect("it waits on").unwrap();
        (looks.get(), found.is_some_and(|it| it.is_leaving()))
    }

    #[tokio::test]
    async fn a_look_waits_for_what_is_being_removed_while_there_is_time_and_nobody_interrupts() {
        assert_eq!(looked(LONG, pending(), 5).await, (6, false));
        // No time, or nearly none.
        assert_eq!(looked(Duration::ZERO, pending(), u32::MAX).await, (1, true));
        assert_eq!(looked(BETWEEN / 2, pending(), u32::MAX).await, (1, true));
        let (looks, leaving) = looked(10 * BETWEEN, pending(), u32::MAX).await;
        assert!(leaving && (1..=11).contains(&looks), "{looks}");
        // Interrupted, before and in the middle.
        assert_eq!(looked(LONG, ready(()), u32::MAX).await, (1, true));
        let (looks, leaving) = looked(LONG, tokio::time::sleep(5 * BETWEEN), u32::MAX).await;
        assert!(leaving && looks < 100, "{looks}");
        // What is there is told at once.
        let now = past_leaving(LONG, LONG, pending(), || async { seen("ready") }).await.unwrap();
        assert!(now.is_some_and(|it| !it.is_leaving()));
    }
}
