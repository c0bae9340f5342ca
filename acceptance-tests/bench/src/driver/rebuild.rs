//! How long one waits after touching one resource of forty: a provider is generated below `target/bench` and built
//! there once, then a literal in one file changes and it is built again.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::row::{Row, Samples};
use super::{Outcome, Setup, tell};

const RESOURCES: usize = 40;
const FIELDS: usize = 20;

/// "Seconds", says the issue.
const GOAL: f64 = 10.0;

/// Measures.
pub fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let crate_dir = setup.root.join("target").join("bench").join("forty");
    generate(&setup.root, &crate_dir)?;
    tell("rebuild: building a provider with 40 resources");
    let first = build(&crate_dir)?;
    let touched = crate_dir.join("src").join("resource_07.rs");
    let mut rebuilds = Samples::default();
    for round in 0..setup.repetitions(5) {
        fs::write(&touched, resource(7, &format!("round-{round}-{}", std::process::id())))?;
        rebuilds.push(build(&crate_dir)?);
    }
    tell(format!("rebuild: {:.1} s after {first:.1} s", rebuilds.median()));
    Ok(vec![
        Row::new(
            format!("rebuild after a change in one of {RESOURCES} resources of {FIELDS} fields"),
            rebuilds.median(),
            "s",
        )
        .goal(GOAL)
        .note(format!("{} s: cargo build, profile dev, link included", rebuilds.spread(1))),
    ])
}

fn build(crate_dir: &Path) -> Outcome<f64> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        // What our own cargo tells its children is not meant for this build.
        if name.to_string_lossy().starts_with("CARGO_") && name != "CARGO_HOME" {
            command.env_remove(name);
        }
    }
    command
        .args(["build", "--quiet", "--offline"])
        .current_dir(crate_dir)
        .env("CARGO_TARGET_DIR", crate_dir.join("target"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let started = Instant::now();
    let output = command.output()?;
    let seconds = started.elapsed().as_secs_f64();
    match output.status.success() {
        true => Ok(seconds),
        false => Err(format!("cargo build: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

fn generate(root: &Path, crate_dir: &Path) -> Outcome<()> {
    fs::create_dir_all(crate_dir.join("src"))?;
    let framework = root.join("provider").join("framework");
    let manifest = format!(
        r#"[package]
name = "terraform-provider-forty"
version = "0.1.0"
edition = "2024"
publish = false

[workspace]

[dependencies]
tfplugin-framework = {{ path = {:?} }}

[profile.dev]
debug = "line-tables-only"
split-debuginfo = "unpacked"

[profile.dev.package."*"]
debug = false
"#,
        framework.display().to_string()
    );
    keep(&crate_dir.join("Cargo.toml"), &manifest)?;
    // The versions that the workspace has, so that nothing is fetched.
    if !crate_dir.join("Cargo.lock").exists() {
        fs::copy(root.join("Cargo.lock"), crate_dir.join("Cargo.lock"))?;
    }
    for number in 0..RESOURCES {
        keep(&crate_dir.join("src").join(format!("resource_{number:02}.rs")), &resource(number, "first"))?;
    }
    keep(&crate_dir.join("src").join("main.rs"), &main_file())
}

/// Writes only what is new: an untouched file needs no rebuild.
fn keep(path: &Path, text: &str) -> Outcome<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    Ok(fs::write(path, text)?)
}

fn main_file() -> String {
    let mut modules = String::new();
    let mut parts = String::new();
    for number in 0..RESOURCES {
        let _ = writeln!(modules, "mod resource_{number:02};");
        let _ = writeln!(parts, "            .resource::<resource_{number:02}::Thing{number}>()");
    }
    format!(
        r#"//! A provider of forty resources, generated to be built.

{modules}
use tfplugin_framework::{{Parts, Provider, Request, Result, Schema, provider}};

/// The provider.
pub struct Forty;

/// Its configuration.
#[derive(Clone, Schema)]
pub struct FortyConfig {{
    /// Where to.
    endpoint: Option<String>,
}}

#[provider(name = "forty")]
impl Provider for Forty {{
    type Config = FortyConfig;

    async fn configure(_: &Request, _: FortyConfigView) -> Result<Forty> {{
        Ok(Forty)
    }}

    fn parts(parts: Parts<Forty>) -> Parts<Forty> {{
        parts
{parts}    }}
}}

fn main() -> std::process::ExitCode {{
    tfplugin_framework::serve::<Forty>("registry.terraform.io/streamverse/forty")
}}
"#
    )
}

fn resource(number: usize, literal: &str) -> String {
    let mut fields = String::new();
    // Three are computed, the rest take turns.
    for field in 0..FIELDS - 3 {
        let ty = match field % 7 {
            0 => "String",
            1 => "Option<String>",
            2 => "Option<i64>",
            3 => "bool",
            4 => "Option<Vec<String>>",
            5 => "Option<BTreeMap<String, String>>",
            _ => "Option<Vec<Part>>",
        };
        let _ = writeln!(fields, "    /// Argument {field}.\n    argument_{field:02}: {ty},");
    }
    format!(
        r#"//! Resource {number}, generated.

use std::collections::BTreeMap;

use tfplugin_framework::schema::Computed;
use tfplugin_framework::{{Context, Plan, Read, Resource, Result, Schema, State, Stored, resource}};

use crate::Forty;

/// A thing.
#[derive(Clone, Schema)]
pub struct Thing{number} {{
    /// Assigned by the provider.
    id: Computed<String>,
    /// Where it answers.
    endpoint: Computed<String>,
    /// How often it was written.
    revision: Computed<i64>,
{fields}}}

/// A part of it.
#[derive(Clone, Schema)]
pub struct Part {{
    /// What it is called.
    name: String,
    /// How large it is.
    size: Option<u64>,
}}

impl Thing{number} {{
    fn done(&self) -> Thing{number}State {{
        self.complete(Thing{number}Computed {{
            id: format!("{literal}-{{}}", self.argument_00),
            endpoint: "https://example.com".to_owned(),
            revision: 1,
        }})
    }}
}}

#[resource(name = "thing_{number:02}")]
impl Resource for Thing{number} {{
    type Provider = Forty;

    async fn create(_: &Context<Forty>, plan: Plan<Self>) -> Result<State<Self>> {{
        Ok(plan.done())
    }}

    async fn read(_: &Context<Forty>, _: Stored<Self>) -> Result<Read<Self>> {{
        Ok(Read::Unchanged)
    }}

    async fn update(_: &Context<Forty>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {{
        Ok(plan.done())
    }}

    async fn delete(_: &Context<Forty>, _: Stored<Self>) -> Result<()> {{
        Ok(())
    }}
}}
"#
    )
}
