//! `streamverse_object_store`: where sources, segments and packages lie.

use streamverse_model::platform::Object;
use tfplugin_framework::schema::{Computed, Timeouts};
use tfplugin_framework::{Context, Draft, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::deploy::{self, Deployed, Look};
use crate::provider::{DEFAULT, Streamverse};

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
    /// The site that holds it; `default` where none is given.
    #[attribute(replace)]
    pub site: Option<String>,
    /// Its address for those who use it, known before it is there.
    #[attribute(changes_with = [name, site])]
    pub url: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

fn url(site: Option<&str>, name: &str) -> String {
    format!("file://{}/{name}", site.unwrap_or(DEFAULT))
}

impl Deployed for ObjectStore {
    const KIND: &'static str = "object-store";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> Option<&str> {
        self.site.as_deref()
    }

    fn objects(&self) -> Result<Vec<Object>> {
        Ok(Vec::new())
    }
}

#[resource(name = "object_store", timeouts(create = "2m", update = "2m", delete = "2m"))]
impl Resource for ObjectStore {
    type Provider = Streamverse;

    async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        let url = url(plan.site.as_deref(), &plan.name);
        let revision = deploy::apply(cx, &*plan, &[], |_| {}).await?;
        Ok(plan.into_inner().complete(ObjectStoreComputed { url, revision }))
    }

    async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
        match deploy::look(cx, &*stored).await? {
            Look::Gone => Ok(Read::Gone),
            Look::Unknown => Ok(Read::Unchanged),
            Look::Found(observed) if Some(&observed.revision) == stored.revision.get().ok() => {
                Ok(Read::Unchanged)
            }
            Look::Found(observed) => {
                let url = stored.url.get()?.clone();
                Ok(Read::Found(
                    stored.into_inner().complete(ObjectStoreComputed { url, revision: observed.revision }),
                ))
            }
        }
    }

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        Self::create(cx, plan).await
    }

    async fn delete(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<()> {
        deploy::remove(cx, &*stored).await
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            return Ok(());
        }
        let planned = draft.planned()?;
        let before = draft.prior()?.and_then(|prior| prior.revision.into_known());
        let site = planned.site.known().map(String::as_str);
        deploy::plan(cx, draft, site, Self::site(), before, Self::revision())?;
        if let (Some(name), false) = (planned.name.known(), planned.site.is_unknown()) {
            draft.set(Self::url(), &url(site, name))?;
        }
        Ok(())
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let (site, name, observed) = deploy::find(cx, Self::KIND, id).await?;
        let url = url(site.as_deref(), &name);
        Ok(ObjectStoreState { name, site, url, revision: observed.revision, timeouts: Timeouts::default() })
    }
}
