//! Whatever serves a channel is killed while somebody watches it.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use streamverse_acceptance::Node;
use streamverse_acceptance::crash::Dice;
use streamverse_acceptance::replicas::{Reader, Twins};

use crate::kit::get;
use crate::stage::REPLICAS;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Services that are killed in turn, each at a random moment of its time, and how long that is: the agent waits for half a
/// second, then each time twice as long, before it starts anew what lived for less than a minute.
const SERVICES: [(&str, &str); 2] = [("licence-service", "main-licence"), ("key-service", "main-keys")];
const TURN: Duration = Duration::from_secs(20);

/// Kills until what is watched is over; fails where it does, or a stranger's reader of the same channel saw something.
///
/// One of the two replicas of the channel is killed every few seconds, and comes back before the other one goes.
pub(crate) fn plays_on(
    node: &Node,
    program: &Path,
    edge: &str,
    twins: &mut Twins,
    watched: impl FnOnce() -> Result<(), Fault>,
) -> Result<(), Fault> {
    let (over, services) = (AtomicBool::new(false), AtomicU32::new(0));
    let address = format!("{edge}/channel/{REPLICAS}");
    // As long as it surely takes.
    let reader = Reader::start(program, &address, 100, &node.folder().join("read"))?;
    let replicas = std::thread::scope(|scope| {
        let replicas = scope.spawn(|| kill_replicas(twins, &over));
        scope.spawn(|| kill_services(node, &over, &services));
        // Whatever comes of it, the others end.
        let watched = watched();
        over.store(true, Ordering::SeqCst);
        watched.and(replicas.join().unwrap_or_else(|_| Err("who kills replicas ended badly".into())))
    })?;
    let seen = reader.seen()?;
    let services = services.load(Ordering::SeqCst);
    eprintln!(
        "{replicas} kills of replicas, {services} of services; a reader was answered {}",
        seen["statuses"]
    );
    // A busy machine takes its time for each.
    if replicas < 8 || services < 3 {
        return Err(format!("{replicas} kills of replicas, {services} of services").into());
    }
    Ok(())
}

/// Waits until the time is over, or all is.
fn waits(time: Duration, over: &AtomicBool) {
    let until = Instant::now() + time;
    while Instant::now() < until && !over.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn kill_replicas(twins: &mut Twins, over: &AtomicBool) -> Result<u32, Fault> {
    let mut kills = 0;
    while !over.load(Ordering::SeqCst) {
        let at = kills % 2;
        waits(Duration::from_millis(1500), over);
        twins.kill(at);
        std::thread::sleep(Duration::from_millis(1000));
        twins.start(at)?;
        kills += 1;
        ready(&twins.readiness(at))?;
    }
    Ok(u32::try_from(kills)?)
}

/// Ready within a minute.
pub(crate) fn ready(url: &str) -> Result<(), Fault> {
    let until = Instant::now() + Duration::from_secs(60);
    while get(url).0 != 200 {
        if Instant::now() > until {
            return Err(format!("{url} answers {:?}", get(url)).into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn kill_services(node: &Node, over: &AtomicBool, kills: &AtomicU32) {
    let mut dice = Dice::new("kills of what a channel needs");
    for (kind, name) in SERVICES.iter().cycle() {
        let before = Duration::from_millis(dice.below(u64::try_from(TURN.as_millis()).unwrap_or(1)));
        waits(before, over);
        if over.load(Ordering::SeqCst) {
            return;
        }
        for pid in node.pids(kind, name) {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
            kills.fetch_add(1, Ordering::SeqCst);
            eprintln!("{kind} was killed");
        }
        waits(TURN - before, over);
    }
}
