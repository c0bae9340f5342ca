//! `streamverse_origin`: serves packages from the object store. What may be asked for: `model::delivery`.

use streamverse_model::delivery::OriginSpec;
use streamverse_model::platform::{Object, Owner, StoreUse};
use tfplugin_framework::schema::{Computed, Path, Timeouts};
use tfplugin_framework::{Context, Draft, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::deploy::{self, Deployed, Imported, deployed};
use crate::provider::Streamverse;

/// Serves packages from the object store over HTTP: conditional and range requests, CORS, cache headers for each class of object.
///
/// Not proved live: its pods on Kubernetes never ran; there, a real API server, its controllers and scheduler worked
/// on simulated nodes.
#[derive(Clone, Schema)]
pub struct Origin {
    /// Unique in the deployment; another name is another origin.
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
    pub spec: OriginSpec,
    /// Where it is reached from its site, known before it is there: `http://HOST:PORT`.
    #[attribute(changes_with = [spec.port])]
    pub address: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

impl Deployed for Origin {
    const KIND: &'static str = "origin";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, _: &Owner) -> Result<Vec<Object>> {
        Ok(self.spec.objects()?)
    }

    fn stored(self, provider: &Streamverse, revision: String) -> Result<State<Self>> {
        let known = provider.address(Self::KIND, &self.name, &self.site, "http", self.spec.port);
        let address = known.or_else(|| self.address.known().cloned()).unwrap_or_default();
        Ok(self.complete(OriginComputed { address, revision }))
    }
}

#[resource(name = "origin", timeouts(create = "5m", update = "5m", delete = "5m"))]
impl Resource for Origin {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        let spec = draft.planned()?.spec;
        let place = planned.placement(cx);
        place.store("object_store", &spec.object_store, StoreUse::Objects)?;
        place.store("catalogue", &spec.catalogue, StoreUse::Catalogue)?;
        place.store("cache", &spec.cache, StoreUse::Cache)?;
        place.side_by_side("replicas", &spec.replicas)?;
        let port = spec.port.known().copied();
        place.port(Path::attribute("port"), port)?;
        match planned.address::<Self>(cx, "http", port) {
            Some(address) => draft.set(Self::address(), &address),
            None => draft.set_unknown(Self::address()),
        }
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let spec: OriginSpec = deploy::found_spec(&observed)?;
        let address = cx.provider().address(Self::KIND, &name, &site, "http", spec.port).unwrap_or_default();
        let timeouts = Timeouts::default();
        Ok(OriginState { name, site, spec, address, revision: observed.revision, timeouts })
    }
}
