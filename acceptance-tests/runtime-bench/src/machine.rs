//! On what was measured: figures of two machines are not compared.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// Processors, their model, the kernel, and how busy it all was at the beginning.
pub fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    json!({
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "model": model.map(|(_, model)| model.trim()),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load": load_average(),
    })
}

/// How many processes wanted to run, on average over the last minute.
pub fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// The commit of the checkout, with a plus where it has changes; nothing where there is no git.
pub fn commit(root: &Path) -> Option<String> {
    let git = |words: &[&str]| {
        let said = Command::new("git").arg("-C").arg(root).args(words).stdin(Stdio::null()).output().ok()?;
        said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}+") })
}
