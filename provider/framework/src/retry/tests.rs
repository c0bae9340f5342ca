//! Retrying and waiting on a paused clock.

use std::cell::Cell;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;

fn request(limit: Option<Duration>) -> (Request, CancellationToken) {
    let stop = CancellationToken::new();
    let mut request = Request::new("acme_thing", stop.child_token());
    request.deadline = limit.map(|limit| Instant::now() + limit);
    (request, stop)
}

const EAGER: Backoff =
    Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(2), attempts: 5 };

// A call that fails with an error of this class until the given attempt.
async fn call(request: &Request, fails: u32, class: Class) -> (Result<u32>, u32) {
    let calls = Cell::new(0);
    let outcome = request
        .retry(EAGER, || {
            calls.set(calls.get() + 1);
            let now = calls.get();
            async move { if now <= fails { Err(Error::new(class, "busy")) } else { Ok(now) } }
        })
        .await;
    (outcome, calls.get())
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_until_it_does() {
    let (request, _stop) = request(None);
    let (outcome, calls) = call(&request, 3, Class::Retry).await;
    assert_eq!((outcome.unwrap(), calls), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_pass_is_not_tried_again() {
    let (request, _stop) = request(None);
    for class in [Class::Permanent, Class::Denied, Class::Invalid, Class::Bug, Class::Quota] {
        let (outcome, calls) = call(&request, 1, class).await;
        assert_eq!(outcome.unwrap_err().class(), class);
        assert_eq!(calls, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded_and_the_last_error_says_how_many() {
    let (request, _stop) = request(None);
    let (outcome, calls) = call(&request, 100, Class::Retry).await;
    let error = outcome.unwrap_err();
    assert_eq!(calls, 5);
    assert!(error.to_string().starts_with("tried 5 times in "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_remote_side_says_how_long_to_wait() {
    let (request, _stop) = request(None);
    let before = Instant::now();
    let (outcome, _) = call(&request, 1, Class::Throttle(Some(Duration::from_secs(30)))).await;
    assert!(outcome.is_ok());
    let waited = before.elapsed();
    assert!(waited >= Duration::from_secs(30) && waited < Duration::from_secs(31), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_remote_side_that_says_forever_ends_the_call_and_not_the_provider() {
    let (request, _stop) = request(Some(Duration::from_secs(10)));
    let slow = Backoff { first: Duration::from_secs(60), longest: Duration::from_secs(60), attempts: 5 };
    for _ in 0..20 {
        let outcome: Result<()> =
            request.retry(slow, async || Err(Error::throttle("busy", Some(Duration::MAX)))).await;
        assert!(outcome.unwrap_err().to_string().contains("no time was left"));
    }
}

#[tokio::test(start_paused = true)]
async fn no_pause_outlives_the_deadline() {
    let (request, _stop) = request(Some(Duration::from_secs(10)));
    let before = Instant::now();
    let (outcome, calls) = call(&request, 1, Class::Throttle(Some(Duration::from_secs(30)))).await;
    assert_eq!(calls, 1);
    assert!(outcome.unwrap_err().to_string().contains("no time was left after 1 attempts"));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_a_retry_and_a_call_that_hangs() {
    let (request, stop) = request(None);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
    });
    let outcome: Result<()> = request.retry(EAGER, std::future::pending).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.class(), Class::Interrupted);
    assert!(error.to_string().contains("acme_thing was interrupted"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_the_condition_is_met() {
    let (request, _stop) = request(Some(Duration::from_secs(60)));
    let asked = Cell::new(0);
    let done = request
        .wait_until("the thing", Duration::from_secs(1), || {
            asked.set(asked.get() + 1);
            let now = asked.get();
            async move {
                match now {
                    1 => Ok(Progress::Waiting("pending".to_owned())),
                    2 => Err(Error::retry("a passing fault")),
                    _ => Ok(Progress::Done(now)),
                }
            }
        })
        .await;
    assert_eq!(done.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_the_deadline_and_says_what_was_last_seen() {
    let (request, _stop) = request(Some(Duration::from_secs(60)));
    let before = Instant::now();
    let outcome: Result<()> = request
        .wait_until("the thing", Duration::from_secs(7), || async {
            Ok(Progress::Waiting("3 of 5 nodes".to_owned()))
        })
        .await;
    let told = outcome.unwrap_err().diagnostic().to_string();
    assert_eq!(before.elapsed(), Duration::from_secs(60));
    for part in ["Waiting for the thing (last seen: 3 of 5 nodes)", "not finished within 1m", "`timeouts`"] {
        assert!(told.contains(part), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_within_their_bound_and_differ() {
    let pauses: Vec<Duration> = (0..40).map(|attempt| EAGER.pause(attempt)).collect();
    assert!(pauses.iter().all(|pause| *pause <= EAGER.longest));
    assert!(pauses.windows(2).any(|pair| pair[0] != pair[1]), "no jitter");
}
