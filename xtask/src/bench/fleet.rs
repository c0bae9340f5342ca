//! The fleet's bench: the policy's tick over many pools, the simulation, the drain agent. What is measured and how is in
//! `acceptance-tests/fleet-bench`; here it is built and run.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{Effort, Row, row};
use crate::failure::{Failure, Outcome};
use crate::workspace::Workspace;

/// A release build with link-time optimisation, from nothing, on two cores.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Everything, on a busy machine.
const RUN_LIMIT: Duration = Duration::from_secs(10 * 60);
/// The agent that is measured where one is at hand, instead of one that is built.
const EDGE: &str = "STREAMVERSE_EDGE";

/// Measures and returns the rows.
pub(super) fn run(workspace: &Workspace, effort: Effort) -> Outcome<Vec<Row>> {
    if effort == Effort::Long {
        return Err(Failure::new("the bench `fleet` has no --long"));
    }
    let given = std::env::var_os(EDGE).map(PathBuf::from);
    let mut words = vec!["build", "--release", "-p", "streamverse-fleet-bench"];
    if given.is_none() {
        words.extend(["-p", "streamverse-edge"]);
    }
    workspace.cargo("cargo build").args(words).limit(BUILD_LIMIT).show(|_| {})?;
    let release = super::release(workspace);
    let out = release.join("fleet-bench.json");
    let program = |name: &str| release.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let edge = given.unwrap_or_else(|| program("streamverse-edge"));
    let mut run = crate::process::Run::new("fleet-bench", program("fleet-bench"))
        .args(["--out".into(), out.clone().into_os_string()])
        .args(["--edge".into(), edge.into_os_string()])
        .limit(RUN_LIMIT);
    if effort == Effort::Quick {
        run = run.args(["--quick"]);
    }
    run.show(|_| {})?;
    let text = std::fs::read_to_string(&out).map_err(|error| Failure::io("read", &out, &error))?;
    let rows: Value =
        serde_json::from_str(&text).map_err(|error| Failure::new(format!("{}: {error}", out.display())))?;
    Ok(rows.as_array().into_iter().flatten().map(row).collect())
}
