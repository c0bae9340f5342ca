//! `streamverse_object_store`: where sources, segments and packages lie.

use streamverse_model::platform::Object;
use tfplugin_framework::schema::{Computed, Timeouts};
use tfplugin_framework::{Context, Draft, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::deploy::{self, Deployed, Imported};
use crate::provider::Streamverse;

/// An object store: where sources, segments and packages lie.
///
/// On a node it is a place that the agent gives it. Destroying it removes what is in it.
#[derive(Clone, Schema)]
pub struct ObjectStore {
    /// Unique in the deployment; another name is another store.
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
    /// Its address for those who use it, known before it is there.
    #[attribute(changes_with = [name, site])]
    pub url: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// The scheme of its address on a node.
const SCHEME: &str = "file";

impl Deployed for ObjectStore {
    const KIND: &'static str = "object-store";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self) -> Result<Vec<Object>> {
        Ok(Vec::new())
    }

    fn stored(self, _provider: &Streamverse, revision: String) -> Result<State<Self>> {
        let url = deploy::local_url(SCHEME, &self.site, &self.name);
        Ok(self.complete(ObjectStoreComputed { url, revision }))
    }
}

#[resource(name = "object_store", timeouts(create = "2m", update = "2m", delete = "2m"))]
impl Resource for ObjectStore {
    type Provider = Streamverse;

    async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
        deploy::read(cx, stored).await
    }

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    async fn delete(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<()> {
        deploy::remove(cx, &*stored).await
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        match planned.local_url(SCHEME) {
            Some(url) => draft.set(Self::url(), &url),
            None => draft.set_unknown(Self::url()),
        }
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let url = deploy::local_url(SCHEME, &site, &name);
        Ok(ObjectStoreState { name, site, url, revision: observed.revision, timeouts: Timeouts::default() })
    }
}
