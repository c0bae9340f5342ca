//! The jobs that hand a fleet to its controller and take it away again: what they are told, and what a fleet is on its site.

use serde::{Deserialize, Serialize};

use super::runpod::RunpodFleetSpec;
use super::{FleetDefinition, QueueSpec};
use crate::platform::{self, JobObject, Name, Object, Resources, SpecError, SpecUse};

/// What the job `fleet` is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetJobSpec {
    /// The fleet's name.
    pub name: Name,
    /// What it is.
    pub fleet: FleetSource,
}

/// A fleet as a resource describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FleetSource {
    /// `streamverse_runpod_fleet`.
    Runpod(Box<RunpodFleetSpec>),
}

/// What the job `fleet-remove` is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetRemovalSpec {
    /// The fleet's name.
    pub name: Name,
    /// Its controller.
    pub controller: Name,
}

/// What came of the job `fleet`, as it tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FleetTaken {
    /// The generation that was written.
    pub generation: String,
    /// Whether the controller has acted on it.
    pub taken: bool,
    /// What the controller says is wrong.
    pub trouble: Option<String>,
}

/// What came of the job `fleet-remove`, as it tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FleetRemoved {
    /// The fleet's name.
    pub removed: String,
    /// Its record was not there, or went before its controller said that nothing is left: nobody knows whether pods of it run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unrecorded: bool,
}

/// How long the jobs may take. A fleet leaves when its workers have finished what they had begun.
const DEADLINE_SECONDS: u64 = 24 * 3600;

impl FleetJobSpec {
    /// Its controller's name.
    ///
    /// # Errors
    /// No name.
    pub fn controller(&self) -> Result<Name, SpecError> {
        let FleetSource::Runpod(it) = &self.fleet;
        Ok(Name::parse(&it.controller)?)
    }

    /// The name of the transcoder whose work it does.
    ///
    /// # Errors
    /// No name.
    pub fn transcoder(&self) -> Result<Option<Name>, SpecError> {
        let FleetSource::Runpod(it) = &self.fleet;
        Ok(it.transcoder.as_deref().map(Name::parse).transpose()?)
    }

    /// As its controller has it.
    ///
    /// # Errors
    /// Candidates that are none.
    pub fn definition(&self, jobs_per_worker: u32) -> Result<FleetDefinition, SpecError> {
        let FleetSource::Runpod(it) = &self.fleet;
        it.definition(&self.name, jobs_per_worker)
    }

    /// What it is on its site: a job that reads the specs of its controller and its transcoder.
    ///
    /// # Errors
    /// Names that are none.
    pub fn objects(&self) -> Result<Vec<Object>, SpecError> {
        let mut uses = vec![used("fleet-controller", self.controller()?)];
        uses.extend(self.transcoder()?.map(|name| used("transcoder", name)));
        Ok(vec![job("fleet", platform::spec_value(self)?, uses)])
    }

    /// The job that takes it away.
    ///
    /// # Errors
    /// A controller's name that is none.
    pub fn removal(&self) -> Result<Object, SpecError> {
        self.removal_spec()?.job()
    }

    /// What that job is told.
    ///
    /// # Errors
    /// A controller's name that is none.
    pub fn removal_spec(&self) -> Result<FleetRemovalSpec, SpecError> {
        Ok(FleetRemovalSpec { name: self.name.clone(), controller: self.controller()? })
    }
}

impl FleetRemovalSpec {
    /// The job that takes it away.
    ///
    /// # Errors
    /// Cannot be written as JSON.
    pub fn job(&self) -> Result<Object, SpecError> {
        let uses = vec![used("fleet-controller", self.controller.clone())];
        Ok(job("fleet-remove", platform::spec_value(self)?, uses))
    }
}

fn used(kind: &'static str, name: Name) -> SpecUse {
    SpecUse { kind: Name::fixed(kind), name, service: Name::fixed(kind) }
}

fn job(target: &str, spec: serde_json::Value, uses: Vec<SpecUse>) -> Object {
    Object::Job(JobObject {
        name: Name::fixed("fleet"),
        target: target.to_owned(),
        spec,
        uses,
        credentials: Vec::new(),
        reach: Vec::new(),
        resources: Resources::default(),
        retries: 6,
        deadline_seconds: DEADLINE_SECONDS,
    })
}

impl QueueSpec {
    /// How many partitions its topic has at least, as far as its event log's URL says: one that is not there yet is made with so
    /// many.
    pub fn partitions_of(event_log: &str) -> Option<u32> {
        let platform::StoreUrl::Remote { url, .. } = platform::StoreUrl::parse(event_log).ok()? else {
            return None;
        };
        let found = url.query_pairs().find(|(name, _)| name == "partitions").map(|(_, it)| it.into_owned());
        found?.parse().ok()
    }
}
