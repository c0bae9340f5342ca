//! What the corner provider weighs: on the disk, and in memory while the installed Terraform plans with it.

use super::cli::{Expect, Project};
use super::row::{Row, Samples};
use super::{Outcome, Setup, tell};

const ADDRESS: &str = "registry.terraform.io/streamverse/corner";

const HCL: &str = r#"
terraform {
  required_providers { corner = { source = "streamverse/corner" } }
}
resource "corner_number" "it" {
  float    = 3.1
  unsigned = 18446744073709551615
  ratios   = [0.1, 0.25]
}
resource "corner_set" "it" {
  names = ["a", "b"]
  ports = [80, 443]
}
resource "corner_nested" "it" {
  single = { name = "one", inner = { text = "two" } }
  list   = [{ name = "a" }, { name = "b" }]
  deep   = [[{ a = 1 }]]
}
resource "corner_thing" "it" {
  count = 10
  name  = "thing-${count.index}"
}
"#;

/// Measures.
pub fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let binary = setup.binary("terraform-provider-corner")?;
    let megabytes = std::fs::metadata(&binary)?.len() as f64 / 1e6;
    let project = Project::new(HCL, Some((ADDRESS, &binary)))?;
    let mut memory = Samples::default();
    for _ in 0..setup.repetitions(5) {
        memory.push(project.plan(Expect::Changes)?.usage.peak_mb);
    }
    tell(format!("corner provider: {megabytes:.1} MB, {:.1} MB in memory", memory.median()));
    Ok(vec![
        Row::new("corner provider: release binary", megabytes, "MB").goal(10.0).note("stripped; Go: 18.1 MB"),
        Row::new("corner provider: RSS under plan", memory.median(), "MB")
            .goal(15.0)
            .note(format!("{} MB; Go: 24 MiB", memory.spread(1))),
    ])
}
