//! On-demand as a net under spot: capped, held down, and given back.

use streamverse_model::compute::Lifecycle;

use super::choose::{choose, lift};
use super::fleet::ms;
use super::leave;
use super::pool::{Live, Tick, count, places, ready};
use super::state::PoolState;
use super::target::Aim;
use super::why::Why;

pub(super) fn net(tick: &mut Tick<'_>, memory: &mut PoolState, live: &mut [Live], aim: &Aim) {
    if tick.pool.primary() != Lifecycle::Spot {
        return;
    }
    let sold = tick.pool.candidates.iter().filter(|it| it.spot.is_some()).count();
    let breadth = aim.goal.min(2).min(u32::try_from(sold).unwrap_or(2));
    // What could not be launched is missing. What starts already will be there before an on-demand instance could.
    let launched = count(live, memory, Lifecycle::Spot);
    let missing = aim.goal.saturating_sub(launched);
    let narrow = u32::from((places(tick.pool, live, memory, false).len() as u32) < breadth);
    let now = tick.now;
    memory.short_since = (missing > 0 || narrow > 0).then(|| memory.short_since.unwrap_or(now));
    let (max, after, back) = match &tick.pool.policy.fallback {
        Some(it) => (it.max, ms(it.after.0), ms(it.return_after.0)),
        None => (0, 0, 0),
    };
    let short_for = memory.short_since.map_or(0, |it| now.saturating_sub(it));
    let held = memory.short_since.is_none() || short_for < after;
    // A place takes back all or none: to wait would be to bet on one. A pool of one has no breadth to lose.
    let needed = if held { if breadth > 1 { narrow } else { 0 } } else { missing.max(narrow) }.min(max);
    let mut have = count(live, memory, Lifecycle::OnDemand);
    if have < needed && !aim.fenced {
        lift(tick.pool, memory, Lifecycle::OnDemand, now);
        while have < needed {
            let Some(place) = choose(tick, memory, live, Lifecycle::OnDemand, &|_| true) else { break };
            let why = match missing {
                0 => Why::OnePlace,
                _ => Why::SpotShort { have: launched, want: aim.goal, for_ms: short_for },
            };
            if !tick.launch(memory, place, Lifecycle::OnDemand, why) {
                break;
            }
            have += 1;
        }
    }
    let broad = places(tick.pool, live, memory, true).len() as u32 >= breadth;
    let keep = aim.goal.saturating_sub(ready(live, Lifecycle::Spot)).max(u32::from(!broad)).min(max);
    memory.surplus_since = (have > keep).then(|| memory.surplus_since.unwrap_or(now));
    let surplus_for = memory.surplus_since.map_or(0, |it| now.saturating_sub(it));
    if have > keep && (surplus_for >= back || aim.goal == 0) {
        let why = aim.why.unwrap_or(Why::SpotWhole { for_ms: surplus_for });
        leave::some(
            tick,
            memory,
            live,
            Lifecycle::OnDemand,
            have - keep,
            aim.only_idle && aim.goal == 0,
            why,
        );
    }
}
