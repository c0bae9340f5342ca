//! Pods: their lives, what may be done with them, and the real program that a test may let each of them be.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Map, Value, json};
use streamverse_stand_in::lock;

use crate::cuda::Cuda;
use crate::stock::{GPUS, Stock};
use crate::world::{Answer, Thing, World, now, public, refuse};

/// The account, shared.
pub(crate) type Shared = Arc<Mutex<World>>;

/// What a status allows.
fn actions(status: &str) -> Value {
    match status {
        "RUNNING" => json!(["stop", "restart", "terminate"]),
        "EXITED" | "ERROR" => json!(["start", "terminate"]),
        "PROVISIONING" | "STARTING" => json!(["stop", "terminate"]),
        _ => json!([]),
    }
}

fn set_status(pod: &mut Thing, status: &str) {
    let costs = !matches!(status, "EXITED" | "TERMINATED");
    let rate = if costs { pod.number_of("_rate") } else { 0.0 };
    let runtime = if status == "RUNNING" {
        json!({ "uptime": 0, "gpus": [{ "util": 0, "memoryUtil": 0 }], "cpu": { "util": 0 }, "memory": { "util": 0 }, "ports": [] })
    } else {
        Value::Null
    };
    for (name, value) in
        [("status", json!(status)), ("actions", actions(status)), ("cost", json!(rate)), ("runtime", runtime)]
    {
        pod.body.insert(name.to_owned(), value);
    }
    if status == "RUNNING" {
        pod.body.insert("startedAt".to_owned(), json!(now()));
    }
}

/// `POST /v2/pods`.
pub(crate) fn create(shared: &Shared, body: &Map<String, Value>) -> Answer {
    let mut world = lock(shared);
    let Some(gpu) = body.get("gpu").filter(|_| !body.contains_key("cpu")) else {
        return refuse(400, "Set exactly one of gpu or cpu; this stand-in rents GPU pods alone");
    };
    let found = world.template(body, false);
    let asked = found.and_then(|template| {
        // A mount of the body takes the place of the template's.
        let mut mounts = [Some(body), template].into_iter().flatten().filter_map(|it| it.get("mounts"));
        let mounts = mounts.find(|it| it.as_object().is_some_and(|it| !it.is_empty()));
        let mounts = mounts.cloned().unwrap_or_else(|| json!({}));
        Ok((world.container(body, false)?, mounts, Cuda::of_pod(gpu, template)?))
    });
    let (mut made, mounts, cuda) = match asked {
        Ok(asked) => asked,
        Err(fault) => return fault,
    };
    let ty = gpu["id"].as_str().unwrap_or_default();
    let count = u32::try_from(gpu["count"].as_u64().unwrap_or(1)).unwrap_or(u32::MAX);
    let cloud = body.get("cloud").and_then(Value::as_str).unwrap_or("SECURE").to_owned();
    let Some(about) = GPUS.iter().find(|gpu| gpu.0 == ty) else {
        return refuse(400, format!("gpu.id: {ty} is no GPU type"));
    };
    let price = world.stock.price_of(ty, &cloud.to_lowercase());
    let most = if cloud == "SECURE" { about.7 } else { about.7 / 2 };
    if count > most {
        return refuse(400, format!("gpu.count: no machine has {count} of {ty}"));
    }
    if mounts.get("persistent").is_some() && mounts.get("network").is_some() {
        return refuse(400, "mounts: persistent and network exclude each other");
    }
    let volume = mounts.pointer("/network/0/volumeId").and_then(Value::as_str).map(str::to_owned);
    let mut centres: Vec<String> = body
        .get("dataCenterIds")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect();
    if let Some(bad) = centres.iter().find(|centre| !Stock::is_centre(centre)) {
        return refuse(400, format!("data center {bad} does not exist"));
    }
    if let Some(volume) = &volume {
        let Some(volume) = world.of("volume").get(volume) else {
            return refuse(404, "network volume not found");
        };
        let centre = volume.text("dataCenter").to_owned();
        if !centres.is_empty() && !centres.contains(&centre) {
            return refuse(400, "the network volume is in another data center");
        }
        centres = vec![centre];
    }
    let rate = price * f64::from(count);
    if !world.settings.balance {
        return refuse(402, "Your account balance is too low to deploy this pod");
    }
    if world.spending() + rate > world.settings.spend_limit {
        return refuse(402, "The pod would exceed the account's spend limit");
    }
    let Some(centre) = world.stock.take(ty, &cloud, &centres, &cuda, count) else {
        return refuse(400, "There are no longer any instances available with the requested specifications");
    };
    let id = world.fresh_id();
    let rest = json!({
        "id": id, "name": body["name"], "mounts": mounts, "gpu": { "id": ty, "count": count }, "cloud": cloud,
        "dataCenterId": centre, "cudaVersion": Stock::cuda(&centre), "ssh": { "proxy": null, "direct": null },
        "template": null, "locked": false,
        "globalNetworking": { "enabled": false }, "createdAt": now(), "startedAt": null,
        "_rate": rate, "_class": format!("{ty}/{centre}/{cloud}"),
    });
    made.extend(rest.as_object().cloned().unwrap_or_default());
    let mut thing =
        Thing { body: made, made: Instant::now(), number: 0, ended: None, process: None, life: 0 };
    set_status(&mut thing, "PROVISIONING");
    let told = world.add("pod", thing.body);
    begin(shared, &mut world, &id);
    (201, Some(told))
}

/// Lets a pod live from PROVISIONING on.
fn begin(shared: &Shared, world: &mut World, id: &str) {
    let Some(pod) = world.find("pod", id) else { return };
    pod.life += 1;
    let life = pod.life;
    tokio::spawn(live(Arc::clone(shared), id.to_owned(), life));
}

/// The pod, if it still has this life.
fn of_life<'a>(world: &'a mut World, id: &str, life: u64) -> Option<&'a mut Thing> {
    world.find("pod", id).filter(|pod| pod.life == life && pod.ended.is_none())
}

async fn live(shared: Shared, id: String, life: u64) {
    let (provision, start) = {
        let world = lock(&shared);
        (Duration::from_millis(world.settings.provision_ms), Duration::from_millis(world.settings.start_ms))
    };
    tokio::time::sleep(provision).await;
    let Some(()) = of_life(&mut lock(&shared), &id, life).map(|pod| set_status(pod, "STARTING")) else {
        return;
    };
    tokio::time::sleep(start).await;
    let child = {
        let mut world = lock(&shared);
        let Some(pod) = of_life(&mut world, &id, life) else { return };
        set_status(pod, "RUNNING");
        let (env, told) = (pod.body.get("env").cloned().unwrap_or_default(), pod.body.clone());
        note(&mut world, &id, "running");
        let child = spawn(&world, &id, &env, &told);
        if let Some((Ok(child), pod)) = child.as_ref().zip(of_life(&mut world, &id, life)) {
            pod.process = child.id();
        }
        child
    };
    let status = match child {
        None => return,
        Some(Err(error)) => {
            lock(&shared).violations.push(format!("the program of pod {id} does not start: {error}"));
            "ERROR"
        }
        Some(Ok(mut child)) => {
            let process = child.id();
            let _ = child.wait().await;
            if let Some(process) = process {
                lock(&shared).ending.remove(&process);
            }
            "EXITED"
        }
    };
    let mut world = lock(&shared);
    if let Some(pod) = of_life(&mut world, &id, life) {
        pod.process = None;
        set_status(pod, status);
        note(&mut world, &id, "stopped");
    }
}

fn note(world: &mut World, id: &str, event: &str) {
    if let Some(pod) = world.things.get_mut("pod").and_then(|pods| pods.remove(id)) {
        world.note("pod", &pod, event, false);
        world.things.entry("pod").or_default().insert(id.to_owned(), pod);
    }
}

/// Starts the pod's program, in a process group of its own.
fn spawn(
    world: &World,
    id: &str,
    env: &Value,
    pod: &Map<String, Value>,
) -> Option<std::io::Result<tokio::process::Child>> {
    let text = |member: &str| pod.get(member).and_then(Value::as_str).unwrap_or_default();
    let image = text("image");
    let (program, arguments) =
        world.settings.images.get(image).unwrap_or(&world.settings.command).split_first()?;
    let mut command = tokio::process::Command::new(program);
    // What a container has is its own: of ours only the way to programs.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.args(arguments).args(text("args").split_whitespace()).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.envs(&world.settings.command_env);
    for (name, value) in env.as_object().into_iter().flatten() {
        command.env(name, value.as_str().unwrap_or_default());
    }
    command.env("RUNPOD_POD_ID", id);
    command.env("RUNPOD_DC_ID", text("dataCenterId"));
    command.env("RUNPOD_STAND_IN_IMAGE", image);
    if let Some(folder) = &world.settings.command_logs
        && let Ok(file) =
            std::fs::File::options().create(true).append(true).open(folder.join(format!("{id}.log")))
        && let Ok(twin) = file.try_clone()
    {
        command.stdout(file).stderr(twin);
    }
    Some(command.spawn())
}

/// Ends a program as a container's end does: SIGTERM, and SIGKILL when the grace is over.
fn end_process(shared: &Shared, world: &mut World, process: Option<u32>) {
    let Some(number) = process else { return };
    signal(number, Signal::TERM);
    world.ending.insert(number);
    let (shared, grace) = (Arc::clone(shared), Duration::from_millis(world.settings.grace_ms));
    tokio::spawn(async move {
        tokio::time::sleep(grace).await;
        // One that ended has given its number back.
        if lock(&shared).ending.remove(&number) {
            signal(number, Signal::KILL);
        }
    });
}

/// Sends a signal to a pod's program and its group. Who is killed is killed with all that it started, in whatever groups: nothing
/// outlives its container.
fn signal(process: u32, signal: Signal) {
    let Some(group) = i32::try_from(process).ok().and_then(Pid::from_raw) else { return };
    let mut below = Vec::new();
    if signal == Signal::KILL {
        // Who is stopped starts nothing more: what is found then is all of it.
        let _ = kill_process_group(group, Signal::STOP);
        loop {
            let mut found = started_by(process);
            found.retain(|it| !below.contains(it));
            if found.is_empty() {
                break;
            }
            for pid in found.iter().copied().filter_map(Pid::from_raw) {
                let _ = kill_process(pid, Signal::STOP);
            }
            below.append(&mut found);
        }
    }
    let _ = kill_process_group(group, signal);
    for pid in below.into_iter().filter_map(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// All processes that a process started, and those that these did.
fn started_by(process: u32) -> Vec<i32> {
    let parent = |entry: std::fs::DirEntry| -> Option<(i32, i32)> {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let text = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name in brackets may have anything in it.
        let parent = text.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        Some((pid, parent))
    };
    let all: Vec<(i32, i32)> =
        std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(parent).collect();
    let mut found: Vec<i32> = i32::try_from(process).into_iter().collect();
    let mut next = 0;
    while let Some(one) = found.get(next).copied() {
        found.extend(all.iter().filter(|(_, parent)| *parent == one).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1.min(found.len()))
}

/// Everything is over: no program outlives the stand-in.
pub(crate) fn end_all(world: &World) {
    let running = world.of("pod").values().filter_map(|pod| pod.process);
    for process in running.chain(world.ending.iter().copied()) {
        signal(process, Signal::KILL);
    }
}

/// `DELETE /v2/pods/{id}`, the action `terminate`, and a machine that went (`event` is `lost`).
pub(crate) fn terminate(shared: &Shared, id: &str, event: &str) -> Answer {
    let mut world = lock(shared);
    let Some(pod) = world.find("pod", id).filter(|pod| pod.ended.is_none()) else {
        return refuse(404, "pod not found");
    };
    let process = pod.process.take();
    if event == "lost" {
        if let Some(process) = process {
            signal(process, Signal::KILL);
        }
    } else {
        end_process(shared, &mut world, process);
    }
    let Some(mut pod) = world.remove("pod", id, event) else { return refuse(404, "pod not found") };
    let count = u32::try_from(pod.body["gpu"]["count"].as_u64().unwrap_or(1)).unwrap_or(1);
    let (ty, cloud, centre) =
        (pod.body["gpu"]["id"].as_str().unwrap_or_default(), pod.text("cloud"), pod.text("dataCenterId"));
    world.stock.give_back(ty, cloud, centre, count);
    if world.settings.terminated_ms > 0 {
        set_status(&mut pod, "TERMINATED");
        pod.ended = Some(Instant::now());
        let (shared, id, told) =
            (Arc::clone(shared), id.to_owned(), Duration::from_millis(world.settings.terminated_ms));
        world.things.entry("pod").or_default().insert(id.clone(), pod);
        tokio::spawn(async move {
            tokio::time::sleep(told).await;
            lock(&shared).things.entry("pod").or_default().remove(&id);
        });
    }
    (204, None)
}

/// A pod's host fails under it, without notice: its program is killed, and the pod is told of as `EXITED`.
pub(crate) fn kill(shared: &Shared, id: &str) -> Answer {
    let mut world = lock(shared);
    let Some(pod) = world.find("pod", id).filter(|pod| pod.ended.is_none()) else {
        return refuse(404, "pod not found");
    };
    pod.life += 1;
    let process = pod.process.take();
    set_status(pod, "EXITED");
    if let Some(process) = process {
        signal(process, Signal::KILL);
    }
    note(&mut world, id, "stopped");
    (204, None)
}

/// `POST /v2/pods/{id}/action`.
pub(crate) fn act(shared: &Shared, id: &str, action: &str) -> Answer {
    let mut world = lock(shared);
    let Some(pod) = world.find("pod", id) else { return refuse(404, "pod not found") };
    let legal = pod.body["actions"].as_array().is_some_and(|all| all.iter().any(|it| it == action));
    if !legal {
        let status = pod.text("status").to_owned();
        return refuse(409, format!("{action} is not possible while the pod is {status}"));
    }
    if action == "terminate" {
        drop(world);
        return terminate(shared, id, "terminated");
    }
    let process = pod.process.take();
    match action {
        "stop" => {
            pod.life += 1;
            set_status(pod, "EXITED");
            end_process(shared, &mut world, process);
            note(&mut world, id, "stopped");
        }
        _ => {
            set_status(pod, "PROVISIONING");
            end_process(shared, &mut world, process);
            begin(shared, &mut world, id);
        }
    }
    match world.find("pod", id) {
        Some(pod) => (200, Some(public(&pod.body))),
        None => refuse(404, "pod not found"),
    }
}

/// `PATCH /v2/pods/{id}`.
pub(crate) fn patch(shared: &Shared, id: &str, body: &Map<String, Value>) -> Answer {
    let mut world = lock(shared);
    let Some(pod) = world.find("pod", id).filter(|pod| pod.ended.is_none()) else {
        return refuse(404, "pod not found");
    };
    for (name, value) in body
        .iter()
        .filter(|(name, _)| ["name", "env", "image", "args", "ports", "locked"].contains(&name.as_str()))
    {
        pod.body.insert(name.clone(), value.clone());
    }
    (200, Some(public(&pod.body)))
}
