//! `streamverse_drm_config`: how assets are encrypted. What may be asked for: `model::drm`.

use streamverse_model::drm::{DrmConfigSpec, DrmDefinition, config_check};
use streamverse_model::media::VodJobSpec;
use streamverse_model::platform::{Name, Object, Owner, StoreUse};
use tfplugin_framework::schema::{Computed, Diagnostics, Timeouts};
use tfplugin_framework::{
    Context, Draft, Error, Findings, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use crate::deploy::{self, Deployed, Imported};
use crate::plain::spec_of;
use crate::provider::Streamverse;

/// How assets are encrypted: the scheme, the systems that players find signalled, which tracks share a key and for how long, where keys come from, and what licences allow. Assets take its `definition` as `drm`; nothing runs for it. While assets of the deployment are encrypted with it, it is not destroyed.
///
/// What an asset is encrypted with is part of its generation: another scheme, granularity, crypto period or set of systems makes it anew, beside what plays; another `usage` or key service does not. Identifiers of keys follow from names; keys themselves are in no plan, state, log, argument or environment.
///
/// ClearKey is signalled in DASH, and in HLS by the init segments alone: a playlist that names a bare key's address would hand the key to anybody.
///
/// Not proved live: players and licences of Widevine, PlayReady and FairPlay, whose boxes, headers and playlist lines were compared with a packager's and their documentation; nobody's licence server was asked.
#[derive(Clone, Schema)]
pub struct DrmConfig {
    /// Unique in the deployment; another name is another configuration.
    #[attribute(
        replace,
        validate(regex(
            "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
        ))
    )]
    pub name: String,
    /// The site that remembers it; its assets may be on others.
    #[attribute(replace, default = "default")]
    pub site: String,
    /// What it is.
    #[attribute(flatten)]
    pub spec: DrmConfigSpec,
    /// The configuration as JSON: what `streamverse_vod_asset` takes as `drm`. It holds no key.
    pub definition: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// What is not the spec's own.
const REST: &[&str] = &["name", "site", "definition", "revision", "timeouts"];

fn definition(name: &str, site: &str, spec: &DrmConfigSpec) -> Result<String> {
    let definition = DrmDefinition { name: Name::parse(name)?, site: site.to_owned(), spec: spec.clone() };
    Ok(serde_json::to_string(&definition)?)
}

impl Deployed for DrmConfig {
    const KIND: &'static str = DrmDefinition::KIND;

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, _: &Owner) -> Result<Vec<Object>> {
        Ok(DrmDefinition::objects(&self.spec)?)
    }

    fn stored(self, _: &Streamverse, revision: String) -> Result<State<Self>> {
        let definition = definition(&self.name, &self.site, &self.spec)?;
        Ok(self.complete(DrmConfigComputed { definition, revision }))
    }
}

#[resource(name = "drm_config", timeouts(create = "2m", update = "2m", delete = "2m"))]
impl Resource for DrmConfig {
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
        let users = users(cx, &stored).await?;
        if !users.is_empty() {
            return Err(Error::invalid(format!(
                "assets are encrypted with {:?}: {}",
                stored.name,
                users.join(", ")
            ))
            .next(
                "Apply a configuration in which they have another `drm`, or are gone, first. With `lifecycle { \
                 create_before_destroy = true }` in this resource, one of another name takes over in one apply.",
            ));
        }
        deploy::remove(cx, &*stored).await
    }

    fn validate(config: &DrmConfigView, findings: &mut Findings) {
        let mut found = Diagnostics::new();
        config_check::check(&config.spec, &mut found);
        for diagnostic in found {
            findings.push(diagnostic);
        }
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        let spec = draft.planned()?.spec;
        planned.placement(cx).store("key_service", &spec.key_service, StoreUse::Keys)?;
        let known = spec_of::<DrmConfigSpec>(draft.value(), REST);
        match (known, planned.name, planned.site) {
            (Some(spec), Some(name), Some(site)) => {
                draft.set(Self::definition(), &definition(&name, &site, &spec)?)
            }
            _ if draft.is_change() => draft.set_unknown(Self::definition()),
            _ => Ok(()),
        }
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let spec: DrmConfigSpec = deploy::found_spec(&observed)?;
        let definition = definition(&name, &site, &spec)?;
        let timeouts = Timeouts::default();
        Ok(DrmConfigState { name, site, spec, definition, revision: observed.revision, timeouts })
    }
}

/// The assets that are encrypted with a configuration, on all sites that are known, as `ASSET on SITE`.
async fn users(cx: &Context<Streamverse>, config: &DrmConfig) -> Result<Vec<String>> {
    let owner = cx.provider().owner(DrmConfig::KIND, &config.name)?;
    let mut users = Vec::new();
    for name in cx.provider().site_names().unwrap_or_else(|| vec![config.site.as_str()]) {
        let Some(site) = cx.provider().try_site(name)? else { continue };
        let asking = |error| {
            deploy::asked(error, format!("asking site {name} which assets are encrypted with {owner}"))
        };
        let owners = site.list(&owner.deployment).await;
        let owners = match owners {
            Ok(owners) => owners,
            // Its own site must say. Another one that is down says nothing, and is told.
            Err(error) if name != config.site => {
                cx.warn(
                    format!("Site {name} was not asked"),
                    format!("{error}. Assets there may be encrypted with {:?}.", config.name),
                );
                continue;
            }
            Err(error) => return Err(asking(error)),
        };
        for asset in owners.into_iter().filter(|it| it.kind.as_str() == "vod-asset") {
            let Some(observed) = site.observe(&asset).await.map_err(asking)? else { continue };
            let Ok(spec) = deploy::found_spec::<VodJobSpec>(&observed) else { continue };
            if spec.drm.is_some_and(|drm| drm.name == owner.name && drm.site == config.site) {
                users.push(format!("{} on {name}", asset.name));
            }
        }
    }
    Ok(users)
}
