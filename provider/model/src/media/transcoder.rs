//! The workers that encode, and where they find work and stores.

use crate::platform::{self, Isolation, Name, Object, Resources, ServiceObject, SpecError};
use serde::{Deserialize, Serialize};
use tfplugin_schema::{Schema, Size};

/// How long a site waits for a worker that is told to stop: the segment that it has begun is finished.
pub const DRAIN_SECONDS: u32 = 30;
/// The topic of an event log whose records are encodes to be done, without what begins all names of the log.
pub const TRANSCODE_TOPIC: &str = "transcode";
/// How many partitions it is made with, where its event log does not say: as many workers share it at most.
pub const TRANSCODE_PARTITIONS: u32 = 16;
/// The group of workers that share it.
pub const TRANSCODE_GROUP: &str = "transcoders";

/// Workers that encode what assets ask for, a rendition's run of segments at a time.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranscoderSpec {
    /// How many encodes run side by side in each worker.
    #[attribute(default = 1, validate(range = 1..=256))]
    pub concurrency: u32,
    /// How many workers run on its site. 0 where rented ones do all the work, see `streamverse_runpod_fleet`: assets wait for them.
    #[attribute(default = 1, validate(range = 0..=1000))]
    pub workers: u32,
    /// Local disk for one worker; each of its encodes has an equal part, which holds the whole source that it works on and
    /// the segments that are not finished. An encode that needs more is refused before it begins.
    #[attribute(default = "16GiB")]
    pub scratch: Size,
    /// Memory for one worker; each of its encodes has an equal part, and one that needs more is ended.
    #[attribute(default = "2GiB")]
    pub memory: Size,
    /// The event log that carries the work: the `url` of a `streamverse_event_log`.
    pub event_log: String,
    /// The object store for sources, segments and packages: the `url` of a `streamverse_object_store`.
    pub object_store: String,
    /// The catalogue that lists finished assets: the `url` of a `streamverse_catalogue`.
    pub catalogue: String,
}

impl TranscoderSpec {
    /// Where it puts what it makes, in 12 hexadecimal digits: assets that carry it are made anew when it changes.
    pub fn stores(object_store: &str, catalogue: &str) -> String {
        use sha2::{Digest as _, Sha256};
        let stores = serde_json::json!([object_store, catalogue]).to_string();
        hex::encode(&Sha256::digest(stores.as_bytes())[..6])
    }

    /// The workers.
    ///
    /// # Errors
    /// A store's address that is none.
    pub fn objects(&self) -> Result<Vec<Object>, SpecError> {
        let stores = [&self.event_log, &self.object_store, &self.catalogue];
        let uses = platform::uses(stores.into_iter().map(String::as_str))?;
        Ok(vec![Object::Service(ServiceObject {
            name: Name::fixed("transcoder"),
            target: "transcoder".to_owned(),
            spec: platform::spec_value(self)?,
            replicas: self.workers,
            ports: Vec::new(),
            credentials: uses.credentials,
            reach: uses.reach,
            resources: Resources {
                cpu_millis: self.concurrency.saturating_mul(1000),
                memory_bytes: self.memory.0,
                scratch_bytes: self.scratch.0,
            },
            isolation: Isolation::Process,
            drain_seconds: DRAIN_SECONDS,
        })])
    }
}
