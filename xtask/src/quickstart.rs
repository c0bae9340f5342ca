//! `cargo xtask quickstart`: the main job on this host. Sets up what is missing, builds, starts the node agent, draws
//! sample clips, and applies `examples/quickstart` with the real command line.

mod clips;
mod cluster;
mod place;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::process::{Run, clock};
use crate::workspace::Workspace;
use crate::{test, tools, web};
use clips::Clip;
use place::Place;

const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
const APPLY_LIMIT: Duration = Duration::from_secs(60 * 60);

/// What was asked for.
#[derive(Debug, Default)]
struct Options {
    inputs: Vec<PathBuf>,
    down: bool,
    /// Whether the configuration goes to a cluster, and to which.
    cluster: Option<cluster::Options>,
}

/// Runs the quickstart, or takes it down.
pub(crate) fn run(workspace: &Workspace, words: &[&str]) -> Outcome {
    let options = Options::read(words)?;
    if let Some(cluster) = &options.cluster {
        return cluster::run(workspace, cluster, options.down);
    }
    let place = Place::find()?;
    if options.down {
        return down(workspace, &place);
    }
    let started = Instant::now();
    println!("Setting up what is missing (cached below {})", crate::cache::tools_dir()?.display());
    println!("  {}", test::ensure_engines()?);
    let ready = tools::prepare_quickstart()?;
    if let Some(missing) = ready.missing().first() {
        return Err(Failure::new(missing.to_string()));
    }
    let terraform = tools::command_line()?;
    println!("  {}", web::build(workspace)?);
    println!("Building the provider and the runtime");
    // The profile of the tests: whoever runs both builds once.
    workspace
        .cargo("cargo build")
        .args(["build", "--quiet", "-p", "streamverse", "-p", "terraform-provider-streamverse"])
        .limit(BUILD_LIMIT)
        .show(|_| {})?;
    place.install(workspace, &ready)?;
    println!("Starting the node agent");
    place.start_agent()?;
    let clips = if options.inputs.is_empty() {
        clips::draw(&place.tool("ffmpeg"), &place.base().join("clips"))?
    } else {
        place.take(&options.inputs)?
    };
    place.hand_over(&place.base().join("clips"))?;
    apply(workspace, &place, &terraform, &clips)?;
    tell(workspace, &place, &terraform, &clips, started.elapsed());
    Ok(())
}

impl Options {
    fn read(words: &[&str]) -> Outcome<Options> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--down" => options.down = true,
                "--input" => {
                    let file = words.next().map(PathBuf::from).filter(|file| file.is_file());
                    let file = file.ok_or_else(|| Failure::new("--input needs a file that exists"))?;
                    options.inputs.push(file);
                }
                "--kubernetes" => {
                    options.cluster.get_or_insert_default();
                }
                "--test-cluster" => options.cluster.get_or_insert_default().local = true,
                "--var-file" => {
                    let file = words.next().map(PathBuf::from).filter(|file| file.is_file());
                    let file = file.ok_or_else(|| Failure::new("--var-file needs a file that exists"))?;
                    options.cluster.get_or_insert_default().variables = Some(file);
                }
                other => {
                    return Err(Failure::new(format!("quickstart knows no {other}")).next(
                        "cargo xtask quickstart [--input FILE]… [--kubernetes [--var-file FILE | --test-cluster]] [--down]",
                    ));
                }
            }
        }
        if options.cluster.as_ref().is_some_and(|it| it.local && it.variables.is_some()) {
            return Err(Failure::new("--test-cluster has variables of its own").next("leave --var-file out"));
        }
        Ok(options)
    }
}

fn apply(workspace: &Workspace, place: &Place, terraform: &Path, clips: &[Clip]) -> Outcome {
    let mut assets = serde_json::Map::new();
    for clip in clips {
        let source = |file: &Path| -> Outcome<serde_json::Value> {
            Ok(json!({ "url": format!("file://{}", file.display()), "digest": digest(file)? }))
        };
        let mut subtitles = Vec::new();
        for (language, file) in &clip.subtitles {
            subtitles.push(json!({ "language": language, "source": source(file)? }));
        }
        assets.insert(
            clip.name.clone(),
            json!({ "title": clip.title(), "source": source(&clip.file)?, "subtitles": subtitles }),
        );
    }
    let variables = json!({ "socket": place.socket(), "assets": assets });
    let file = place.variables();
    fs::write(&file, format!("{variables:#}\n")).map_err(|error| Failure::io("write", &file, &error))?;
    // The lock remembers the provider's digest, and the provider was just built anew.
    let _ = fs::remove_file(configuration(workspace).join(".terraform.lock.hcl"));
    println!("terraform init, plan, apply on examples/quickstart");
    place.terraform(workspace, terraform, "init", &[])?.limit(APPLY_LIMIT).output()?;
    let variables = format!("-var-file={}", file.display());
    let plan = place.base().join("plan");
    let out = format!("-out={}", plan.display());
    let planned = place
        .terraform(workspace, terraform, "plan", &[&variables, &out, "-input=false"])?
        .limit(APPLY_LIMIT)
        .output()?;
    for line in planned.lines().filter(|line| line.starts_with("Plan:") || line.contains("No changes")) {
        println!("  {line}");
    }
    let applied =
        place.terraform(workspace, terraform, "apply", &["-input=false", &plan.to_string_lossy()])?;
    applied.limit(APPLY_LIMIT).show(|_| {})
}

fn configuration(workspace: &Workspace) -> PathBuf {
    workspace.root().join("examples").join("quickstart")
}

fn digest(file: &Path) -> Outcome<String> {
    let said = Run::new("sha256sum", "sha256sum").args([file]).output()?;
    let hex = said.split_whitespace().next().unwrap_or_default();
    Ok(format!("sha256:{hex}"))
}

fn tell(workspace: &Workspace, place: &Place, terraform: &Path, clips: &[Clip], took: Duration) {
    println!("\nIt plays. ({})\n", clock(took));
    println!("  page   http://127.0.0.1:8000");
    for clip in clips {
        println!("  HLS    http://127.0.0.1:8081/vod/{}/hls.m3u8", clip.name);
        println!("  DASH   http://127.0.0.1:8081/vod/{}/dash.mpd", clip.name);
    }
    println!(
        "\nFrom another machine: ssh -L 8000:127.0.0.1:8000 -L 8081:127.0.0.1:8081 HOST, then http://127.0.0.1:8000"
    );
    println!("\nThree things to try:");
    println!("  1. change the title in examples/quickstart/main.tf, then: cargo xtask quickstart");
    println!(
        "  2. watch it: {} node status --socket {} --deployment quickstart",
        place.program("streamverse").display(),
        place.socket().display()
    );
    println!("  3. remove everything: cargo xtask quickstart --down");
    println!(
        "\nBy hand: TF_CLI_CONFIG_FILE={} TF_DATA_DIR={} {} -chdir={} plan -state={} -var-file={}",
        place.cli_config().display(),
        place.base().join("terraform").display(),
        terraform.display(),
        configuration(workspace).display(),
        place.state().display(),
        place.variables().display()
    );
}

fn down(workspace: &Workspace, place: &Place) -> Outcome {
    if place.state().is_file() && place.agent_answers() {
        let terraform = tools::command_line()?;
        let variables = format!("-var-file={}", place.variables().display());
        println!("terraform destroy on examples/quickstart");
        let destroy = place.terraform(
            workspace,
            &terraform,
            "destroy",
            &["-auto-approve", "-input=false", &variables],
        )?;
        if let Err(failure) = destroy.limit(APPLY_LIMIT).output() {
            println!("  {failure}\n  sweeping instead");
            place.sweep()?;
        }
    }
    place.stop_agent();
    place.remove()?;
    println!("Nothing of the quickstart is left but the cache of tools.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_wrong_ones_refused() {
        assert!(Options::read(&["--down"]).unwrap().down);
        assert!(Options::read(&["--input"]).is_err());
        assert!(Options::read(&["--input", "/no/such/file"]).is_err());
        assert!(Options::read(&["--kubernetes"]).unwrap().cluster.is_some());
        assert!(Options::read(&["--var-file", "/nowhere"]).is_err());
        assert!(Options::read(&["--kubernetes", "--test-cluster"]).unwrap().cluster.unwrap().local);
        assert!(
            Options::read(&[
                "--test-cluster",
                "--var-file",
                concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")
            ])
            .is_err()
        );
        assert!(Options::read(&["--up"]).is_err());
    }
}
