//! `streamverse_kafka_cluster`: Apache Kafka under Strimzi's operator. What it refuses: `model::data::kafka_check`.

use streamverse_model::data::{self, KafkaClusterSpec};
use streamverse_model::platform::{Object, Owner};
use streamverse_sites::SiteKind;
use tfplugin_framework::schema::{Computed, Diagnostics, Path, Timeouts};
use tfplugin_framework::{
    Context, Draft, Error, Findings, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use crate::deploy::{self, Deployed, Imported, deployed};
use crate::plain::spec_of;
use crate::provider::Streamverse;

/// An Apache Kafka cluster under Strimzi's operator, which the Kubernetes cluster must have (API `kafka.strimzi.io/v1`,
/// Strimzi 1.0 or newer). It is ready when the operator says so; until then an apply ends with a warning that has the
/// operator's own words, and nothing is made anew.
///
/// Not proved live: Strimzi never ran; a real API server checked its objects against Strimzi's definitions, and
/// scripts answered for its operators.
#[derive(Clone, Schema)]
pub struct KafkaCluster {
    /// Unique in the deployment; another name is another cluster.
    #[attribute(
        replace,
        validate(regex(
            "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
        ))
    )]
    pub name: String,
    /// The site that holds it: a Kubernetes cluster.
    #[attribute(replace)]
    pub site: String,
    /// What it is.
    #[attribute(flatten)]
    pub spec: KafkaClusterSpec,
    /// Where clients begin, `HOST:PORT`, known before it is there.
    #[attribute(changes_with = [spec.tls])]
    pub bootstrap: Computed<String>,
    /// Bytes that each broker's disk needs: rate × retention × copies of the topics whose rate is given.
    pub storage_needed: Computed<u64>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines. A cluster that is not ready in time goes on; the apply ends with a warning.
    pub timeouts: Timeouts,
}

impl Deployed for KafkaCluster {
    const KIND: &'static str = "kafka-cluster";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, owner: &Owner) -> Result<Vec<Object>> {
        Ok(self.spec.objects(owner)?)
    }

    fn stored(self, provider: &Streamverse, revision: String) -> Result<State<Self>> {
        let known = bootstrap(provider, &self.name, &self.site, self.spec.port());
        let bootstrap = known.or_else(|| self.bootstrap.known().cloned()).unwrap_or_default();
        let storage_needed = data::storage_needed(&self.spec).bytes;
        Ok(self.complete(KafkaClusterComputed { bootstrap, storage_needed, revision }))
    }
}

fn bootstrap(provider: &Streamverse, name: &str, site: &str, port: u16) -> Option<String> {
    let owner = provider.owner(KafkaCluster::KIND, name).ok()?;
    let namespace = provider.configured(site).ok()?.namespace(&owner)?;
    Some(KafkaClusterSpec::bootstrap(&owner, &namespace, port))
}

fn refuse_first(found: &Diagnostics) -> Result<()> {
    let Some(first) = found.iter().next() else { return Ok(()) };
    let at = first.path.clone().unwrap_or_else(Path::root);
    Err(Error::invalid(first.summary.clone()).at(at).next(first.detail.clone()))
}

/// What is not the spec's own.
const REST: &[&str] = &["name", "site", "bootstrap", "storage_needed", "revision", "timeouts"];

#[resource(name = "kafka_cluster", timeouts(create = "20m", update = "20m", delete = "20m"))]
impl Resource for KafkaCluster {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    fn validate(config: &KafkaClusterView, findings: &mut Findings) {
        let mut found = Diagnostics::new();
        data::check(&config.spec, &mut found);
        for diagnostic in found {
            findings.push(diagnostic);
        }
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        if planned.kind(cx) == Some(SiteKind::Node) {
            let clusters = cx.provider().sites_of(SiteKind::Kubernetes).join(", ");
            let named = if clusters.is_empty() { "add one to `sites`".to_owned() } else { clusters };
            return Err(Error::invalid("a Kafka cluster needs Strimzi's operator, and a node has none")
                .at(Path::attribute("site"))
                .next(format!(
                    "Give a site that is a Kubernetes cluster ({named}), or a streamverse_event_log, which a node has by itself."
                )));
        }
        if let Some(owner) =
            planned.name.as_deref().and_then(|name| cx.provider().owner(Self::KIND, name).ok())
        {
            let mut found = Diagnostics::new();
            data::check_name(&owner, &mut found);
            refuse_first(&found)?;
        }
        // Another name or site is another cluster, which has nothing to lose.
        let replaced = draft.changed(Path::attribute("name")) || draft.changed(Path::attribute("site"));
        let wanted = spec_of::<KafkaClusterSpec>(draft.value(), REST);
        if let Some(wanted) = &wanted {
            let mut found = Diagnostics::new();
            let before = spec_of(draft.prior_value(), REST).filter(|_| !replaced);
            data::check_plan(before.as_ref(), wanted, &mut found);
            refuse_first(&found)?;
            draft.set(Self::storage_needed(), &data::storage_needed(wanted).bytes)?;
        } else {
            draft.set_unknown(Self::storage_needed())?;
        }
        let port = wanted.map(|spec| spec.port());
        match planned.name.zip(planned.site).zip(port) {
            Some(((name, site), port)) => match bootstrap(cx.provider(), &name, &site, port) {
                Some(address) => draft.set(Self::bootstrap(), &address),
                None => draft.set_unknown(Self::bootstrap()),
            },
            None => draft.set_unknown(Self::bootstrap()),
        }
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let spec: KafkaClusterSpec = deploy::found_spec(&observed)?;
        let bootstrap = bootstrap(cx.provider(), &name, &site, spec.port()).unwrap_or_default();
        Ok(KafkaClusterState {
            storage_needed: data::storage_needed(&spec).bytes,
            name,
            site,
            spec,
            bootstrap,
            revision: observed.revision,
            timeouts: Timeouts::default(),
        })
    }
}
