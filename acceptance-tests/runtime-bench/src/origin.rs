//! The origin against nginx: both serve the same files, each on one processor, in turns.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use streamverse_core::{Metrics, ServiceContext};
use streamverse_model::platform::{Name, Owner};

use crate::children::{Server, pinned};
use crate::figures::{Rounds, Row};
use crate::load::{Asking, Load};
use crate::packages::{self, Paths};
use crate::{Outcome, Setup, folder, free_port, tell};

/// Debian's lies outside of a user's PATH.
const NGINX: &[&str] = &["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"];

/// What both are asked for.
struct Case {
    name: &'static str,
    connections: u32,
    memory: &'static str,
    /// Whether bytes count, or requests.
    heavy: bool,
    note: &'static str,
}

const CASES: &[Case] = &[
    Case { name: "manifests of 2 KiB", connections: 32, memory: "256MiB", heavy: false, note: "" },
    Case { name: "segments of 1 MiB", connections: 8, memory: "256MiB", heavy: true, note: "" },
    Case {
        name: "segments, memory too small",
        connections: 8,
        memory: "16MiB",
        heavy: true,
        note: "64 MiB of segments in turns through 16 MiB of the origin's memory; nginx has the kernel's",
    },
];

/// Measures.
///
/// # Errors
/// What stopped it.
pub async fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for case in CASES {
        rows.extend(measure_case(setup, case).await?);
    }
    Ok(rows)
}

async fn measure_case(setup: &Setup, case: &Case) -> Outcome<Vec<Row>> {
    let folder = folder()?;
    let cx = context(folder.path(), "origin")?;
    let store = cx.data_dir.join("stores/media");
    let paths = packages::write(&store)?;
    let (ours, theirs) = (free_port()?, free_port()?);
    let origin = start(setup, &cx, ours, case.memory).await?;
    let nginx = nginx(setup, folder.path(), &store, theirs).await?;
    let asking = |port| Asking { port, paths: of(case, &paths), connections: case.connections };
    let (mut per_core, mut whole, mut late) = (Rounds::default(), Rounds::default(), Rounds::default());
    asking(ours).warm_up(setup).await?;
    asking(theirs).warm_up(setup).await?;
    for round in 1..=setup.rounds(5) {
        let ours = asking(ours).round(setup, || origin.cpu_seconds()).await?;
        let theirs = asking(theirs).round(setup, || nginx.cpu_seconds()).await?;
        push(case.heavy, &mut per_core, &mut whole, &ours, &theirs);
        late.push(ours.p99, theirs.p99);
        tell(format!("{}, round {round}: origin {}, nginx {}", case.name, told(&ours), told(&theirs)));
    }
    let (of_core, of_all) = units(case.heavy);
    let name = case.name;
    Ok(vec![
        per_core.row(format!("origin: {name}, per core / nginx"), of_core, case.note),
        whole.row(format!("origin: {name}, wall / nginx"), of_all, case.note),
        late.row(
            format!("origin: {name}, 99th percentile / nginx"),
            "ms",
            format!("{} connections; less is better", case.connections),
        ),
    ])
}

fn of<'p>(case: &Case, paths: &'p Paths) -> &'p [String] {
    if case.heavy { &paths.segments } else { &paths.manifests }
}

/// The units of what counts, of processor time and of wall time.
pub(crate) fn units(heavy: bool) -> (&'static str, &'static str) {
    if heavy { ("MB/CPU-s", "MB/s") } else { ("req/CPU-s", "req/s") }
}

/// Both kinds of figure of a round.
pub(crate) fn push(heavy: bool, per_core: &mut Rounds, whole: &mut Rounds, ours: &Load, theirs: &Load) {
    if heavy {
        per_core.push(ours.megabytes_per_core(), theirs.megabytes_per_core());
        whole.push(ours.megabytes_per_second(), theirs.megabytes_per_second());
    } else {
        per_core.push(ours.requests_per_core(), theirs.requests_per_core());
        whole.push(ours.requests_per_second(), theirs.requests_per_second());
    }
}

/// A round for who looks on.
pub(crate) fn told(load: &Load) -> String {
    format!(
        "{:.0} req/s and {:.0} MB/s with {:.2} s of CPU in {:.2} s",
        load.requests_per_second(),
        load.megabytes_per_second(),
        load.cpu,
        load.seconds
    )
}

/// Where a service runs, as a site would say it.
///
/// # Errors
/// A name that is none.
pub fn context(folder: &Path, kind: &str) -> Outcome<ServiceContext> {
    Ok(ServiceContext {
        site: Name::parse("here")?,
        owner: Owner::new("bench", kind, "main")?,
        object: format!("service/{kind}"),
        data_dir: folder.join("data"),
        scratch_dir: folder.join("scratch"),
        run_dir: folder.join("run"),
        credentials_dir: folder.join("credentials"),
        specs_dir: folder.join("specs"),
        tools: std::collections::BTreeMap::new(),
        bind: std::net::Ipv4Addr::LOCALHOST.into(),
        metrics: Metrics::new(),
    })
}

/// Runs a target of the real binary, as a site does.
///
/// # Errors
/// When it cannot be started.
pub fn run_target(
    setup: &Setup,
    target: &str,
    spec: &serde_json::Value,
    cx: &ServiceContext,
    core: Option<u32>,
) -> Outcome<Server> {
    let place = cx.run_dir.join(target);
    std::fs::create_dir_all(&place)?;
    let (spec_file, context_file) = (place.join("spec.json"), place.join("context.json"));
    std::fs::write(&spec_file, spec.to_string())?;
    std::fs::write(&context_file, serde_json::to_string(cx)?)?;
    let program = setup.binary("streamverse")?;
    let mut command = match core {
        Some(core) => pinned(core, program),
        None => Command::new(program),
    };
    command.args(["run", "--target", target, "--spec"]).arg(spec_file).arg("--context").arg(context_file);
    command.arg("--admin").arg(format!("unix:{}", place.join("admin.sock").display()));
    Server::start(target, &mut command, &place.join("log"))
}

async fn start(setup: &Setup, cx: &ServiceContext, port: u16, memory: &str) -> Outcome<Server> {
    let spec = json!({
        "port": port, "replicas": 1, "object_store": "file://here/media", "catalogue": "sqlite://here/main",
        "cache": null, "memory": memory, "allowed_origins": ["*"], "manifest_max_age": "2s",
        "manifest_stale": "60s", "segment_max_age": "30days",
    });
    let mut origin = run_target(setup, "origin", &spec, cx, Some(setup.cores.server))?;
    origin.listens(port).await?;
    Ok(origin)
}

/// One worker, as the origin has one thread on one processor; files kept open, nothing logged, the same headers.
async fn nginx(setup: &Setup, folder: &Path, root: &Path, port: u16) -> Outcome<Server> {
    let place = folder.join("nginx");
    std::fs::create_dir_all(&place)?;
    let here = place.display();
    let config = format!(
        "daemon off;\nworker_processes 1;\npid {here}/pid;\nerror_log {here}/error.log warn;\nevents {{ worker_connections 1024; }}\n\
         http {{\n  sendfile on;\n  tcp_nopush on;\n  tcp_nodelay on;\n  access_log off;\n  etag on;\n\
         keepalive_requests 1000000000;\n  open_file_cache max=10000 inactive=60s;\n  open_file_cache_valid 3s;\n\
         client_body_temp_path {here}/body;\n  proxy_temp_path {here}/proxy;\n  fastcgi_temp_path {here}/fastcgi;\n\
         uwsgi_temp_path {here}/uwsgi;\n  scgi_temp_path {here}/scgi;\n\
         types {{ application/vnd.apple.mpegurl m3u8; video/mp4 m4s; }}\n\
         server {{\n    listen 127.0.0.1:{port};\n    root {root};\n\
         add_header Cache-Control \"public, max-age=2592000, immutable\";\n    add_header X-Content-Type-Options nosniff;\n\
         add_header Access-Control-Allow-Origin *;\n    add_header Timing-Allow-Origin *;\n\
         add_header Access-Control-Expose-Headers \"content-length, content-range, etag, age, via, server-timing\";\n\
         }}\n}}\n",
        root = root.display()
    );
    let file = place.join("nginx.conf");
    std::fs::write(&file, config)?;
    let program = NGINX.iter().map(PathBuf::from).find(|path| path.is_file());
    let program = program.ok_or("nginx is not installed: apt-get install nginx")?;
    let mut command = pinned(setup.cores.server, program);
    command.arg("-e").arg(place.join("error.log")).arg("-c").arg(file);
    let mut nginx = Server::start("nginx", &mut command, &place.join("log"))?;
    nginx.listens(port).await?;
    Ok(nginx)
}
