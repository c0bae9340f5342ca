//! The decision.
//!
//! It errs on the side of whoever sells: where clocks disagree, what opens does so at the latest time that it may be, and
//! what closes at the earliest. So no clock that is off by at most the allowed skew gives more than the policy says.

use super::account::{Account, Grant, GrantKind, Limited, Stream};
use super::refusal::Refusal;
use super::spec::{EntitlementPolicySpec, instant, lists};
use crate::drm::UsageSpec;

/// Assets with an `expiry` that one stream may have at a time: a bound of what an account needs.
const MOST_LIMITED: usize = 1000;

/// What time it is, as far as clocks can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// It is no earlier; milliseconds since the Unix epoch.
    pub earliest_ms: u64,
    /// It is no later.
    pub latest_ms: u64,
}

impl Clock {
    /// The time of a clock that is off by at most `skew_ms`.
    pub fn around(now_ms: u64, skew_ms: u64) -> Clock {
        Clock { earliest_ms: now_ms.saturating_sub(skew_ms), latest_ms: now_ms.saturating_add(skew_ms) }
    }
}

/// What is asked for, by somebody whose token holds.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The assets whose keys are wanted, at least one.
    pub assets: &'a [&'a str],
    /// The device.
    pub device: &'a str,
    /// The session of the device; empty where the token names none.
    pub session: &'a str,
    /// Where the viewer is (ISO 3166-1 alpha-2), if the token says.
    pub country: Option<&'a str>,
    /// What the DRM configurations of assets say, by asset; those that say nothing are not here.
    pub usage: &'a [(&'a str, &'a UsageSpec)],
    /// Whether the licence is to be kept, and to be used without a network.
    pub is_persistent: bool,
}

impl<'a> Request<'a> {
    fn usage(&self, asset: &str) -> Option<&'a UsageSpec> {
        self.usage.iter().find(|(of, _)| *of == asset).map(|(_, usage)| *usage)
    }
}

/// A licence may be given.
#[derive(Clone, Debug, PartialEq)]
pub struct Allowed {
    /// The account as it must be kept before the licence is given; nothing where it stays as it is.
    pub account: Option<Account>,
    /// After how many milliseconds the player should ask again.
    pub renew_after_ms: u64,
}

/// Decides. The account that comes back must replace exactly the one that was given, or the decision does not hold.
///
/// # Errors
/// Why there is no licence. The account stays as it is.
pub fn decide(
    policy: &EntitlementPolicySpec,
    account: &Account,
    request: &Request<'_>,
    clock: Clock,
) -> Result<Allowed, Refusal> {
    for asset in request.assets {
        blacked_out(policy, asset, request.country, clock)?;
    }
    if request.is_persistent {
        // What is kept obeys nobody: only what has no end may be, of the asset here, of the rights to it below.
        let may = |it: &UsageSpec| it.offline && it.expiry.is_none() && it.rental.is_none();
        if !request.assets.iter().all(|asset| request.usage(asset).is_some_and(may)) {
            return Err(Refusal::OfflineNotAllowed);
        }
    }
    let mut begun: Vec<&str> = Vec::new();
    for asset in request.assets {
        let usage = request.usage(asset);
        begun.extend(entitled(policy, account, asset, usage, clock)?);
        if request.is_persistent && !for_good(policy, account, asset, usage, clock) {
            return Err(Refusal::OfflineNotAllowed);
        }
    }
    let is_new = device(policy, account, request.device)?;
    let lease = millis(policy.licence_duration.0);
    let (stream, renew_after_ms) = stream(policy, account, request, lease, clock)?;
    // Most licences change nothing.
    if begun.is_empty() && !is_new && stream.is_none() {
        return Ok(Allowed { account: None, renew_after_ms });
    }
    let mut next = account.clone();
    for (_, grant) in next.grants.iter_mut().filter(|(id, _)| begun.contains(&id.as_str())) {
        grant.first_play_ms = Some(clock.earliest_ms);
    }
    if is_new {
        next.devices.push(request.device.to_owned());
    }
    if let Some(stream) = stream {
        next.streams.retain(|it| runs(it, clock));
        match next.streams.iter_mut().find(|it| is_of(it, request)) {
            Some(it) => *it = stream,
            None => next.streams.push(stream),
        }
    }
    Ok(Allowed { account: Some(next), renew_after_ms })
}

fn millis(it: std::time::Duration) -> u64 {
    u64::try_from(it.as_millis()).unwrap_or(u64::MAX)
}

fn blacked_out(
    policy: &EntitlementPolicySpec,
    asset: &str,
    country: Option<&str>,
    clock: Clock,
) -> Result<(), Refusal> {
    for it in policy.blackouts.iter().flatten().filter(|it| lists(&it.assets, asset)) {
        // What cannot be read holds always: a policy is checked before it is used.
        let begins = it.from.as_deref().and_then(instant).unwrap_or(0);
        let ends = it.to.as_deref().and_then(instant).unwrap_or(u64::MAX);
        let there = country.is_none_or(|country| it.countries.iter().any(|one| one == country));
        if there && clock.latest_ms >= begins && clock.earliest_ms < ends {
            return Err(Refusal::Blackout);
        }
    }
    Ok(())
}

/// What a grant says about an asset.
enum Says {
    /// Nothing.
    Nothing,
    /// It may be watched.
    Yes,
    /// It may be watched, and its time begins with that.
    Begins,
    /// It might have been.
    No(Refusal),
}

/// Finds a right to the asset, and says which rental begins with it. What costs nothing comes first: a rental does not begin
/// where a subscription covers it.
fn entitled<'a>(
    policy: &EntitlementPolicySpec,
    account: &'a Account,
    asset: &str,
    usage: Option<&UsageSpec>,
    clock: Clock,
) -> Result<Option<&'a str>, Refusal> {
    let mut why = Refusal::NotEntitled;
    let mut begins: Option<(u64, &str)> = None;
    for (id, grant) in &account.grants {
        match says(policy, grant, asset, usage, clock) {
            Says::Nothing => {}
            Says::Yes => return Ok(None),
            // Of several, the one that was rented first.
            Says::Begins => {
                let candidate = (grant.from_ms, id.as_str());
                begins = Some(begins.map_or(candidate, |other| other.min(candidate)));
            }
            Says::No(refusal) => why = refusal,
        }
    }
    begins.map(|(_, id)| Some(id)).ok_or(why)
}

/// Whether one right to the asset has no end, and no blackout is to come that it would not obey.
fn for_good(
    policy: &EntitlementPolicySpec,
    account: &Account,
    asset: &str,
    usage: Option<&UsageSpec>,
    clock: Clock,
) -> bool {
    let blackouts = policy.blackouts.iter().flatten().filter(|it| lists(&it.assets, asset));
    let mut ends = blackouts.map(|it| it.to.as_deref().and_then(instant).unwrap_or(u64::MAX));
    let endless = |it: &Grant| {
        matches!(it.kind, GrantKind::Subscription | GrantKind::Purchase) && it.until_ms.is_none()
    };
    ends.all(|end| clock.earliest_ms >= end)
        && account
            .grants
            .values()
            .any(|it| endless(it) && matches!(says(policy, it, asset, usage, clock), Says::Yes))
}

fn says(
    policy: &EntitlementPolicySpec,
    grant: &Grant,
    asset: &str,
    usage: Option<&UsageSpec>,
    clock: Clock,
) -> Says {
    let begun = clock.earliest_ms >= grant.from_ms;
    let over = grant.until_ms.is_some_and(|until| clock.latest_ms >= until);
    match grant.kind {
        GrantKind::Subscription => match policy.package(&grant.of) {
            Some(package) if lists(&package.assets, asset) && begun && !over => Says::Yes,
            _ => Says::Nothing,
        },
        GrantKind::Purchase if policy.purchases && grant.of == asset && begun && !over => Says::Yes,
        GrantKind::Purchase => Says::Nothing,
        GrantKind::Rental => {
            let Some(rental) = policy.rental.as_ref().filter(|_| grant.of == asset && begun) else {
                return Says::Nothing;
            };
            // The stricter of what is sold and of how the asset is encrypted.
            let of_asset = usage.and_then(|it| it.rental.as_ref());
            let window = of_asset.map_or(rental.window.0, |it| it.watch_within.0.min(rental.window.0));
            let wait =
                of_asset.map_or(rental.start_within.0, |it| it.start_within.0.min(rental.start_within.0));
            let ends = match grant.first_play_ms {
                Some(first) => first.saturating_add(millis(window)),
                None => grant.from_ms.saturating_add(millis(wait)),
            };
            if over || clock.latest_ms >= ends {
                return Says::No(Refusal::RentalExpired);
            }
            if grant.first_play_ms.is_some() { Says::Yes } else { Says::Begins }
        }
        GrantKind::Event => {
            let Some(event) = policy.event(&grant.of).filter(|it| lists(&it.assets, asset)) else {
                return Says::Nothing;
            };
            let (Some(from), Some(to)) = (instant(&event.from), instant(&event.to)) else {
                return Says::Nothing;
            };
            let open = clock.earliest_ms >= from && clock.latest_ms < to;
            if open && begun && !over { Says::Yes } else { Says::No(Refusal::EventNotOpen) }
        }
    }
}

/// Whether it is another device than those that the account has. The first ones are those that count, also when the policy
/// allowed more of them before.
fn device(policy: &EntitlementPolicySpec, account: &Account, device: &str) -> Result<bool, Refusal> {
    let most = policy.devices as usize;
    match account.devices.iter().position(|it| it == device) {
        Some(place) if place < most => Ok(false),
        None if account.devices.len() < most => Ok(true),
        _ => Err(Refusal::TooManyDevices),
    }
}

fn runs(it: &Stream, clock: Clock) -> bool {
    clock.earliest_ms < it.until_ms
}

fn is_of(it: &Stream, request: &Request<'_>) -> bool {
    it.device == request.device && it.session == request.session
}

/// A stream that runs goes on; another one needs a place. As with devices, the first ones count. Returns the stream as it
/// must be kept, unless it is kept so already, and after how long the player should ask again.
fn stream(
    policy: &EntitlementPolicySpec,
    account: &Account,
    request: &Request<'_>,
    lease: u64,
    clock: Clock,
) -> Result<(Option<Stream>, u64), Refusal> {
    let most = policy.streams as usize;
    let asset = request.assets.first().copied().unwrap_or_default();
    // To the player it lasts `lease` from now, whatever our clock says: its place is taken at least that long. It is taken
    // for half of it more, so that not every licence is a write.
    let needed = clock.latest_ms.saturating_add(lease);
    let until = needed.saturating_add(lease / 2);
    let mut running = 0;
    let mut found = None;
    for it in account.streams.iter().filter(|it| runs(it, clock)) {
        if found.is_none() && is_of(it, request) {
            found = Some((running, it));
        }
        running += 1;
    }
    let held: &[Limited] = match found {
        Some((place, it)) if place < most => &it.limited,
        None if running < most => &[],
        _ => return Err(Refusal::TooManyStreams),
    };
    let Limits { limited, left, is_held } = limits(held, request, needed, until, clock)?;
    let renew_after_ms = left.map_or(lease / 2, |left| left.min(lease / 2));
    let next = match found {
        Some((_, it)) if it.asset == asset && it.until_ms >= needed && is_held => None,
        Some((_, it)) => {
            Some(Stream { asset: asset.to_owned(), until_ms: it.until_ms.max(until), limited, ..it.clone() })
        }
        None => Some(Stream {
            device: request.device.to_owned(),
            session: request.session.to_owned(),
            asset: asset.to_owned(),
            since_ms: clock.earliest_ms,
            until_ms: until,
            limited,
        }),
    };
    Ok((next, renew_after_ms))
}

/// The assets of a stream whose licences have an `expiry`.
struct Limits {
    /// As they must be kept.
    limited: Vec<Limited>,
    /// For how many milliseconds the first of those that are asked for may go on.
    left: Option<u64>,
    /// Whether they are kept so already.
    is_held: bool,
}

/// Each asset has its own time: another one that is asked for beside it, or in turn with it, does not begin it anew.
fn limits(
    held: &[Limited],
    request: &Request<'_>,
    needed: u64,
    until: u64,
    clock: Clock,
) -> Result<Limits, Refusal> {
    let mut limited: Vec<Limited> =
        held.iter().filter(|it| clock.earliest_ms < it.until_ms).cloned().collect();
    let (mut left, mut is_held) = (None, true);
    for asset in request.assets {
        let Some(expiry) = request.usage(asset).and_then(|it| it.expiry.as_ref()) else { continue };
        let (expiry, count) = (millis(expiry.0), limited.len());
        let rest = match limited.iter_mut().find(|it| it.asset == *asset) {
            Some(it) => {
                let rest = it.since_ms.saturating_add(expiry).saturating_sub(clock.latest_ms);
                if rest == 0 {
                    return Err(Refusal::LicenceExpired);
                }
                is_held &= it.until_ms >= needed;
                it.until_ms = it.until_ms.max(until);
                rest
            }
            None if count >= MOST_LIMITED => return Err(Refusal::TooManyStreams),
            None => {
                is_held = false;
                let (asset, since_ms) = ((*asset).to_owned(), clock.earliest_ms);
                limited.push(Limited { asset, since_ms, until_ms: until });
                expiry
            }
        };
        left = Some(left.map_or(rest, |left: u64| left.min(rest)));
    }
    Ok(Limits { limited, left, is_held })
}
