//! `streamverse_transcoder`: the workers that encode. What may be asked for: `model::media`.

use streamverse_model::media::TranscoderSpec;
use streamverse_model::platform::{Object, Owner, StoreUse};
use tfplugin_framework::schema::{Computed, Path, Timeouts};
use tfplugin_framework::{Context, Draft, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::deploy::{self, Deployed, Imported, deployed};
use crate::provider::Streamverse;

/// Workers that encode what assets ask for, a run of segments at a time. A worker that is killed loses at most the segment that it was working on.
///
/// Not proved live: its pods on Kubernetes never ran; there, a real API server, its controllers and scheduler worked
/// on simulated nodes.
#[derive(Clone, Schema)]
pub struct Transcoder {
    /// Unique in the deployment; another name is another transcoder.
    #[attribute(
        replace,
        validate(regex(
            "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
        ))
    )]
    pub name: String,
    /// The site that holds it.
    #[attribute(replace, default = "default")]
    pub site: String,
    /// What it is.
    #[attribute(flatten)]
    pub spec: TranscoderSpec,
    /// Where it puts what it makes, as a digest of `object_store` and `catalogue`: what assets take as `stores`.
    pub stores: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// What a fleet hands to rented workers: the whole spec.
const HANDED: &[&str] =
    &["concurrency", "workers", "scratch", "memory", "event_log", "object_store", "catalogue"];

impl Deployed for Transcoder {
    const KIND: &'static str = "transcoder";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, _: &Owner) -> Result<Vec<Object>> {
        Ok(self.spec.objects()?)
    }

    fn stored(self, _provider: &Streamverse, revision: String) -> Result<State<Self>> {
        let stores = TranscoderSpec::stores(&self.spec.object_store, &self.spec.catalogue);
        Ok(self.complete(TranscoderComputed { stores, revision }))
    }
}

#[resource(name = "transcoder", timeouts(create = "5m", update = "5m", delete = "5m"))]
impl Resource for Transcoder {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        deploy::note(cx, draft, &planned, HANDED);
        let spec = draft.planned()?.spec;
        let place = planned.placement(cx);
        place.store("event_log", &spec.event_log, StoreUse::EventLog)?;
        place.store("object_store", &spec.object_store, StoreUse::Objects)?;
        place.store("catalogue", &spec.catalogue, StoreUse::Catalogue)?;
        place.side_by_side("workers", &spec.workers)?;
        let moved = |attribute: &str| !draft.is_create() && draft.changed(Path::attribute(attribute));
        if let Some(attribute) = ["object_store", "catalogue"].into_iter().find(|it| moved(it)) {
            cx.warn_at(
                Path::attribute(attribute),
                "What was made stays in the other store",
                "Assets whose `stores` is this transcoder's are made anew in the new one. Assets without it are not: origins that read the new store do not find them. Nothing is moved, and what lies in the old store is not removed by a later destroy.",
            );
        }
        match (spec.object_store.known(), spec.catalogue.known()) {
            (Some(objects), Some(catalogue)) => {
                draft.set(Self::stores(), &TranscoderSpec::stores(objects, catalogue))
            }
            _ => draft.set_unknown(Self::stores()),
        }
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let spec: TranscoderSpec = deploy::found_spec(&observed)?;
        let timeouts = Timeouts::default();
        let stores = TranscoderSpec::stores(&spec.object_store, &spec.catalogue);
        Ok(TranscoderState { stores, name, site, spec, revision: observed.revision, timeouts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_follows_whatever_changes_of_its_transcoder() {
        let spec: TranscoderSpec = serde_json::from_value(serde_json::json!({
            "concurrency": 1, "workers": 1, "scratch": "1GiB", "memory": "1GiB", "event_log": "kafka://k:9092",
            "object_store": "s3://media", "catalogue": "postgres://u@db/c",
        }))
        .unwrap();
        let all = serde_json::to_value(spec).unwrap();
        let mut handed = HANDED.to_vec();
        handed.sort_unstable();
        assert_eq!(all.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>(), handed);
    }
}
