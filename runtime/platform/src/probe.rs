//! Looks at a source: what strangers sent is parsed by a child under limits, as the service user, and never by the agent.

use std::collections::BTreeMap;
use std::time::Duration;

use streamverse_core::run::{AdminAddress, JobEnd, RunOptions};
use streamverse_core::{Error, Metrics, Result, ServiceContext};
use streamverse_model::platform::Owner;
use streamverse_model::platform::node::ProbeRequest;
use tokio::sync::Semaphore;

use crate::agent::Shared;
use crate::files::{make, make_ours, read_theirs, remove, write_whole};
use crate::keeper::folders::run_args;
use crate::process::{Process, Roof, Start};

/// A probe's answer may take so long; the client has a deadline of its own.
const LONGEST: Duration = Duration::from_secs(300);
/// Between two looks at the child.
const LOOK: Duration = Duration::from_millis(30);
/// Probes at a time: each may fetch a whole file.
const AT_A_TIME: usize = 4;
/// What the child may hold; ffprobe has limits of its own.
const MEMORY: u64 = 256 << 20;
const FILES: u64 = 1024;

/// Below data and run. No deployment is called so.
pub(crate) const FOLDER: &str = ".probes";

/// How many may probe now.
pub(crate) fn room() -> Semaphore {
    Semaphore::new(AT_A_TIME)
}

/// A child with its folders. Dropped, also because the client went away, all of it is gone.
struct Probe {
    folders: [std::path::PathBuf; 2],
    child: Option<Process>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Its tools end with it.
            child.kill();
        }
        for folder in &self.folders {
            remove(folder);
        }
    }
}

/// What a source is, or why that cannot be told.
pub(crate) async fn probe(shared: &Shared, owner: Owner, request: &ProbeRequest) -> Result<JobEnd> {
    let Ok(_permit) = shared.probes.try_acquire() else {
        return Err(Error::passing("busy", format!("{AT_A_TIME} sources are being looked at already")));
    };
    let id = format!("{:016x}", rand::random::<u64>());
    let (data, run) = (shared.data.join(FOLDER), shared.run.join(FOLDER));
    let (scratch, place) = (data.join(&id), run.join(&id));
    let mut probe = Probe { folders: [scratch.clone(), place.clone()], child: None };
    for folder in [&data, &run, &place] {
        make_ours(folder)?;
    }
    let own = place.join("s");
    for folder in [&scratch, &own] {
        make(folder, shared.user)?;
    }
    let cx = ServiceContext {
        site: shared.site.clone(),
        data_dir: shared.data.join(owner.deployment.as_str()),
        run_dir: shared.run.join(owner.deployment.as_str()).join("s"),
        owner,
        object: "job/probe".to_owned(),
        scratch_dir: scratch.clone(),
        credentials_dir: place.join("credentials"),
        specs_dir: place.join("specs"),
        tools: shared.tools.clone(),
        bind: [127, 0, 0, 1].into(),
        metrics: Metrics::new(),
    };
    let options = RunOptions {
        target: "probe".to_owned(),
        spec: place.join("spec.json"),
        context: place.join("context.json"),
        admin: AdminAddress::Unix(own.join("admin.sock")),
        outcome: Some(scratch.join("end.json")),
    };
    let told = |error| Error::permanent("node", "the probe cannot be told what to do").because(error);
    write_whole(&options.spec, &serde_json::to_vec(request).map_err(told)?, 0o600, shared.user)?;
    write_whole(&options.context, &serde_json::to_vec(&cx).map_err(told)?, 0o600, shared.user)?;
    let log = place.join("log");
    let start = Start {
        program: &shared.program,
        args: &run_args(&options),
        env: &BTreeMap::new(),
        dir: &scratch,
        log: &log,
        user: shared.user,
        roof: Roof::over(MEMORY, FILES),
        orphan: false,
    };
    let until = tokio::time::Instant::now() + LONGEST;
    let child = probe.child.insert(Process::start(&start, "probe")?);
    while child.is_alive() {
        if tokio::time::Instant::now() > until {
            return Err(Error::passing("deadline", "the source was not looked at within 5 minutes"));
        }
        if child.holds(false) > MEMORY {
            let text = format!("looking at the source took more than {} MiB of memory", MEMORY >> 20);
            return Err(Error::permanent("memory-limit", text));
        }
        tokio::time::sleep(LOOK).await;
    }
    let end = read_theirs(&scratch.join("end.json"), 64 << 10);
    end.and_then(|text| serde_json::from_slice(&text).ok()).ok_or_else(|| {
        let last = crate::api::tail(&log, 1).unwrap_or_default();
        Error::passing("crashed", format!("the probe ended without an answer: {}", last.trim()))
    })
}
