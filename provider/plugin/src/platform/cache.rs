//! `streamverse_cache`: what origins share of what they read.

use streamverse_model::platform as model;
use tfplugin_framework::schema::{Computed, Secret, Timeouts};
use tfplugin_framework::{
    Context, Draft, Findings, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use super::store::{self, Remote, Store, Value, settled};
use super::tls::{self, TlsBlock, Trust};
use crate::deploy::{self, Imported, deployed};
use crate::provider::Streamverse;

/// A cache that replicas share. Without `redis` each process has its own, in memory.
///
/// Not proved live: on Kubernetes it was held by a real API server with simulated nodes, whose pods never ran.
#[derive(Clone, Schema)]
pub struct Cache {
    /// Unique in the deployment; another name is another cache.
    #[attribute(
        replace,
        validate(regex(
            "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
        ))
    )]
    pub name: String,
    /// The site that holds it; where it is remote, the site that holds its secret.
    #[attribute(replace, default = "default")]
    pub site: String,
    /// A server that speaks Redis's protocol: Dragonfly, Valkey, Redis.
    pub redis: Option<RedisBlock>,
    /// Its address for those who use it, known before it is there.
    #[attribute(changes_with = [name, site, redis])]
    pub url: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// A server that speaks Redis's protocol.
#[derive(Clone, Schema)]
pub struct RedisBlock {
    /// The server.
    #[attribute(validate(regex("^[A-Za-z0-9._:-]+$", says = "must be a host's name or address")))]
    pub host: String,
    /// Its port.
    #[attribute(default = 6379, validate(range = 1..))]
    pub port: u16,
    /// The number of the database.
    #[attribute(default = 0, validate(range = 0..=15))]
    pub database: u8,
    /// The password.
    pub password: Option<Secret<String>>,
    /// TLS to the server; none where it is not set.
    pub tls: Option<TlsBlock>,
}

fn remote_url(name: &str, authority: &str, database: &str, secret: bool, tls: Option<&Trust>) -> String {
    let own = store::secret_of::<Cache>(name);
    let scheme = if tls.is_some() { "rediss" } else { "redis" };
    let parameters = Trust::parameters(tls, &own);
    model::remote_url(scheme, authority, database, &parameters, secret.then_some(own))
}

impl Store for Cache {
    const KIND: &'static str = "cache";
    const SCHEME: &'static str = "memory";

    fn place(&self) -> (&str, &str) {
        (&self.name, &self.site)
    }

    fn remote(&self, _: &str) -> Option<Remote<'_>> {
        let it = self.redis.as_ref()?;
        let mut values: Vec<_> =
            it.password.iter().map(|password| ("password", Value::Secret(password))).collect();
        values.extend(it.tls.iter().flat_map(TlsBlock::values));
        let authority = format!("{}:{}", it.host, it.port);
        let trust = it.tls.as_ref().map(TlsBlock::trust);
        let database = it.database.to_string();
        let url = remote_url(&self.name, &authority, &database, it.password.is_some(), trust.as_ref());
        Some(Remote { url, values })
    }

    fn known_url(&self) -> Option<String> {
        self.url.known().cloned()
    }

    fn done(self, url: String, revision: String) -> State<Self> {
        self.complete(CacheComputed { url, revision })
    }
}

#[resource(name = "cache", timeouts(create = "2m", update = "2m", delete = "2m"))]
impl Resource for Cache {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    fn validate(config: &CacheView, findings: &mut Findings) {
        let Some(it) = config.redis.known() else { return };
        tls::check("redis", &it.tls, findings);
        if !(it.password.value.is_null() && it.password.reference.is_null()) {
            tls::warn_without("redis", &it.tls, it.host.known().map(String::as_str), findings);
        }
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            return Ok(());
        }
        let remote = planned_url(draft.config()?);
        match store::plan(cx, draft, remote, "redis")? {
            Some(Some(url)) => draft.set(Self::url(), &url),
            Some(None) => draft.set_unknown(Self::url()),
            None => Ok(()),
        }
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let (found, remote) = store::find::<Self>(cx, id).await?;
        let Imported { site, name, observed } = found;
        let local = deploy::local_url(Self::SCHEME, &site, &name);
        let url = model::remote_store_url(&observed.bundle.objects).map_or(local, str::to_owned);
        let redis = remote.as_ref().map(|url| imported(url, deploy::found_secret(&observed)));
        let timeouts = Timeouts::default();
        Ok(CacheState { name, site, redis, url, revision: observed.revision, timeouts })
    }
}

/// The remote URL; the outer `None` while it is unknown.
fn planned_url(view: CacheView) -> Option<Option<String>> {
    let name = view.name;
    let Some(it) = settled(view.redis)? else { return Some(None) };
    let port = settled(it.port)?.unwrap_or(6379);
    let host = settled(it.host)??;
    let authority = format!("{host}:{port}");
    let database = settled(it.database)?.unwrap_or_default().to_string();
    let secret = !(it.password.value.is_null() && it.password.reference.is_null());
    let trust = tls::planned(it.tls)?;
    Some(Some(remote_url(&settled(name)??, &authority, &database, secret, trust.as_ref())))
}

/// The block of a URL; of its secret the version is all that can be read back.
fn imported(url: &url::Url, password: Option<Secret<String>>) -> RedisBlock {
    RedisBlock {
        host: url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(6379),
        database: url.path().trim_matches('/').parse().unwrap_or_default(),
        password,
        tls: (url.scheme() == "rediss").then(TlsBlock::imported),
    }
}
