//! How often and how soon a call is repeated.

use std::time::Duration;

use rand::Rng as _;

/// So often a call is tried within its deadline.
pub(crate) const ATTEMPTS: u32 = 6;
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(20);

/// How long to wait after so many attempts: exponential with full jitter, and never less than the server asked for. Many clients
/// that were refused together must not come back together.
pub(crate) fn pause(attempts: u32, asked: Option<Duration>) -> Duration {
    let ceiling = FIRST.saturating_mul(1 << attempts.min(10)).min(LONGEST);
    let jitter = ceiling.mul_f64(rand::rng().random_range(0.0..1.0));
    match asked {
        Some(asked) => asked + jitter.min(asked.mul_f64(0.25) + FIRST),
        None => jitter.max(Duration::from_millis(20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_bounded_and_never_shorter_than_asked() {
        for attempts in 0..40 {
            for _ in 0..50 {
                assert!(pause(attempts, None) <= LONGEST);
                let asked = Duration::from_secs(9);
                let pause = pause(attempts, Some(asked));
                assert!(pause >= asked && pause < asked * 2, "{pause:?}");
            }
        }
    }
}
