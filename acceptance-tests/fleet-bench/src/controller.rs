//! The controller's own tick: it reads 500 fleets out of records, looks at 10,000 instances, decides, writes the state each fourth
//! time, and tells. No network, no disk: what it costs by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use streamverse_compute::cloud::Cloud;
use streamverse_core::Metrics;
use streamverse_core::stores::Records;
use streamverse_fleet::workers::NoWorkers;
use streamverse_fleet::{Clock, Controller, FileLease, Lease, Parts, Roster};
use streamverse_model::compute::{CloudKind, fleet_collection};
use streamverse_model::platform::Name;

use crate::plenty::{Memory, NoQueues, Plenty, Turned};
use crate::{Outcome, resident, row};

const POOLS: u64 = 500;
const EACH: u64 = 20;
/// Looks that are not counted: the first buys everything.
const WARM: usize = 4;

async fn controller(lease: Arc<dyn Lease>, clock: &Arc<Turned>, cloud: &Arc<Plenty>) -> Outcome<Controller> {
    let records = Arc::new(Memory::default());
    for pool in 0..POOLS {
        let name = format!("pool-{pool:04}");
        let candidate = |zone: u32| json!({ "key": format!("z{zone}"), "cloud": "aws", "region": format!("region-{}", zone / 3), "zone": format!("zone-{zone}"), "shape": "g6.xlarge", "gpus": 1 });
        let record = json!({
            "generation": "1",
            "definition": {
                "name": name, "candidates": (0..9).map(candidate).collect::<Vec<_>>(), "range": { "min": EACH, "max": EACH },
                "policy": { "launches_per_hour": 100_000 }, "schedule": { "idle": "20m" }, "image": "worker:1",
            },
        });
        records.insert(&fleet_collection("", "bench"), &name, &record).await?;
    }
    Ok(Controller::new(Parts {
        deployment: Name::parse("live")?,
        name: "bench".to_owned(),
        spec: serde_json::from_value(json!({ "tick": "15s", "retention": "30days" }))?,
        stores: None,
        clouds: BTreeMap::from([(CloudKind::Aws, Arc::clone(cloud) as Arc<dyn Cloud>)]),
        records: records as Arc<dyn Records>,
        queues: Arc::new(NoQueues),
        workers: Arc::new(NoWorkers),
        roster: Arc::new(Roster::new(Arc::clone(&lease))),
        lease,
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        metrics: Metrics::new(),
    }))
}

pub(crate) fn measure(rounds: usize) -> Outcome<Vec<Value>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let before = resident("self")?;
        let folder = std::env::temp_dir().join(format!("streamverse-fleet-bench-{}", std::process::id()));
        let lease: Arc<dyn Lease> = Arc::new(FileLease::new(folder.join("lock")));
        let (clock, cloud) =
            (Arc::new(Turned(AtomicU64::new(1_794_744_000_000))), Arc::new(Plenty::default()));
        let mut controller = controller(lease, &clock, &cloud).await?;
        let mut times = Vec::new();
        for tick in 0..rounds + WARM {
            clock.0.fetch_add(15_000, Ordering::Relaxed);
            let began = Instant::now();
            controller.tick().await?;
            if tick >= WARM {
                times.push(began.elapsed().as_secs_f64() * 1e3);
            }
        }
        let _ = std::fs::remove_dir_all(folder);
        let instances = cloud.instances(&Name::parse("live")?).await.map_or(0, |it| it.len());
        let note = format!(
            "{instances} instances; looks, decides, writes the state each fourth time; no queue, records in memory, a cloud at hand"
        );
        let memory = resident("self")? - before;
        Ok(vec![
            row("controller: a tick, 10,000 instances in 500 fleets", "ms", times, Some(50.0), &note),
            row("controller: memory", "MB", vec![memory], None, "this process, after minus before; the records and the cloud are in it"),
        ])
    })
}
