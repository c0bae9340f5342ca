//! `streamverse_web_player`: the page that plays. What may be asked for: `model::delivery`.

use std::collections::BTreeMap;

use streamverse_model::delivery::{PlayerSpec, TOKEN_KEY, check_player};
use streamverse_model::platform::{Object, Owner, SecretValue, StoreUse};
use tfplugin_framework::schema::{Computed, Diagnostics, Path, Secret, Timeouts};
use tfplugin_framework::{
    Context, Draft, Findings, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use crate::deploy::{self, Deployed, Imported, deployed};
use crate::provider::Streamverse;

/// A page that plays what the catalogue lists, and shows how well it plays.
///
/// Not proved live: its pods on Kubernetes never ran; there, a real API server, its controllers and scheduler worked
/// on simulated nodes.
#[derive(Clone, Schema)]
pub struct WebPlayer {
    /// Unique in the deployment; another name is another page.
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
    pub spec: PlayerSpec,
    /// What the tokens of `licence` are signed with (HS256), 32 bytes or more: the key of this id at the licence service.
    pub token_key: Option<Secret<String>>,
    /// Where it is reached from its site, known before it is there: `http://HOST:PORT`.
    #[attribute(changes_with = [spec.port])]
    pub address: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

impl Deployed for WebPlayer {
    const KIND: &'static str = "web-player";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, owner: &Owner) -> Result<Vec<Object>> {
        let version = self.token_key.as_ref().and_then(|key| key.version);
        Ok(self.spec.objects(owner, version)?)
    }

    async fn secrets(&self, cx: &Context<Streamverse>) -> Result<Vec<SecretValue>> {
        let (Some(key), Some(_)) = (&self.token_key, &self.spec.licence) else { return Ok(Vec::new()) };
        let text = cx.secret(key).await?.to_string();
        let values = BTreeMap::from([(deploy::name(TOKEN_KEY)?, text)]);
        Ok(vec![SecretValue { name: deploy::name("secret")?, values }])
    }

    fn stored(self, provider: &Streamverse, revision: String) -> Result<State<Self>> {
        let known = provider.address(Self::KIND, &self.name, &self.site, "http", self.spec.port);
        let address = known.or_else(|| self.address.known().cloned()).unwrap_or_default();
        Ok(self.complete(WebPlayerComputed { address, revision }))
    }
}

#[resource(name = "web_player", timeouts(create = "5m", update = "5m", delete = "5m"))]
impl Resource for WebPlayer {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    fn validate(config: &WebPlayerView, findings: &mut Findings) {
        let mut found = Diagnostics::new();
        check_player(&config.spec, &mut found);
        for diagnostic in found {
            findings.push(diagnostic);
        }
        let key = &config.token_key;
        let given = !(key.value.is_null() && key.reference.is_null());
        if config.spec.licence.known().is_some() && !given {
            findings.refuse(
                Self::token_key(),
                "Tokens without a key",
                "Give token_key_wo or token_key_ref: the key that the licence service knows by `licence.key_id`.",
            );
        }
        if config.spec.licence.is_null() && given {
            findings.refuse(
                Self::token_key(),
                "A key without tokens",
                "Give `licence`, whose tokens are signed with it, or remove the key.",
            );
        }
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        let spec = draft.planned()?.spec;
        let place = planned.placement(cx);
        place.store("catalogue", &spec.catalogue, StoreUse::Catalogue)?;
        let port = spec.port.known().copied();
        place.port(Path::attribute("port"), port)?;
        match planned.address::<Self>(cx, "http", port) {
            Some(address) => draft.set(Self::address(), &address),
            None => draft.set_unknown(Self::address()),
        }
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let spec: PlayerSpec = deploy::found_spec(&observed)?;
        let address = cx.provider().address(Self::KIND, &name, &site, "http", spec.port).unwrap_or_default();
        let timeouts = Timeouts::default();
        let token_key = deploy::found_secret(&observed);
        Ok(WebPlayerState { name, site, spec, token_key, address, revision: observed.revision, timeouts })
    }
}
