//! `streamverse_ats_edge`: Apache Traffic Server in front of origins. What may be asked for: `model::delivery`.

use std::collections::BTreeMap;

use streamverse_model::delivery::{self, AtsEdgeSpec};
use streamverse_model::platform::{EngineKind, Object, Owner, SecretValue};
use streamverse_sites::SiteKind;
use tfplugin_framework::schema::field::members_of;
use tfplugin_framework::schema::{Computed, Diagnostics, Path, Secret, Timeouts, Value};
use tfplugin_framework::{
    Context, Draft, Findings, Maybe, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use crate::deploy::{self, Deployed, Imported, deployed};
use crate::provider::Streamverse;

/// An Apache Traffic Server that caches what origins serve. A change is checked by the server's own binary before it is switched to; a reload drops no connection, another cache size or port is a drained restart, and a configuration that does not serve is rolled back.
///
/// Not proved live: its DaemonSet on Kubernetes never started Traffic Server (a real API server, simulated nodes), and
/// what is rendered for Traffic Server 10 was never executed; 9.2 runs in our tests on a node.
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
    /// The site that holds it.
    #[attribute(replace, default = "default")]
    pub site: String,
    /// What it is.
    #[attribute(flatten)]
    pub spec: AtsEdgeSpec,
    /// The private key of `tls`, PEM.
    pub private_key: Option<Secret<String>>,
    /// Where it is reached from its site, known before it is there: `http://HOST:PORT`.
    #[attribute(changes_with = [spec.port])]
    pub address: Computed<String>,
    /// Where viewers reach it, for pages and players: `public_url`, or `address` where none is given.
    #[attribute(changes_with = [spec.port, spec.public_url])]
    pub url: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// A value of which all is known.
fn whole(value: &Value) -> Option<AtsEdge> {
    AtsEdge::read_members(members_of(value).ok()?).ok()
}

impl Deployed for AtsEdge {
    const KIND: &'static str = "ats-edge";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, owner: &Owner) -> Result<Vec<Object>> {
        let version = self.private_key.as_ref().and_then(|key| key.version);
        Ok(self.spec.objects(owner, version)?)
    }

    async fn secrets(&self, cx: &Context<Streamverse>) -> Result<Vec<SecretValue>> {
        let (Some(key), Some(_)) = (&self.private_key, &self.spec.tls) else { return Ok(Vec::new()) };
        let text = cx.secret(key).await?.to_string();
        let values = BTreeMap::from([(deploy::name("private-key")?, text)]);
        Ok(vec![SecretValue { name: deploy::name("secret")?, values }])
    }

    fn stored(self, provider: &Streamverse, revision: String) -> Result<State<Self>> {
        let known = provider.address(Self::KIND, &self.name, &self.site, "http", self.spec.port);
        let address = known.or_else(|| self.address.known().cloned()).unwrap_or_default();
        let url = self.spec.public_url.clone().unwrap_or_else(|| address.clone());
        Ok(self.complete(AtsEdgeComputed { address, url, revision }))
    }
}

#[resource(name = "ats_edge", timeouts(create = "5m", update = "5m", delete = "5m"))]
impl Resource for AtsEdge {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    fn validate(config: &AtsEdgeView, findings: &mut Findings) {
        let mut found = Diagnostics::new();
        delivery::check(&config.spec, &mut found);
        for diagnostic in found {
            findings.push(diagnostic);
        }
        let key = &config.private_key;
        let given = !(key.value.is_null() && key.reference.is_null());
        if config.spec.tls.known().is_some() && !given {
            findings.refuse(
                Self::private_key(),
                "TLS without a private key",
                "Give private_key_wo or private_key_ref: the key of the certificate in `tls`, PEM.",
            );
        }
        if config.spec.tls.is_null() && given {
            findings.refuse(
                Self::private_key(),
                "A private key without TLS",
                "Give `tls` with the key's certificate, or remove the key.",
            );
        }
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        let spec = draft.planned()?.spec;
        let place = planned.placement(cx);
        place.engine(EngineKind::TrafficServer)?;
        let port = spec.port.known().copied();
        place.port(Path::attribute("port"), port)?;
        let https = spec.tls.known().and_then(|tls| tls.port.known().copied());
        place.port(Path::attribute("tls").attr("port"), https)?;
        let address = planned.address::<Self>(cx, "http", port);
        let url = match spec.public_url {
            Maybe::Known(url) => Some(url),
            Maybe::Null => address.clone(),
            Maybe::Unknown => None,
        };
        match address {
            Some(address) => draft.set(Self::address(), &address)?,
            None => draft.set_unknown(Self::address())?,
        }
        match url {
            Some(url) => draft.set(Self::url(), &url)?,
            None => draft.set_unknown(Self::url())?,
        }
        // While something is unknown, the apply tells.
        let Some(wanted) = whole(draft.value()).filter(|_| draft.is_change()) else { return Ok(()) };
        // On a cluster any change is another set of pods, one after the other.
        let on_node = planned.kind(cx) == Some(SiteKind::Node);
        if let Some(before) = whole(draft.prior_value()).filter(|_| on_node) {
            for attribute in wanted.spec.restarts(&before.spec) {
                let drain = wanted.spec.drain.0.as_secs();
                cx.warn_at(
                    Path::attribute(attribute),
                    format!("Another `{attribute}` is a drained restart"),
                    format!(
                        "Traffic Server takes it over only when it starts. Transfers in flight have {drain} s (`drain`) to \
                         finish; until it listens again, new connections are refused. Its cache on disk stays, unless \
                         `storage` is another."
                    ),
                );
            }
        }
        deploy::rehearse(cx, &wanted).await
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let spec: AtsEdgeSpec = deploy::found_spec(&observed)?;
        let address = cx.provider().address(Self::KIND, &name, &site, "http", spec.port).unwrap_or_default();
        let spec_url = spec.public_url.clone().unwrap_or_else(|| address.clone());
        let timeouts = Timeouts::default();
        Ok(AtsEdgeState {
            name,
            site,
            spec,
            private_key: deploy::found_secret(&observed),
            url: spec_url,
            address,
            revision: observed.revision,
            timeouts,
        })
    }
}
