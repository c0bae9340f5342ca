//! On-demand as a net under spot: capped, held down, and given back.

use streamverse_model::compute::Lifecycle;

use super::choose::{choose, lift};
use super::fleet::ms;
use super::leave;
use super::pool::{Counted, Live, Tick, breadth, count, size, spot};
use super::state::PoolState;
use super::target::Aim;
use super::why::Why;

pub(super) fn net(tick: &mut Tick<'_>, memory: &mut PoolState, live: &mut [Live], aim: &Aim) {
    if tick.pool.primary() != Lifecycle::Spot {
        return;
    }
    let sold = size(tick.pool.candidates.iter().filter(|it| it.spot.is_some()).count());
    let broad = aim.goal.min(2).min(sold);
    // What could not be launched is missing. What starts already will be there before an on-demand instance could.
    let asked = spot(tick.pool, live, memory, Counted::Asked);
    let launched = size(asked.len());
    let missing = aim.goal.saturating_sub(launched);
    let narrow = u32::from(breadth(&asked) < broad);
    let now = tick.now;
    // What is asked for now may be refused in a moment: it does not end a shortage.
    let sure = spot(tick.pool, live, memory, Counted::Sure);
    let short = size(sure.len()) < aim.goal || breadth(&sure) < broad;
    memory.short_since = short.then(|| memory.short_since.unwrap_or(now));
    let net = tick.pool.policy.net();
    let (max, after, back) = (net.max, ms(net.after.0), ms(net.return_after.0));
    let short_for = memory.short_since.map_or(0, |it| now.saturating_sub(it));
    let held = memory.short_since.is_none() || short_for < after;
    // A place takes back all or none: to wait would be to bet on one. A pool of one has no breadth to lose.
    let needed = if held { if broad > 1 { narrow } else { 0 } } else { missing.max(narrow) }.min(max);
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
    if have > max {
        // The pool's share of the limit was lowered.
        leave::some(tick, memory, live, Lifecycle::OnDemand, have - max, false, Why::Limit { have, max });
        have = count(live, memory, Lifecycle::OnDemand);
    }
    if aim.fenced {
        // At night the net is not needed: whoever is idle leaves.
        let why = aim.why.unwrap_or(Why::Night);
        leave::some(tick, memory, live, Lifecycle::OnDemand, have, true, why);
        return;
    }
    let ready = spot(tick.pool, live, memory, Counted::Ready);
    let one_place = u32::from(breadth(&ready) < broad);
    let keep = aim.goal.saturating_sub(size(ready.len())).max(one_place).min(max);
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
