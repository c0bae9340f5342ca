//! `streamverse_catalogue`: what lists finished assets.

use streamverse_model::platform as model;
use tfplugin_framework::schema::{Computed, Secret, Timeouts};
use tfplugin_framework::{
    Context, Draft, Findings, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use super::store::{self, Remote, Store, Value, parameter, settled};
use super::tls::{self, TlsBlock, Trust};
use crate::deploy::{self, Imported, deployed};
use crate::provider::Streamverse;

/// A catalogue: which assets are finished, and which generation of each is shown.
///
/// On a node it is a SQLite database in a place that the agent gives it; destroying it removes it. With `postgres` it is a
/// database of yours (PostgreSQL or YugabyteDB YSQL), which stays. Deployments may share a database: none sees another's
/// assets.
///
/// Not proved live: on Kubernetes it was held by a real API server with simulated nodes, whose pods never ran.
#[derive(Clone, Schema)]
pub struct Catalogue {
    /// Unique in the deployment; another name is another catalogue.
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
    /// A PostgreSQL (or YugabyteDB YSQL) database. Required on Kubernetes.
    pub postgres: Option<PostgresBlock>,
    /// Its address for those who use it, known before it is there.
    #[attribute(changes_with = [name, site, postgres])]
    pub url: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// A PostgreSQL (or YugabyteDB YSQL) database.
#[derive(Clone, Schema)]
pub struct PostgresBlock {
    /// The server.
    #[attribute(validate(regex("^[A-Za-z0-9._:-]+$", says = "must be a host's name or address")))]
    pub host: String,
    /// Its port.
    #[attribute(default = 5432, validate(range = 1..))]
    pub port: u16,
    /// The database. It must be there.
    #[attribute(validate(regex("^[A-Za-z0-9_.-]+$", says = "must be a database's name")))]
    pub database: String,
    /// Who logs in.
    #[attribute(validate(regex("^[A-Za-z0-9_.-]+$", says = "must be a role's name")))]
    pub user: String,
    /// The password.
    pub password: Option<Secret<String>>,
    /// TLS to the server, which is then verified in full; none where it is not set.
    pub tls: Option<TlsBlock>,
}

fn remote_url(name: &str, authority: &str, database: &str, secret: bool, tls: Option<&Trust>) -> String {
    let own = store::secret_of::<Catalogue>(name);
    let [ca, certificate] = Trust::parameters(tls, &own);
    let mode = tls.map(|_| "verify-full".to_owned());
    let parameters = [("sslmode", mode), ca, certificate];
    model::remote_url("postgres", authority, database, &parameters, secret.then_some(own))
}

impl Store for Catalogue {
    const KIND: &'static str = "catalogue";
    const SCHEME: &'static str = "sqlite";

    fn place(&self) -> (&str, &str) {
        (&self.name, &self.site)
    }

    fn remote(&self, _: &str) -> Option<Remote<'_>> {
        let it = self.postgres.as_ref()?;
        let mut values: Vec<_> =
            it.password.iter().map(|password| ("password", Value::Secret(password))).collect();
        values.extend(it.tls.iter().flat_map(TlsBlock::values));
        let authority = format!("{}@{}:{}", it.user, it.host, it.port);
        let trust = it.tls.as_ref().map(TlsBlock::trust);
        let url = remote_url(&self.name, &authority, &it.database, it.password.is_some(), trust.as_ref());
        Some(Remote { url, values })
    }

    fn known_url(&self) -> Option<String> {
        self.url.known().cloned()
    }

    fn done(self, url: String, revision: String) -> State<Self> {
        self.complete(CatalogueComputed { url, revision })
    }
}

#[resource(name = "catalogue", timeouts(create = "2m", update = "2m", delete = "2m"))]
impl Resource for Catalogue {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    fn validate(config: &CatalogueView, findings: &mut Findings) {
        let Some(it) = config.postgres.known() else { return };
        tls::check("postgres", &it.tls, findings);
        if !(it.password.value.is_null() && it.password.reference.is_null()) {
            tls::warn_without("postgres", &it.tls, it.host.known().map(String::as_str), findings);
        }
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            return Ok(());
        }
        let remote = planned_url(draft.config()?);
        match store::plan(cx, draft, remote, "postgres")? {
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
        let postgres = remote.as_ref().map(|url| imported(url, deploy::found_secret(&observed)));
        let timeouts = Timeouts::default();
        Ok(CatalogueState { name, site, postgres, url, revision: observed.revision, timeouts })
    }
}

/// The remote URL; the outer `None` while it is unknown.
fn planned_url(view: CatalogueView) -> Option<Option<String>> {
    let name = view.name;
    let Some(it) = settled(view.postgres)? else { return Some(None) };
    let port = settled(it.port)?.unwrap_or(5432);
    let host = settled(it.host)??;
    let authority = format!("{}@{host}:{port}", settled(it.user)??);
    let database = settled(it.database)??;
    let secret = !(it.password.value.is_null() && it.password.reference.is_null());
    let trust = tls::planned(it.tls)?;
    Some(Some(remote_url(&settled(name)??, &authority, &database, secret, trust.as_ref())))
}

/// The block of a URL; of its secret the version is all that can be read back.
fn imported(url: &url::Url, password: Option<Secret<String>>) -> PostgresBlock {
    PostgresBlock {
        host: url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(5432),
        database: url.path().trim_matches('/').to_owned(),
        user: url.username().to_owned(),
        password,
        tls: parameter(url, "sslmode").map(|_| TlsBlock::imported()),
    }
}
