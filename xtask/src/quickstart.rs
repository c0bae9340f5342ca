//! `cargo xtask quickstart`: the main job on this host. Sets up what is missing, builds, starts the node agent, draws
//! sample clips, and applies `examples/quickstart` with the real command line.

mod channel;
mod clips;
mod cluster;
mod look;
mod place;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::process::{Run, clock};
use crate::workspace::Workspace;
use crate::{test, tools, web};
use clips::{Clip, Role};
use look::Addresses;
use place::Place;

const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
const APPLY_LIMIT: Duration = Duration::from_secs(60 * 60);

/// What was asked for.
#[derive(Debug, Default)]
struct Options {
    inputs: Vec<PathBuf>,
    down: bool,
    /// A folder of its own instead of the usual one.
    at: Option<PathBuf>,
    ports: Ports,
    /// Where the programs are, where they are not to be built.
    programs: Option<PathBuf>,
    /// Whether the configuration goes to a cluster, and to which.
    cluster: Option<cluster::Options>,
}

/// Where the platform listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    origin: u16,
    edge: u16,
    page: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Ports { origin: 8080, edge: 8081, page: 8000 }
    }
}

/// Where those listen whom nobody but the platform asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inner {
    keys: u16,
    licence: u16,
    admin: u16,
    channel: u16,
    guide: u16,
}

/// Runs the quickstart, or takes it down.
pub(crate) fn run(workspace: &Workspace, words: &[&str]) -> Outcome {
    act(workspace, &Options::read(words)?).map(|_| ())
}

/// The quickstart in a folder and on ports of its own: it plays, again it changes nothing, and after its agent was killed
/// it is taken down without anything left.
pub(crate) fn rehearse(workspace: &Workspace) -> Outcome<String> {
    // Short: sockets lie below it, and a socket's path has 107 bytes.
    let at = std::env::temp_dir().join(format!("svq{}", std::process::id()));
    let mut options = Options { at: Some(at.clone()), ports: Ports::free()?, ..Options::default() };
    let outcome = up_twice(workspace, &options, &at);
    options.down = true;
    let down = act(workspace, &options);
    let told = outcome?;
    down?;
    if at.exists() {
        return Err(Failure::new(format!("{} is left", at.display())));
    }
    Ok(told)
}

fn up_twice(workspace: &Workspace, options: &Options, at: &Path) -> Outcome<String> {
    let started = Instant::now();
    act(workspace, options)?;
    let (first, again) = (started.elapsed(), Instant::now());
    if !act(workspace, options)? {
        return Err(Failure::new("the second run planned a change"));
    }
    Place::at(at)?.kill_agent()?;
    Ok(format!("plays after {}, again {}", clock(first), clock(again.elapsed())))
}

/// Whether the plan was empty.
fn act(workspace: &Workspace, options: &Options) -> Outcome<bool> {
    if let Some(cluster) = &options.cluster {
        return cluster::run(workspace, cluster, options.down).map(|()| false);
    }
    let place = match &options.at {
        Some(folder) => Place::at(folder)?,
        None => Place::find()?,
    };
    if options.down {
        return down(workspace, &place).map(|()| false);
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
    let built = match &options.programs {
        Some(folder) => folder.clone(),
        None => {
            println!("Building the provider and the runtime");
            // The profile of the tests: whoever runs both builds once.
            workspace
                .cargo("cargo build")
                .args(["build", "--quiet", "-p", "streamverse", "-p", "terraform-provider-streamverse"])
                .limit(BUILD_LIMIT)
                .show(|_| {})?;
            workspace.debug()
        }
    };
    place.install(&built, &ready)?;
    println!("Starting the node agent");
    place.start_agent()?;
    let (ffmpeg, folder) = (place.tool("ffmpeg"), place.base().join("clips"));
    let mut clips = if options.inputs.is_empty() {
        clips::draw(&ffmpeg, &folder)?
    } else {
        place.take(&options.inputs)?
    };
    clips.extend(clips::furnish(&ffmpeg, &folder)?);
    place.hand_over(&folder)?;
    let secrets = place.secrets()?;
    let variables = variables(&place, &clips, &secrets, options.ports)?;
    let unchanged = apply(workspace, &place, &terraform, &variables)?;
    let outputs = place.terraform(workspace, &terraform, "output", &["-json"])?.output()?;
    let addresses = Addresses::read(&outputs)?;
    // An apply succeeds once everything is there; whether it plays is another fact.
    let plays = secrets.grant(&addresses.admin).and_then(|()| addresses.play());
    let names: Vec<&str> =
        clips.iter().filter(|clip| clip.role == Role::Programme).map(|clip| clip.name.as_str()).collect();
    tell(
        workspace,
        &place,
        &terraform,
        (&addresses, &names),
        options,
        plays.is_ok().then(|| started.elapsed()),
    );
    plays.map(|()| unchanged)
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
                "--at" => {
                    let folder = words.next().map(PathBuf::from).filter(|folder| folder.is_absolute());
                    options.at =
                        Some(folder.ok_or_else(|| Failure::new("--at needs a folder's absolute path"))?);
                }
                "--ports" => {
                    let ports = words.next().and_then(|text| Ports::read(text));
                    options.ports = ports.ok_or_else(|| {
                        Failure::new("--ports needs three different ports: ORIGIN,EDGE,PAGE")
                    })?;
                }
                // For the bench, which measures those of the release profile.
                "--programs" => {
                    let folder =
                        words.next().map(PathBuf::from).filter(|it| it.join("streamverse").is_file());
                    options.programs =
                        Some(folder.ok_or_else(|| Failure::new("--programs needs a folder with ours"))?);
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
                        "cargo xtask quickstart [--input FILE]… [--at FOLDER] [--ports ORIGIN,EDGE,PAGE] [--kubernetes [--var-file FILE | --test-cluster]] [--down]",
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

impl Ports {
    /// Some that nobody has now.
    fn free() -> Outcome<Ports> {
        let [origin, edge, page] = free()?;
        Ok(Ports { origin, edge, page })
    }

    fn read(text: &str) -> Option<Ports> {
        let ports: Vec<u16> = text.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [origin, edge, page] = ports[..] else { return None };
        let distinct = origin != edge && edge != page && origin != page;
        (distinct && ports.iter().all(|port| *port > 0)).then_some(Ports { origin, edge, page })
    }
}

/// Ports that nobody has now.
fn free<const N: usize>() -> Outcome<[u16; N]> {
    let held = (0..N).map(|_| std::net::TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>();
    let held = held.map_err(|error| Failure::new(format!("no free port: {error}")))?;
    let ports: Vec<u16> = held.iter().filter_map(|it| it.local_addr().ok()).map(|it| it.port()).collect();
    ports.try_into().map_err(|_| Failure::new("no free port"))
}

impl Inner {
    /// Those that were there the last time; the usual ones beside usual ports; else free ones.
    fn find(place: &Place, ports: Ports) -> Outcome<Inner> {
        let before = fs::read_to_string(place.variables()).ok();
        let before = before.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
        if let Some(inner) = before.as_ref().and_then(Inner::read) {
            return Ok(inner);
        }
        let [keys, licence, admin, channel, guide] =
            if ports == Ports::default() { [8095, 8090, 8091, 8092, 8093] } else { free()? };
        Ok(Inner { keys, licence, admin, channel, guide })
    }

    fn read(variables: &serde_json::Value) -> Option<Inner> {
        let port = |it: &serde_json::Value| it.as_u64().and_then(|it| u16::try_from(it).ok());
        let ports = &variables["ports"];
        Some(Inner {
            keys: port(&ports["keys"])?,
            licence: port(&ports["licence"])?,
            admin: port(&ports["admin"])?,
            channel: port(&variables["channels"][channel::CHANNEL]["port"])?,
            guide: port(&ports["guide"])?,
        })
    }
}

/// Writes what `examples/quickstart` is given.
fn variables(place: &Place, clips: &[Clip], secrets: &channel::Secrets, ports: Ports) -> Outcome<PathBuf> {
    let inner = Inner::find(place, ports)?;
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
            json!({
                "title": clip.title(),
                "source": source(&clip.file)?,
                "subtitles": subtitles,
                "protected": clip.role != Role::Trailer,
                "listed": matches!(clip.role, Role::Programme | Role::Trailer),
            }),
        );
    }
    let Ports { origin, edge, page } = ports;
    let Inner { keys, licence, admin, guide, .. } = inner;
    let variables = json!({
        "socket": place.socket(),
        "assets": assets,
        "protection": secrets.protection(),
        "channels": channel::channels(clips, inner.channel),
        "ports": {
            "origin": origin, "edge": edge, "page": page, "keys": keys, "licence": licence, "admin": admin,
            "guide": guide,
        },
    });
    let file = place.variables();
    fs::write(&file, format!("{variables:#}\n")).map_err(|error| Failure::io("write", &file, &error))?;
    Ok(file)
}

/// Whether the plan was empty.
fn apply(workspace: &Workspace, place: &Place, terraform: &Path, variables: &Path) -> Outcome<bool> {
    // The lock remembers the provider's digest, and the provider was just built anew.
    let _ = fs::remove_file(configuration(workspace).join(".terraform.lock.hcl"));
    println!("terraform init, plan, apply on examples/quickstart");
    place.terraform(workspace, terraform, "init", &[])?.limit(APPLY_LIMIT).output()?;
    let variables = format!("-var-file={}", variables.display());
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
    applied.limit(APPLY_LIMIT).show(|_| {})?;
    Ok(planned.contains("No changes"))
}

fn configuration(workspace: &Workspace) -> PathBuf {
    workspace.root().join("examples").join("quickstart")
}

fn digest(file: &Path) -> Outcome<String> {
    let said = Run::new("sha256sum", "sha256sum").args([file]).output()?;
    let hex = said.split_whitespace().next().unwrap_or_default();
    Ok(format!("sha256:{hex}"))
}

/// `encrypted`: names of videos whose HLS is for systems of vendors. `took`: how long it took until it played, if it plays.
fn tell(
    workspace: &Workspace,
    place: &Place,
    terraform: &Path,
    (addresses, encrypted): (&Addresses, &[&str]),
    options: &Options,
    took: Option<Duration>,
) {
    let Ports { edge, page, .. } = options.ports;
    // What says where the platform is must be said again.
    let again: String = match &options.at {
        Some(folder) => format!("cargo xtask quickstart --at {}", folder.display()),
        None => "cargo xtask quickstart".to_owned(),
    };
    match took {
        Some(took) => println!("\nIt plays. ({})\n", clock(took)),
        None => println!("\nIt is applied, but does not play yet.\n"),
    }
    println!("  page   {}", addresses.page);
    for (name, hls, dash) in &addresses.channels {
        println!("  channel {name}, HLS and DASH, encrypted:\n         {hls}\n         {dash}");
    }
    for (name, hls, dash) in &addresses.videos {
        if encrypted.contains(&name.as_str()) {
            println!("  video {name}, DASH, encrypted:\n         {dash}");
        } else {
            println!("  video {name}, HLS and DASH:\n         {hls}\n         {dash}");
        }
    }
    println!(
        "\nFrom another machine: ssh -L {page}:127.0.0.1:{page} -L {edge}:127.0.0.1:{edge} HOST, then http://127.0.0.1:{page}"
    );
    println!("Browsers decrypt only over https or on localhost, so keep to the tunnel.");
    println!("\nThree things to try:");
    println!("  1. on the page, choose the viewer without a subscription: {}/?account=guest", addresses.page);
    println!(
        "  2. watch it: {} node status --socket {} --deployment quickstart",
        place.program("streamverse").display(),
        place.socket().display()
    );
    println!("  3. remove everything: {again} --down");
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
    // What runs outlives its agent, so a dead one is started again to end it.
    if place.holds_something() && !place.agent_answers() {
        println!("The node agent does not answer; starting it to take down what it left running");
        place.start_agent()?;
    }
    if place.agent_answers() {
        if place.state().is_file() {
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
            }
        }
        // Also what an interrupted apply left and the state does not know.
        place.sweep()?;
    }
    place.stop_agent();
    let left = place.processes();
    if !left.is_empty() {
        return Err(Failure::new(format!("still running: {}", left.join("; ")))
            .next("run `--down` again; if it stays, end these processes by hand"));
    }
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
        assert!(Options::read(&["--at", "relative"]).is_err());
        let options = Options::read(&["--at", "/somewhere", "--ports", "1,2,3"]).unwrap();
        assert_eq!(options.at.as_deref(), Some(Path::new("/somewhere")));
        assert_eq!(options.ports, Ports { origin: 1, edge: 2, page: 3 });
        for wrong in ["1,2", "1,2,2", "0,1,2", "a,b,c", "1,2,3,4", "1,2,70000"] {
            assert!(Options::read(&["--ports", wrong]).is_err(), "{wrong}");
        }
    }
}
