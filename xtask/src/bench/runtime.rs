//! The runtime's bench: origin, event log, licences, edge, apply, quickstart, play. What is measured and how is in
//! `acceptance-tests/runtime-bench`; here it is set up, built and run.

use std::time::Duration;

use serde_json::Value;

use super::{Effort, Row, row};
use crate::failure::{Failure, Outcome};
use crate::workspace::Workspace;
use crate::{test, tools, web};

/// A release build with link-time optimisation, from nothing, on two cores.
const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);
/// Everything, on a busy machine; a quarter of an hour of it plays a channel.
const RUN_LIMIT: Duration = Duration::from_secs(90 * 60);

/// Measures and returns the rows.
pub(super) fn run(workspace: &Workspace, effort: Effort) -> Outcome<Vec<Row>> {
    if effort == Effort::Long {
        return Err(Failure::new("the bench `runtime` has no --long"));
    }
    println!("Setting up what is missing");
    println!("  {}", test::ensure_bench()?);
    // What the quickstart would do first is not what is measured of it.
    let ready = tools::prepare_quickstart()?;
    if let Some(missing) = ready.missing().first() {
        return Err(Failure::new(missing.to_string()));
    }
    let (terraform, node) = (tools::command_line()?, tools::node()?);
    println!("  {}", web::build(workspace)?);
    web::modules(workspace)?;
    let ours = ["-p", "streamverse", "-p", "terraform-provider-streamverse"];
    let build = |words: &[&str]| {
        workspace
            .cargo("cargo build")
            .args(["build"].iter().chain(words).copied())
            .limit(BUILD_LIMIT)
            .show(|_| {})
    };
    build(&ours)?;
    build(&[&["--release", "-p", "streamverse-bench"], &ours[..]].concat())?;
    let release = super::release(workspace);
    let out = release.join("runtime-bench.json");
    let xtask = std::env::current_exe()
        .map_err(|error| Failure::new(format!("this program does not know where it lies: {error}")))?;
    let driver = release.join(format!("runtime-bench{}", std::env::consts::EXE_SUFFIX));
    let mut run = crate::process::Run::new("runtime-bench", driver)
        .dir(workspace.root())
        .args(["--out".into(), out.clone().into_os_string()])
        .args(["--terraform".into(), terraform.into_os_string()])
        .args(["--xtask".into(), xtask.into_os_string()])
        .args(["--node".into(), node.into_os_string()])
        .limit(RUN_LIMIT);
    if effort == Effort::Quick {
        run = run.args(["--quick"]);
    }
    run.show(|_| {})?;
    let text = std::fs::read_to_string(&out).map_err(|error| Failure::io("read", &out, &error))?;
    let said: Value =
        serde_json::from_str(&text).map_err(|error| Failure::new(format!("{}: {error}", out.display())))?;
    let machine = &said["machine"];
    println!(
        "\n{} × {}, Linux {}, load {} before; commit {}",
        machine["cores"],
        machine["model"].as_str().unwrap_or("a processor without a name"),
        machine["kernel"].as_str().unwrap_or("?"),
        machine["load"],
        said["commit"].as_str().unwrap_or("unknown"),
    );
    let rows = said["rows"].as_array().into_iter().flatten().map(|one| Row {
        machine: Some(machine.clone()),
        commit: said["commit"].as_str().map(str::to_owned),
        ..row(one)
    });
    Ok(rows.collect())
}
