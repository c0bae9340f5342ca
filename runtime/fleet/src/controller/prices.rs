//! What candidates cost now: the clouds' offers, asked for once a minute, and the dated table until they answer.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use streamverse_compute::cloud::{Candidate, Offer, OfferQuery};
use streamverse_model::compute::{CloudKind, Lifecycle, Money, price};

use super::look::within;
use crate::service::Clouds;

/// Between two times that offers are asked for: clouds limit requests.
const EVERY_MS: u64 = 60_000;
/// … after they were not answered.
const AGAIN_MS: u64 = 30_000;

/// As spot, and on demand.
pub(super) type Hourly = (Option<Money>, Option<Money>);

/// Candidates by what they are without their keys: several pools may have one.
pub(super) type Wanted = BTreeMap<Candidate, Candidate>;

/// Prices.
#[derive(Default)]
pub(super) struct Prices {
    /// By candidate, without its key. What was asked for and not offered has none.
    known: HashMap<Candidate, Hourly>,
    /// When each cloud is asked again.
    next_ms: BTreeMap<CloudKind, u64>,
}

fn anonymous(candidate: &Candidate) -> Candidate {
    Candidate { key: String::new(), ..candidate.clone() }
}

impl Prices {
    /// Asks where it is time, or where the candidates are `new` and one was never asked for. Whether any price changed.
    pub(super) async fn refresh(
        &mut self,
        clouds: &Clouds,
        candidates: &BTreeMap<CloudKind, Wanted>,
        new: bool,
        patience: impl Fn(CloudKind) -> Duration,
        now: u64,
    ) -> bool {
        let mut asks = Vec::new();
        for (kind, all) in candidates {
            let Some(cloud) = clouds.get(kind) else { continue };
            let due =
                self.next_ms.get(kind).is_none_or(|it| *it <= now || *it > now.saturating_add(EVERY_MS));
            if due || new && all.keys().any(|it| !self.known.contains_key(it)) {
                let query = OfferQuery { candidates: all.values().cloned().collect() };
                let limit = patience(*kind);
                asks.push(async move {
                    let answer = within(limit, "its offers", cloud.offers(&query)).await;
                    (*kind, query.candidates, answer)
                });
            }
        }
        let mut changed = false;
        for (kind, asked, answer) in futures::future::join_all(asks).await {
            match answer {
                Ok(offers) => {
                    self.next_ms.insert(kind, now.saturating_add(EVERY_MS));
                    changed |= self.take(&asked, offers);
                }
                Err(error) => {
                    tracing::warn!(cloud = %kind, %error, "Offers are not known; what was known last holds.");
                    self.next_ms.insert(kind, now.saturating_add(AGAIN_MS));
                    for candidate in asked.iter().map(anonymous) {
                        changed |= !self.known.contains_key(&candidate);
                        let dated = dated(&candidate);
                        self.known.entry(candidate).or_insert(dated);
                    }
                }
            }
        }
        changed
    }

    fn take(&mut self, asked: &[Candidate], offers: Vec<Offer>) -> bool {
        let mut fresh: HashMap<Candidate, Hourly> =
            asked.iter().map(|it| (anonymous(it), (None, None))).collect();
        for offer in offers {
            if let Some(hourly) = fresh.get_mut(&anonymous(&offer.candidate)) {
                match offer.lifecycle {
                    Lifecycle::Spot => hourly.0 = Some(offer.hourly),
                    Lifecycle::OnDemand => hourly.1 = Some(offer.hourly),
                }
            }
        }
        let mut changed = false;
        for (candidate, hourly) in fresh {
            changed |= self.known.insert(candidate, hourly) != Some(hourly);
        }
        changed
    }

    /// What a candidate costs; nothing where it is not offered, or was never asked for.
    pub(super) fn of(&self, candidate: &Candidate) -> Hourly {
        self.known.get(&anonymous(candidate)).copied().unwrap_or_default()
    }
}

/// All candidates that prices are asked for, by cloud.
pub(super) fn wanted<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> BTreeMap<CloudKind, Wanted> {
    let mut all: BTreeMap<CloudKind, Wanted> = BTreeMap::new();
    for candidate in candidates {
        let its = all.entry(candidate.cloud).or_default();
        its.entry(anonymous(candidate)).or_insert_with(|| candidate.clone());
    }
    all
}

/// The price of the dated table.
fn dated(candidate: &Candidate) -> Hourly {
    let of = |lifecycle| {
        let row = price(candidate.cloud, &candidate.region, &candidate.shape, lifecycle)?;
        // Where one GPU is rented, several cost as much more.
        let each = candidate.cloud == CloudKind::Runpod;
        Some(row.hourly.times(if each { u64::from(candidate.gpus.max(1)) } else { 1 }))
    };
    (of(Lifecycle::Spot), of(Lifecycle::OnDemand))
}
