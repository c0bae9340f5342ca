//! The decision.
//!
//! It errs on the side of whoever sells: where clocks disagree, what opens does so at the latest time that it may be, and
//! what closes at the earliest. So no clock that is off by at most the allowed skew gives more than the policy says.

use super::account::{Account, Grant, GrantKind, Stream};
use super::refusal::Refusal;
use super::spec::{EntitlementPolicySpec, instant, lists};

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
    let mut next = account.clone();
    for asset in request.assets {
        entitled(policy, &mut next, asset, clock)?;
    }
    device(policy, &mut next, request.device)?;
    let lease = u64::try_from(policy.licence_duration.0.as_millis()).unwrap_or(u64::MAX);
    stream(policy, &mut next, request, lease, clock)?;
    let changed = (next != *account).then_some(next);
    Ok(Allowed { account: changed, renew_after_ms: lease / 2 })
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

/// Finds a right to the asset. What costs nothing comes first: a rental does not begin where a subscription covers it.
fn entitled(
    policy: &EntitlementPolicySpec,
    account: &mut Account,
    asset: &str,
    clock: Clock,
) -> Result<(), Refusal> {
    let mut why = Refusal::NotEntitled;
    let mut begins: Option<(u64, String)> = None;
    for (id, grant) in &account.grants {
        match says(policy, grant, asset, clock) {
            Says::Nothing => {}
            Says::Yes => return Ok(()),
            // Of several, the one that was rented first.
            Says::Begins => {
                let candidate = (grant.from_ms, id.clone());
                begins = Some(begins.map_or(candidate.clone(), |other| other.min(candidate)));
            }
            Says::No(refusal) => why = refusal,
        }
    }
    let Some((_, id)) = begins else { return Err(why) };
    if let Some(grant) = account.grants.get_mut(&id) {
        grant.first_play_ms = Some(clock.earliest_ms);
    }
    Ok(())
}

fn says(policy: &EntitlementPolicySpec, grant: &Grant, asset: &str, clock: Clock) -> Says {
    let millis = |it: std::time::Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
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
            let ends = match grant.first_play_ms {
                Some(first) => first.saturating_add(millis(rental.window.0)),
                None => grant.from_ms.saturating_add(millis(rental.start_within.0)),
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

/// The first devices are those that count, also when the policy allowed more of them before.
fn device(policy: &EntitlementPolicySpec, account: &mut Account, device: &str) -> Result<(), Refusal> {
    let most = policy.devices as usize;
    match account.devices.iter().position(|it| it == device) {
        Some(place) if place < most => Ok(()),
        None if account.devices.len() < most => {
            account.devices.push(device.to_owned());
            Ok(())
        }
        _ => Err(Refusal::TooManyDevices),
    }
}

/// A stream that runs goes on; another one needs a place. As with devices, the first ones count.
fn stream(
    policy: &EntitlementPolicySpec,
    account: &mut Account,
    request: &Request<'_>,
    lease: u64,
    clock: Clock,
) -> Result<(), Refusal> {
    let most = policy.streams as usize;
    let asset = request.assets.first().copied().unwrap_or_default();
    // To the player it lasts `lease` from now, whatever our clock says: its place is taken at least that long. It is taken
    // for half of it more, so that not every licence is a write.
    let needed = clock.latest_ms.saturating_add(lease);
    let until = needed.saturating_add(lease / 2);
    let runs = |it: &Stream| clock.earliest_ms < it.until_ms;
    let is = |it: &Stream| it.device == request.device && it.session == request.session;
    let running = account.streams.iter().filter(|it| runs(it));
    match running.clone().position(is) {
        Some(place) if place < most => {
            if let Some(it) = account.streams.iter_mut().find(|it| runs(it) && is(it))
                && (it.until_ms < needed || it.asset != asset)
            {
                it.until_ms = it.until_ms.max(until);
                asset.clone_into(&mut it.asset);
                account.streams.retain(runs);
            }
            Ok(())
        }
        None if running.count() < most => {
            account.streams.retain(runs);
            account.streams.push(Stream {
                device: request.device.to_owned(),
                session: request.session.to_owned(),
                asset: asset.to_owned(),
                since_ms: clock.earliest_ms,
                until_ms: until,
            });
            Ok(())
        }
        _ => Err(Refusal::TooManyStreams),
    }
}
