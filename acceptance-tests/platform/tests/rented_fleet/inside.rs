//! What pods are given: as their account shows it, and in the environments and arguments of all that runs in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use streamverse_acceptance::secrets::forms;
use streamverse_runpod_stand_in::StandIn;
use tfplugin_testing::cli::Failure;

use crate::{IDENTITY_BYTES, SECRETS};

/// What a search found nothing in.
#[derive(Default)]
pub(crate) struct Searched {
    /// Pods that the account showed with a token of their own.
    pub(crate) tokens: BTreeSet<String>,
    /// The programs that ran in pods.
    pub(crate) programs: BTreeSet<String>,
    /// The transcoders that ran in pods, as they call themselves where they tell what they encoded.
    pub(crate) transcoders: BTreeSet<String>,
}

impl Searched {
    /// Searches once more.
    ///
    /// # Errors
    /// Where a planted secret is, or which pod has no token.
    pub(crate) fn again(&mut self, runpod: &StandIn) -> Result<(), Failure> {
        for pod in runpod.things("pod") {
            if let Some(secret) = found(pod.to_string().as_bytes()) {
                return Err(Failure::new(format!("the account shows a secret in {}: {secret}", pod["id"])));
            }
            let token = pod["env"]["STREAMVERSE_TOKEN"].as_str().unwrap_or_default();
            if token.is_empty() {
                return Err(Failure::new(format!("a pod has no token to enrol with: {pod}")));
            }
            self.tokens.insert(token.to_owned());
        }
        for process in inside(&format!("STREAMVERSE_PRIVATE={}", runpod.folder().display())) {
            for (what, text) in [("arguments", &process.arguments), ("environment", &process.environment)] {
                if let Some(secret) = found(text) {
                    let text = format!("the {what} of {} in a pod have a secret: {secret}", process.program);
                    return Err(Failure::new(text));
                }
            }
            if process.program == "streamverse" {
                self.transcoders.insert(transcoder(process.pid));
            }
            self.programs.insert(process.program);
        }
        Ok(())
    }
}

/// What the transcoder that is this process calls itself.
pub(crate) fn transcoder(pid: u32) -> String {
    format!("main-{pid}")
}

/// The first planted secret in a text, in whatever form.
fn found(text: &[u8]) -> Option<String> {
    let plain = SECRETS.iter().map(|it| it.as_bytes().to_vec());
    let mut all = plain.chain(forms(IDENTITY_BYTES));
    let first = all.find(|it| text.windows(it.len()).any(|part| part == it.as_slice()))?;
    Some(String::from_utf8_lossy(&first).into_owned())
}

/// The processes of a pod.
pub(crate) fn of(pod: &str) -> Vec<u32> {
    inside(&format!("RUNPOD_POD_ID={pod}")).into_iter().map(|it| it.pid).collect()
}

/// Each encoder that runs in a pod now with its arguments, among them those that only say what they can.
pub(crate) fn encoders(pod: &str) -> Vec<(u32, Vec<String>)> {
    let all = inside(&format!("RUNPOD_POD_ID={pod}"));
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    let words = |it: Process| (it.pid, it.arguments.split(|byte| *byte == 0).map(text).collect());
    all.into_iter().filter(|it| it.program == "ffmpeg").map(words).collect()
}

/// Whether a process has ended. One whose parent did not ask how yet has nothing any more.
pub(crate) fn has_ended(pid: u32) -> bool {
    read(pid, "cmdline").is_empty()
}

struct Process {
    pid: u32,
    program: String,
    arguments: Vec<u8>,
    environment: Vec<u8>,
}

/// All that runs in pods: what was given this variable, and whatever that started, with whatever environment.
fn inside(variable: &str) -> Vec<Process> {
    let (mut found, mut started) = (Vec::new(), BTreeMap::<u32, Vec<u32>>::new());
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse::<u32>().ok()) else { continue };
        // The name in brackets may have anything in it.
        let stat = String::from_utf8_lossy(&read(pid, "stat")).into_owned();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        started.entry(parent.unwrap_or_default()).or_default().push(pid);
        if String::from_utf8_lossy(&read(pid, "environ")).contains(variable) {
            found.push(pid);
        }
    }
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        for child in started.get(&pid).into_iter().flatten() {
            if !found.contains(child) {
                found.push(*child);
            }
        }
        next += 1;
    }
    let process = |pid: u32| {
        let arguments = read(pid, "cmdline");
        let program = arguments.split(|it| *it == 0).next().unwrap_or_default();
        let program = PathBuf::from(String::from_utf8_lossy(program).into_owned());
        let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Process { pid, program, environment: read(pid, "environ"), arguments }
    };
    found.into_iter().map(process).collect()
}

fn read(pid: u32, name: &str) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default()
}
