//! `streamverse_object_store`: where sources, segments and packages lie.

use streamverse_model::platform as model;
use tfplugin_framework::schema::{Computed, Path, Secret, Timeouts};
use tfplugin_framework::{
    Context, Draft, Findings, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use super::store::{self, Remote, Store, Value, parameter, settled};
use super::tls::{self, ServerTlsBlock, Trust};
use crate::deploy::{self, Imported, deployed};
use crate::provider::Streamverse;

/// An object store: where sources, segments and packages lie.
///
/// On a node it is a place that the agent gives it, and destroying it removes what is in it. With `s3` it is a bucket of
/// yours, which stays: only the site's secret is removed.
///
/// Not proved live: S3 was tested against moto, which imitates it, and against no service of a cloud; on Kubernetes it
/// was held by a real API server with simulated nodes, whose pods never ran.
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
    /// The site that holds it; where it is remote, the site that holds its secret.
    #[attribute(replace, default = "default")]
    pub site: String,
    /// A bucket of S3, or of what speaks like it. Required on Kubernetes.
    pub s3: Option<S3Block>,
    /// Its address for those who use it, known before it is there.
    #[attribute(changes_with = [name, site, s3])]
    pub url: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// A bucket of S3, or of what speaks like it.
#[derive(Clone, Schema)]
pub struct S3Block {
    /// The bucket. It must be there.
    #[attribute(validate(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", says = "must be a bucket's name")))]
    pub bucket: String,
    /// What begins the name of every object in it: the deployment's name where none is given, so that deployments may
    /// share a bucket. With `""` nothing does, and the bucket must be this deployment's alone.
    #[attribute(validate(regex(
        "^([A-Za-z0-9!_*'()-][A-Za-z0-9!_.*'()-]*(/[A-Za-z0-9!_*'()-][A-Za-z0-9!_.*'()-]*)*/?)?$",
        says = "must be of the characters that S3 calls safe, A-Z a-z 0-9 ! - _ . * ' ( ), with / between its parts, none of which begins with a dot"
    )))]
    pub prefix: Option<String>,
    /// The region.
    #[attribute(default = "us-east-1")]
    pub region: String,
    /// The server, `http(s)://HOST:PORT`, where it is not AWS.
    #[attribute(validate(regex(
        "^https?://[^/?#@]+$",
        says = "must be http(s)://HOST:PORT, without a path or a user"
    )))]
    pub endpoint: Option<String>,
    /// The access key's id. Without it the identity of the service is used (an instance role, a service account).
    pub access_key_id: Option<String>,
    /// The access key's secret.
    pub secret_access_key: Option<Secret<String>>,
    /// Whom to trust at an `endpoint` with `https`.
    pub tls: Option<ServerTlsBlock>,
}

/// What a URL is made of.
struct Parts {
    name: String,
    bucket: String,
    prefix: String,
    region: String,
    endpoint: Option<String>,
    secret: bool,
    tls: Option<Trust>,
}

fn remote_url(parts: Parts) -> String {
    let own = store::secret_of::<ObjectStore>(&parts.name);
    let path_style = parts.endpoint.is_some().then(|| "true".to_owned());
    let [ca, _] = Trust::parameters(parts.tls.as_ref(), &own);
    let parameters =
        [("region", Some(parts.region)), ("endpoint", parts.endpoint), ("path_style", path_style), ca];
    model::remote_url("s3", &parts.bucket, &parts.prefix, &parameters, parts.secret.then_some(own))
}

impl Store for ObjectStore {
    const KIND: &'static str = "object-store";
    const SCHEME: &'static str = "file";

    fn place(&self) -> (&str, &str) {
        (&self.name, &self.site)
    }

    fn remote(&self, deployment: &str) -> Option<Remote<'_>> {
        let it = self.s3.as_ref()?;
        let mut values = Vec::new();
        if let (Some(id), Some(secret)) = (&it.access_key_id, &it.secret_access_key) {
            values.push(("access-key", Value::Plain(id)));
            values.push(("secret-key", Value::Secret(secret)));
        }
        values.extend(it.tls.iter().flat_map(ServerTlsBlock::values));
        let url = remote_url(Parts {
            name: self.name.clone(),
            bucket: it.bucket.clone(),
            prefix: it.prefix.clone().unwrap_or_else(|| deployment.to_owned()),
            region: it.region.clone(),
            endpoint: it.endpoint.clone(),
            secret: it.access_key_id.is_some(),
            tls: it.tls.as_ref().map(ServerTlsBlock::trust),
        });
        Some(Remote { url, values })
    }

    fn known_url(&self) -> Option<String> {
        self.url.known().cloned()
    }

    fn done(self, url: String, revision: String) -> State<Self> {
        self.complete(ObjectStoreComputed { url, revision })
    }
}

#[resource(name = "object_store", timeouts(create = "2m", update = "2m", delete = "2m"))]
impl Resource for ObjectStore {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    fn validate(config: &ObjectStoreView, findings: &mut Findings) {
        let Some(it) = config.s3.known() else { return };
        let secret = &it.secret_access_key;
        let given = !(secret.value.is_null() && secret.reference.is_null());
        if it.access_key_id.known().is_some() != given && !it.access_key_id.is_unknown() {
            findings.refuse(
                Path::attribute("s3").attr("access_key_id"),
                "Half of a credential",
                "Give both access_key_id and secret_access_key_wo (or secret_access_key_ref), or neither.",
            );
        }
        let plain = it.endpoint.known().is_some_and(|endpoint| endpoint.starts_with("http://"));
        if plain && it.tls.known().is_some() {
            findings.refuse(
                Path::attribute("s3").attr("tls"),
                "TLS to a server without TLS",
                "Give an endpoint that begins with https://, or remove `tls`.",
            );
        }
        store::warn_shared("s3", "prefix", &it.prefix, findings);
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            return Ok(());
        }
        let remote = planned_url(draft.config()?, cx.provider().deployment());
        match store::plan(cx, draft, remote, "s3")? {
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
        let secret = deploy::found_secret(&observed);
        let id = model::remote_store_file(&observed.bundle.objects, "access-key").map(str::to_owned);
        let s3 = remote.as_ref().map(|url| imported(url, &observed.bundle.owner, id, secret));
        let timeouts = Timeouts::default();
        Ok(ObjectStoreState { name, site, s3, url, revision: observed.revision, timeouts })
    }
}

/// The remote URL; the outer `None` while it is unknown.
fn planned_url(view: ObjectStoreView, deployment: Option<&str>) -> Option<Option<String>> {
    let name = view.name;
    let Some(it) = settled(view.s3)? else { return Some(None) };
    let prefix = match settled(it.prefix)? {
        Some(prefix) => prefix,
        None => deployment?.to_owned(),
    };
    Some(Some(remote_url(Parts {
        name: settled(name)??,
        bucket: settled(it.bucket)??,
        prefix,
        region: settled(it.region)?.unwrap_or_else(|| "us-east-1".to_owned()),
        endpoint: settled(it.endpoint)?,
        secret: settled(it.access_key_id)?.is_some(),
        tls: tls::planned_of_server(it.tls)?,
    })))
}

/// The block of a URL; of its secret the version is all that can be read back.
fn imported(
    url: &url::Url,
    owner: &model::Owner,
    access_key_id: Option<String>,
    secret: Option<Secret<String>>,
) -> S3Block {
    let prefix = url.path().trim_matches('/');
    S3Block {
        bucket: url.host_str().unwrap_or_default().to_owned(),
        prefix: (prefix != owner.deployment.as_str()).then(|| prefix.to_owned()),
        region: parameter(url, "region").unwrap_or_default(),
        endpoint: parameter(url, "endpoint"),
        access_key_id,
        secret_access_key: secret,
        tls: None,
    }
}
