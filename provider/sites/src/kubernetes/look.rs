//! What another hand changed of what a fleet's job wrote into its controller's catalogue. A plan starts nothing on a cluster and
//! cannot reach that catalogue; the controller can, and writes what it read beside its lease.

use serde_json::Value;
use streamverse_model::compute::{FLEETS_ANNOTATION, FleetChange, FleetReport, FleetTaken, FleetsTold};
use streamverse_model::platform::{JobObject, Object, Owner, Phase, lease_name};

use super::observe::succeeded;
use super::ready;
use super::record::Place;
use super::site::KubernetesSite;
use crate::error::{Class, Error, Result};

/// The target of the job that hands a fleet over.
const FLEET: &str = "fleet";
const CONTROLLER: &str = "fleet-controller";
const TRANSCODER: &str = "transcoder";

impl KubernetesSite {
    /// What is not as the fleet's job left it, in words; `None` where all is, where there is no fleet, and where nobody knows yet. An
    /// error where nobody ever will.
    pub(super) async fn looked(&self, owner: &Owner) -> Result<Option<String>> {
        let Some(record) = self.record(owner).await? else { return Ok(None) };
        let jobs = record.bundle.objects.iter().filter_map(|object| match object {
            Object::Job(job) if job.target == FLEET => Some(job),
            _ => None,
        });
        let Some(job) = jobs.into_iter().next() else { return Ok(None) };
        let Some(ended) = self.ended(&record.current).await? else { return Ok(None) };
        // Its workers are given what was handed over: another bucket, for example, is not what they have.
        let now = self.used(&record.bundle).await?;
        let mut transcoder = now.iter().filter(|it| it.used.kind.as_str() == TRANSCODER);
        if transcoder.any(|it| record.used.iter().any(|was| was.used == it.used && was.spec != it.spec)) {
            return Ok(Some(FleetChange::Transcoder.told(owner.name.as_str())));
        }
        let Some(report) = self.report(owner, job).await? else { return Ok(None) };
        let pods = self.pods(owner, &format!("job/{}", job.name)).await;
        let taken = succeeded(&pods).and_then(|it| serde_json::from_value::<FleetTaken>(it).ok());
        Ok(report.changed(owner.name.as_str(), &ended, taken.as_ref().map(|it| it.generation.as_str())))
    }

    /// When its Job was done, if it is.
    async fn ended(&self, current: &[Place]) -> Result<Option<String>> {
        let Some(place) = current.iter().find(|it| it.kind == "Job") else { return Ok(None) };
        let there = self.get(place.path(self.namespace()), &place.title()).await?;
        let done = there.filter(|it| ready::standing(it).phase == Phase::Succeeded);
        let ended = done.as_ref().and_then(|it| it.pointer("/status/completionTime"));
        Ok(ended.and_then(Value::as_str).map(str::to_owned))
    }

    /// What the controller of a fleet's job said last.
    async fn report(&self, owner: &Owner, job: &JobObject) -> Result<Option<FleetReport>> {
        let Some(used) = job.uses.iter().find(|it| it.kind.as_str() == CONTROLLER) else { return Ok(None) };
        let controller =
            Owner { deployment: owner.deployment.clone(), kind: used.kind.clone(), name: used.name.clone() };
        let place = Place {
            api_version: "coordination.k8s.io/v1".to_owned(),
            kind: "Lease".to_owned(),
            plural: "leases".to_owned(),
            name: lease_name(&controller),
        };
        let lease = match self.get(place.path(self.namespace()), &place.title()).await {
            // Who plans with fewer rights plans without this.
            Err(error) if error.class == Class::Denied => return Ok(None),
            other => other?.unwrap_or_default(),
        };
        let annotations = lease.pointer("/metadata/annotations");
        let text = annotations.and_then(|it| it.get(FLEETS_ANNOTATION)).and_then(Value::as_str);
        match text.and_then(FleetsTold::read) {
            None => Ok(None),
            Some(FleetsTold::Report(report)) => Ok(Some(report)),
            Some(FleetsTold::TooMany { left_out }) => Err(Error::new(
                Class::Unsupported,
                format!("{controller} has {left_out} fleets, too many for it to say by its lease how their records are"),
            )
            .next("What another hand changes of them in its catalogue, no plan sees: divide them among several controllers.")),
        }
    }
}
