//! The framework's bench: plan and apply against an echo server, start-up, size, sets, rebuild. What is measured and
//! how is in `acceptance-tests/bench`; here it is built and run.

use std::time::Duration;

use serde_json::Value;

use super::{Effort, Row, row};
use crate::failure::{Failure, Outcome};
use crate::workspace::Workspace;

/// A release build with link-time optimisation, from nothing, on two cores.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Everything, on a busy machine.
const RUN_LIMIT: Duration = Duration::from_secs(60 * 60);
const LONG_RUN_LIMIT: Duration = Duration::from_secs(6 * 60 * 60);

/// Measures and returns the rows.
pub(super) fn run(workspace: &Workspace, effort: Effort) -> Outcome<Vec<Row>> {
    workspace
        .cargo("cargo build")
        .args(["build", "--release", "-p", "tfplugin-bench", "-p", "terraform-provider-corner"])
        .limit(BUILD_LIMIT)
        .show(|_| {})?;
    let release = super::release(workspace);
    let out = release.join("framework-bench.json");
    let driver = release.join(format!("framework-bench{}", std::env::consts::EXE_SUFFIX));
    let mut run = crate::process::Run::new("framework-bench", driver)
        .args(["--out".into(), out.clone().into_os_string()])
        .limit(RUN_LIMIT);
    match effort {
        Effort::Full => {}
        Effort::Quick => run = run.args(["--quick"]),
        Effort::Long => run = run.args(["--long"]).limit(LONG_RUN_LIMIT),
    }
    run.show(|_| {})?;
    let text = std::fs::read_to_string(&out).map_err(|error| Failure::io("read", &out, &error))?;
    let rows: Value =
        serde_json::from_str(&text).map_err(|error| Failure::new(format!("{}: {error}", out.display())))?;
    Ok(rows.as_array().into_iter().flatten().map(row).collect())
}
