//! `streamverse_ats_edge`: Apache Traffic Server in front of origins. What may be asked for: `model::delivery`.

use streamverse_model::delivery::AtsEdgeSpec;
use streamverse_model::platform::{
    EndpointObject, EngineKind, EngineObject, Object, Port, Protocol, Resources,
};
use tfplugin_framework::schema::{Computed, Timeouts};
use tfplugin_framework::{Context, Draft, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::deploy::{self, Deployed, Look};
use crate::provider::Streamverse;

/// An Apache Traffic Server that caches what origins serve. A change is checked by the server's own binary before it is switched to; a reload drops no connection, another cache size or port is a drained restart, and a configuration that does not serve is rolled back.
#[derive(Clone, Schema)]
pub struct AtsEdge {
    /// Unique in the deployment; another name is another edge.
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
    /// What it is.
    #[attribute(flatten)]
    pub spec: AtsEdgeSpec,
    /// Where it is reached from its site, known before it is there: `http://HOST:PORT`.
    #[attribute(changes_with = [spec.port])]
    pub address: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

impl Deployed for AtsEdge {
    const KIND: &'static str = "ats-edge";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> Option<&str> {
        self.site.as_deref()
    }

    fn objects(&self) -> Result<Vec<Object>> {
        let http = deploy::name("http")?;
        Ok(vec![
            Object::Engine(EngineObject {
                name: deploy::name("ats-edge")?,
                engine: EngineKind::TrafficServer,
                spec: serde_json::to_value(&self.spec)?,
                ports: vec![Port {
                    name: http.clone(),
                    number: self.spec.port,
                    protocol: Protocol::Tcp,
                    public: false,
                }],
                credentials: Vec::new(),
                reach: Vec::new(),
                resources: Resources {
                    memory_bytes: self.spec.memory.0 + (512 << 20),
                    scratch_bytes: self.spec.storage.0,
                    ..Resources::default()
                },
                drain_seconds: 10,
            }),
            Object::Endpoint(EndpointObject {
                name: http.clone(),
                of: "engine/ats-edge".to_owned(),
                port: http,
                public: true,
            }),
        ])
    }
}

#[resource(name = "ats_edge", timeouts(create = "5m", update = "5m", delete = "5m"))]
impl Resource for AtsEdge {
    type Provider = Streamverse;

    async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        let address = address(cx, plan.site.as_deref(), plan.spec.port);
        let revision = deploy::apply(cx, &*plan, &[], |_| {}).await?;
        Ok(plan.into_inner().complete(AtsEdgeComputed { address, revision }))
    }

    async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
        match deploy::look(cx, &*stored).await? {
            Look::Gone => Ok(Read::Gone),
            Look::Unknown => Ok(Read::Unchanged),
            Look::Found(observed) if Some(&observed.revision) == stored.revision.get().ok() => {
                Ok(Read::Unchanged)
            }
            Look::Found(observed) => {
                let address = stored.address.get()?.clone();
                let revision = observed.revision.clone();
                Ok(Read::Found(stored.into_inner().complete(AtsEdgeComputed { address, revision })))
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
        deploy::plan(
            cx,
            draft,
            planned.site.known().map(String::as_str),
            Self::site(),
            before,
            Self::revision(),
        )?;
        if let (Some(&port), Some(host)) =
            (planned.spec.port.known(), cx.provider().host(planned.site.known().map(String::as_str)).known())
        {
            draft.set(Self::address(), &format!("http://{host}:{port}"))?;
        }
        Ok(())
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let (site, name, observed) = deploy::find(cx, Self::KIND, id).await?;
        let spec: AtsEdgeSpec = deploy::found_spec(&observed)?;
        let address = address(cx, site.as_deref(), spec.port);
        Ok(AtsEdgeState {
            name,
            site,
            spec,
            address,
            revision: observed.revision,
            timeouts: Timeouts::default(),
        })
    }
}

fn address(cx: &Context<Streamverse>, site: Option<&str>, port: u16) -> String {
    let host = cx.provider().host(site).into_known().unwrap_or_else(|| "127.0.0.1".to_owned());
    format!("http://{host}:{port}")
}
