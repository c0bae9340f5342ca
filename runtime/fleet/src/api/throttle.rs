//! How often an address may try to enrol.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use streamverse_core::http::network_of;

/// Tries that an address may make at once: all pods of a data centre may share one.
const BURST: u64 = 60;
/// Until it may make another one, in milliseconds.
const EACH_MS: u64 = 200;
/// Addresses that are remembered. Those whose tries are all given back are forgotten first, then all.
const MOST: usize = 10_000;

/// Tries by address. An IPv6 address stands for its /64, which one host may have whole.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<IpAddr, u64>>);

impl Throttle {
    /// Whether this address may try now.
    pub(super) fn may(&self, address: IpAddr, now_ms: u64) -> bool {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= MOST {
            tries.retain(|_, free_ms| *free_ms > now_ms);
            if tries.len() >= MOST {
                tries.clear();
            }
        }
        // The moment at which all tries are given back: each one moves it on.
        let free_ms = tries.entry(network_of(address)).or_insert(now_ms);
        let next = (*free_ms).max(now_ms).saturating_add(EACH_MS);
        if next.saturating_sub(now_ms) > BURST * EACH_MS {
            return false;
        }
        *free_ms = next;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_burst_and_then_its_rate_and_others_have_theirs() {
        let throttle = Throttle::default();
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let tried = |now_ms: u64| (0..1000).filter(|_| throttle.may(one, now_ms)).count();
        assert_eq!(tried(1_000_000), 60);
        assert_eq!(tried(1_001_000), 5);
        assert!(!throttle.may("2001:db8::2".parse().unwrap(), 1_001_000), "the same /64");
        assert!(throttle.may("192.0.2.1".parse().unwrap(), 1_001_000));
        assert_eq!(tried(2_000_000), 60);
    }

    #[test]
    fn what_it_remembers_is_bounded() {
        let throttle = Throttle::default();
        for k in 0..50_000_u32 {
            throttle.may(IpAddr::from(k.to_be_bytes()), 5);
        }
        assert!(throttle.0.lock().unwrap().len() <= MOST);
    }
}
