//! `streamverse_keda_scaler`: how many of a service run, inside of a cluster. What may be asked for, and the objects:
//! `model::compute`; how the number changes hands: `sites`.

use streamverse_model::compute::{self, KedaScalerSpec};
use streamverse_model::platform::{Object, Owner};
use streamverse_sites::SiteKind;
use tfplugin_framework::schema::{Computed, Diagnostics, Path, Severity, Timeouts, Value};
use tfplugin_framework::{
    Context, Draft, Error, Findings, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use super::runpod::{pass_shown, shown};
use crate::deploy::{self, Deployed, Imported, Planned, deployed};
use crate::plain::spec_of;
use crate::provider::Streamverse;

/// Decides how many of a service run on a Kubernetes cluster, between `min` and `max`: by how much waits in a topic of Kafka
/// (a ScaledObject, for which KEDA must be in the cluster), or without a `queue` by the CPU and memory that they use (a
/// HorizontalPodAutoscaler); never both. It is the alternative to a fleet controller for services inside of a cluster.
///
/// Up it goes by as many as there are in 30 seconds, at most by 5; down by half in a minute, to what was the highest need of
/// the last five minutes. While it is there the service's own `replicas` (`workers`) counts only for pods that are made anew:
/// Terraform neither sets the number nor shows it. Without it the service goes back to that number.
///
/// Rights that Terraform needs for it, in the namespace of the site: `get`, `create`, `patch` and `delete` on `configmaps` and, with a `queue`, on
/// `scaledobjects` and `triggerauthentications` of `keda.sh`, without one on `horizontalpodautoscalers` of `autoscaling`; `get` and
/// `patch` on the service's `deployments`, and `get` on the `secrets` that its pods read. A plan asks for all of that too, as a dry run. A
/// destroy looks for what is left by its labels: `list` on `configmaps`, `secrets`, `services`, `deployments`, `daemonsets`, `jobs`,
/// `horizontalpodautoscalers`, `poddisruptionbudgets` and `networkpolicies`. To say why it is not ready it also lists `pods`, where it may. KEDA's
/// operator needs what its own installation gives it, and reads the secrets that the TriggerAuthentication names.
///
/// Not proved live: KEDA never ran; a real API server checked the objects against KEDA's definitions, scripts answered for
/// its operator. Kubernetes' own autoscaler was there, but no metrics for it to act on.
#[derive(Clone, Schema)]
pub struct KedaScaler {
    /// Unique in the deployment; another name is another scaler.
    #[attribute(
        replace,
        validate(regex(
            "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
        ))
    )]
    pub name: String,
    /// The site of the service: a Kubernetes cluster.
    #[attribute(replace, default = "default")]
    pub site: String,
    /// What it is.
    #[attribute(flatten)]
    pub spec: KedaScalerSpec,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines. A scaler that is not ready in time goes on; the apply ends with a warning.
    pub timeouts: Timeouts,
}

impl Deployed for KedaScaler {
    const KIND: &'static str = "keda-scaler";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, _: &Owner) -> Result<Vec<Object>> {
        Ok(self.spec.objects()?)
    }

    fn stored(self, _: &Streamverse, revision: String) -> Result<State<Self>> {
        Ok(self.complete(KedaScalerComputed { revision }))
    }
}

/// What is not the spec's own.
const REST: &[&str] = &["name", "site", "revision", "timeouts"];

#[resource(name = "keda_scaler", timeouts(create = "3m", update = "3m", delete = "5m"))]
impl Resource for KedaScaler {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    fn validate(config: &KedaScalerView, findings: &mut Findings) {
        let mut found = Diagnostics::new();
        compute::check_scaler(&config.spec, &mut found);
        pass_shown(found, findings);
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        if planned.kind(cx) == Some(SiteKind::Node) {
            let clusters = cx.provider().sites_of(SiteKind::Kubernetes).join(", ");
            let named = if clusters.is_empty() { "add one to `sites`".to_owned() } else { clusters };
            return Err(Error::invalid("a node runs one process of a service, so there is nothing to scale")
                .at(Path::attribute("site"))
                .next(format!("Give a site that is a Kubernetes cluster: {named}.")));
        }
        let spec = draft.planned()?.spec;
        // What is known by now: an event log's address, for one, is not yet while the configuration is checked.
        let mut found = Diagnostics::new();
        compute::check_scaler(&spec, &mut found);
        if let Some(first) = found.iter().find(|it| it.severity == Severity::Error) {
            let at = first.path.as_ref().map(shown).unwrap_or_default();
            return Err(Error::invalid(first.summary.clone()).at(at).next(first.detail.clone()));
        }
        look_at_target(cx, &planned, draft.value(), draft.is_change()).await
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let spec: KedaScalerSpec = deploy::found_spec(&observed)?;
        Ok(KedaScalerState { name, site, spec, revision: observed.revision, timeouts: Timeouts::default() })
    }
}

/// Refuses to scale what is there and cannot be several. What is made or changed in the same apply is looked at then. Where nothing is to be
/// done the target may be another than the scaler was made for: that is a warning.
async fn look_at_target(
    cx: &Context<Streamverse>,
    planned: &Planned,
    value: &Value,
    changes: bool,
) -> Result<()> {
    let Some(spec) = spec_of::<KedaScalerSpec>(value, REST) else { return Ok(()) };
    let Some(site) = planned.site.as_deref() else { return Ok(()) };
    let used = spec.target.used()?;
    let transcoder = used.kind.as_str() == "transcoder";
    let counted = transcoder && spec.queue.is_some();
    if !changes && !counted {
        return Ok(());
    }
    if transcoder && cx.provider().is_changing("transcoder", site, used.name.as_str()) {
        return Ok(());
    }
    let Ok(Some(client)) = cx.provider().try_site(site) else { return Ok(()) };
    let Ok(owner) = cx.provider().owner(used.kind.as_str(), used.name.as_str()) else { return Ok(()) };
    let Ok(Some(there)) = client.observe(&owner).await else { return Ok(()) };
    let lanes = compute::check_lanes(&spec, &there.bundle);
    if !changes {
        if let Err(error) = lanes {
            cx.warn_at(Path::attribute("max"), "More at most than there are partitions", error.to_string());
        }
        return Ok(());
    }
    lanes.map_err(|error| Error::invalid(error.to_string()).at(Path::attribute("max")))?;
    compute::check_scaled(&spec, &there.bundle)
        .map_err(|error| Error::invalid(error.to_string()).at(Path::attribute("target")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use streamverse_model::compute::ScaleNames;
    use tfplugin_framework::plan::with_defaults;

    use super::*;

    /// The spec as an apply has it, of a configuration that says no more than it must.
    fn of(more: &[(&str, Value)]) -> KedaScalerSpec {
        let target = Value::map([("kind", Value::from("transcoder")), ("name", Value::from("main"))]);
        let least = [("name", Value::from("it")), ("target", target), ("max", Value::from(8))];
        let config = Value::map(least.into_iter().chain(more.iter().cloned()));
        spec_of(&with_defaults(&KedaScaler::object(), config), REST).unwrap()
    }

    #[test]
    fn what_nobody_gave_is_70_percent_of_cpu_and_80_of_memory_with_a_queue_and_without() {
        let queue = Value::map([("event_log", Value::from("kafka://k.example:9092?partitions=12"))]);
        let names = ScaleNames {
            own: "it".to_owned(),
            deployment: "main".to_owned(),
            marker: "marker".to_owned(),
            secrets: BTreeMap::new(),
        };
        let object = |spec: &KedaScalerSpec| {
            let all = spec.manifests(&names).unwrap();
            let [(plural, body)] = all.as_slice() else { panic!("{all:?}") };
            (*plural, body["spec"].clone())
        };
        let plain = of(&[]);
        assert_eq!((plain.min, plain.cpu, plain.memory), (1, 70, 80));
        let (plural, hpa) = object(&plain);
        assert_eq!(plural, "horizontalpodautoscalers");
        for (metric, resource, percent) in [(0, "cpu", 70), (1, "memory", 80)] {
            let of = &hpa["metrics"][metric]["resource"];
            assert_eq!(
                (of["name"].as_str(), of["target"]["averageUtilization"].as_u64()),
                (Some(resource), Some(percent))
            );
        }
        let (plural, scaled) = object(&of(&[("queue", queue)]));
        assert_eq!(plural, "scaledobjects");
        for (trigger, resource, percent) in [(1, "cpu", "70"), (2, "memory", "80")] {
            let of = &scaled["triggers"][trigger];
            assert_eq!(
                (of["type"].as_str(), of["metadata"]["value"].as_str()),
                (Some(resource), Some(percent))
            );
        }
        // What somebody gave is no default: 0 is none at all.
        let (_, none) = object(&of(&[("cpu", Value::from(55)), ("memory", Value::from(0))]));
        assert_eq!(none["metrics"].as_array().map(Vec::len), Some(1));
        assert_eq!(none["metrics"][0]["resource"]["target"]["averageUtilization"], 55);
    }
}
