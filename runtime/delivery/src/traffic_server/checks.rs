//! What a host must have for an edge.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::Value;
use streamverse_core::engine::Refused;
use streamverse_core::{Error, Result};
use streamverse_model::delivery::AtsEdgeSpec;
use streamverse_model::platform::node::EngineInfo;

pub(super) fn read(spec: &Value) -> Result<AtsEdgeSpec> {
    serde_json::from_value(spec.clone())
        .map_err(|error| Error::permanent("spec-invalid", "this is no spec of an edge").because(error))
}

/// What the spec asks for and the installed version, the kernel or the disk has not.
pub(super) fn lacks(spec: &AtsEdgeSpec, info: &EngineInfo, scratch: &Path) -> Option<Refused> {
    let needed = ["stats_over_http.so", "header_rewrite.so"].into_iter();
    let wanted = spec.plugins.iter().flatten().filter_map(|line| line.split_whitespace().next());
    for plugin in needed.chain(wanted) {
        if !info.plugins.iter().any(|there| there == plugin) {
            return Some(Refused {
                code: "plugin-missing",
                message: format!("Traffic Server {} on this host has no plugin {plugin}", info.version),
                next: "install it, or leave it out".to_owned(),
                field: "plugins",
            });
        }
    }
    if let Some(control) = &spec.congestion_control {
        let known = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control")
            .unwrap_or_default();
        if !known.is_empty() && !known.split_whitespace().any(|it| it == control) {
            return Some(Refused {
                code: "congestion-control-missing",
                message: format!("this host's kernel has no congestion control {control:?}"),
                next: format!("load its module, or choose among {}", known.trim()),
                field: "congestion_control",
            });
        }
    }
    let room = room(scratch)?;
    (spec.storage.0 > room).then(|| Refused {
        code: "disk-small",
        message: format!("a cache of {} bytes does not fit: {room} bytes are free for it", spec.storage.0),
        next: "give `storage` less, or the host a larger disk".to_owned(),
        field: "storage",
    })
}

/// What is free where the cache lies or will lie, with what the cache has already.
fn room(scratch: &Path) -> Option<u64> {
    let there = scratch.ancestors().find(|folder| folder.is_dir())?;
    let disk = rustix::fs::statvfs(there).ok()?;
    let has: u64 = std::fs::read_dir(scratch.join("engine/cache"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|about| about.blocks().saturating_mul(512))
        .sum();
    Some(disk.f_bavail.saturating_mul(disk.f_frsize).saturating_add(has))
}
