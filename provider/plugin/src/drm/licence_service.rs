//! `streamverse_licence_service`: licences for who is entitled. What may be asked for: `model::drm`; who gives them:
//! the target `licence-service` of `runtime/drm`.

use std::collections::BTreeMap;

use streamverse_model::drm::{self, LicenceRun, LicenceServiceSpec, TokenKey, es256_point};
use streamverse_model::platform::{Name, Object, Owner, SecretValue, StoreUse};
use tfplugin_framework::schema::{Computed, Diagnostics, Path, Secret, Timeouts};
use tfplugin_framework::{
    Context, Draft, Error, Findings, Maybe, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use crate::deploy::{self, Deployed, Imported, deployed};
use crate::provider::Streamverse;

/// What comes after an address: where players ask.
const CLEARKEY: &str = "/licence/clearkey";
/// Bytes of a secret that cannot be guessed.
const SHORTEST: usize = 32;

/// Answers viewers' licence requests (W3C ClearKey for Encrypted Media Extensions) for those who are entitled: their token
/// holds, their account has a right to the asset, and it has a stream and a device to spare. A denial says why in a stable
/// code. Grants are written through the admin API at `admin_address`, under `/admin/v1/accounts/ID/grants`.
///
/// Each token gives one licence. Another policy, key or secret starts the process anew, which takes a moment and takes no
/// token twice; after a crash it waits until every token that it may have taken before is over by its issue time.
///
/// What it cannot do: with ClearKey, a browser has the keys once they were given. A revoked grant gives no further licence;
/// what was given plays on until the asset's next crypto period.
///
/// Not proved live: its pods on Kubernetes never ran; there, a real API server, its controllers and scheduler worked on
/// simulated nodes. It gives no licences of Widevine, PlayReady or FairPlay.
#[derive(Clone, Schema)]
pub struct LicenceService {
    /// Unique in the deployment; another name is another licence service.
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
    pub spec: LicenceServiceSpec,
    /// The keys that tokens are verified with, by key id (`kid`): at least one, and two while one is exchanged for another.
    pub token_keys: BTreeMap<String, TokenKeyBlock>,
    /// What opens the admin API, as `Authorization: Bearer`; 32 bytes or more.
    pub admin_token: Secret<String>,
    /// Where it is reached from its site, known before it is there: `http://HOST:PORT`.
    #[attribute(changes_with = [spec.port])]
    pub address: Computed<String>,
    /// Where its admin API is reached from its site: `http://HOST:PORT`.
    #[attribute(changes_with = [spec.admin_port])]
    pub admin_address: Computed<String>,
    /// Where players ask for licences: `public_url`, or `address` where none is given, with `/licence/clearkey`.
    #[attribute(changes_with = [spec.port, spec.public_url])]
    pub url: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// A key that tokens are verified with: a secret or a public key. It says which algorithm its tokens have.
#[derive(Clone, Schema)]
pub struct TokenKeyBlock {
    /// A secret that the issuer has too, of 32 bytes or more: its tokens are HS256.
    pub secret: Option<Secret<String>>,
    /// The public key of the issuer's private one on P-256, PEM: its tokens are ES256.
    pub public_key: Option<String>,
}

impl LicenceService {
    fn run(&self) -> LicenceRun {
        let key = |it: &TokenKeyBlock| match &it.public_key {
            Some(pem) => TokenKey::PublicKey(pem.clone()),
            None => TokenKey::Secret { version: it.secret.as_ref().and_then(|secret| secret.version) },
        };
        let keys = self.token_keys.iter().map(|(id, it)| (id.clone(), key(it))).collect();
        LicenceRun { service: self.spec.clone(), keys }
    }
}

fn url(public: Option<&String>, address: &str) -> String {
    format!("{}{CLEARKEY}", public.map_or(address, |it| it.trim_end_matches('/')))
}

/// Refuses what can be guessed. Its length is all that is told of it.
fn long_enough(text: &str, at: impl Into<Path>) -> Result<()> {
    if text.len() >= SHORTEST {
        return Ok(());
    }
    let told =
        format!("the secret has {} bytes, and one of fewer than {SHORTEST} can be guessed", text.len());
    Err(Error::invalid(told).at(at).next("Make one of 32 random bytes: `openssl rand -base64 32`."))
}

impl Deployed for LicenceService {
    const KIND: &'static str = "licence-service";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, owner: &Owner) -> Result<Vec<Object>> {
        Ok(self.run().objects(owner, self.admin_token.version)?)
    }

    async fn secrets(&self, cx: &Context<Streamverse>) -> Result<Vec<SecretValue>> {
        let mut values = BTreeMap::new();
        let admin = cx.secret(&self.admin_token).await?.to_string();
        long_enough(&admin, Self::admin_token())?;
        values.insert(deploy::name("admin-token")?, admin);
        for (id, key) in &self.token_keys {
            let (None, Some(secret)) = (&key.public_key, &key.secret) else { continue };
            let text = cx.secret(secret).await?.to_string();
            long_enough(&text, Path::attribute("token_keys").key(id.as_str()).attr("secret_wo"))?;
            values.insert(deploy::name(&LicenceRun::secret_key(id))?, text);
        }
        Ok(vec![SecretValue { name: deploy::name("secret")?, values }])
    }

    fn stored(self, provider: &Streamverse, revision: String) -> Result<State<Self>> {
        let at =
            |endpoint: &str, port: u16| provider.address(Self::KIND, &self.name, &self.site, endpoint, port);
        let address = at("http", self.spec.port);
        let address = address.or_else(|| self.address.known().cloned()).unwrap_or_default();
        let admin_address = at("admin-api", self.spec.admin_port);
        let admin_address = admin_address.or_else(|| self.admin_address.known().cloned()).unwrap_or_default();
        let url = url(self.spec.public_url.as_ref(), &address);
        Ok(self.complete(LicenceServiceComputed { address, admin_address, url, revision }))
    }
}

/// Refuses keys that are none, both or something else.
fn check_keys(keys: &BTreeMap<String, Maybe<TokenKeyBlockView>>, findings: &mut Findings) {
    let place = |id: &str| Path::attribute("token_keys").key(id);
    if keys.is_empty() {
        findings.refuse(
            Path::attribute("token_keys"),
            "No key",
            "Without a key no token holds, and nobody gets a licence: give the issuer's.",
        );
    }
    for (id, key) in keys {
        if Name::parse(&LicenceRun::secret_key(id)).is_err() {
            findings.refuse(
                place(id),
                "No key id",
                format!("{id:?} must be 1 to 34 characters of a-z, 0-9 and inner -."),
            );
        }
        let Some(key) = key.known() else { continue };
        let secret = &key.secret;
        // What is unknown may still turn out to be nothing.
        let known = secret.value.known().is_some() || secret.reference.known().is_some();
        let absent = secret.value.is_null() && secret.reference.is_null();
        if known && key.public_key.known().is_some() {
            findings.refuse(
                place(id),
                "Two keys in one",
                "Give the secret (HS256) or the public key (ES256): a key is for one algorithm.",
            );
        }
        if absent && key.public_key.is_null() {
            findings.refuse(
                place(id),
                "Half a key",
                "Give secret_wo or secret_ref (HS256), or public_key (ES256).",
            );
        }
        if let Some(Err(error)) = key.public_key.known().map(|pem| es256_point(pem)) {
            findings.refuse(place(id).attr("public_key"), "No public key for ES256", format!("{error}."));
        }
    }
}

#[resource(name = "licence_service", timeouts(create = "5m", update = "5m", delete = "5m"))]
impl Resource for LicenceService {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    fn validate(config: &LicenceServiceView, findings: &mut Findings) {
        let mut found = Diagnostics::new();
        drm::check_licence_service(&config.spec, &mut found);
        for diagnostic in found {
            findings.push(diagnostic);
        }
        if let Some(keys) = config.token_keys.known() {
            check_keys(keys, findings);
        }
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        let spec = draft.planned()?.spec;
        let place = planned.placement(cx);
        place.store("key_service", &spec.key_service, StoreUse::Keys)?;
        place.store("catalogue", &spec.catalogue, StoreUse::Catalogue)?;
        let before = draft.prior_value().get("catalogue").as_str().map(str::to_owned);
        if let (Some(before), Some(after)) = (before, spec.catalogue.known())
            && before != *after
        {
            cx.warn_at(
                Path::attribute("catalogue"),
                "Accounts and grants stay behind",
                format!(
                    "They lie in {before}; in {after} nobody is entitled to anything until grants are written there. A token \
                     that was used within the last minutes can be used once more."
                ),
            );
        }
        place.store("cache", &spec.cache, StoreUse::Cache)?;
        place.side_by_side("replicas", &spec.replicas)?;
        let shared = match &spec.cache {
            Maybe::Unknown => true,
            cache => cache.known().is_some_and(|url| url.starts_with("redis")),
        };
        if spec.replicas.known().is_some_and(|replicas| *replicas > 1) && !shared {
            return Err(Error::invalid(
                "replicas that do not share what they remember would take a token twice",
            )
            .at(Path::attribute("replicas"))
            .next("Give as `cache` the `url` of a streamverse_cache with `redis`, or set replicas = 1."));
        }
        let (port, admin_port) = (spec.port.known().copied(), spec.admin_port.known().copied());
        place.port(Path::attribute("port"), port)?;
        place.port(Path::attribute("admin_port"), admin_port)?;
        let address = planned.address::<Self>(cx, "http", port);
        let url = match (&spec.public_url, &address) {
            (Maybe::Known(public), _) => Some(url(Some(public), "")),
            (Maybe::Null, Some(address)) => Some(url(None, address)),
            _ => None,
        };
        match address {
            Some(address) => draft.set(Self::address(), &address)?,
            None => draft.set_unknown(Self::address())?,
        }
        match planned.address::<Self>(cx, "admin-api", admin_port) {
            Some(address) => draft.set(Self::admin_address(), &address)?,
            None => draft.set_unknown(Self::admin_address())?,
        }
        match url {
            Some(url) => draft.set(Self::url(), &url),
            None => draft.set_unknown(Self::url()),
        }
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let run: LicenceRun = deploy::found_spec(&observed)?;
        let at = |endpoint: &str, port: u16| cx.provider().address(Self::KIND, &name, &site, endpoint, port);
        let address = at("http", run.service.port).unwrap_or_default();
        let admin_address = at("admin-api", run.service.admin_port).unwrap_or_default();
        let url = url(run.service.public_url.as_ref(), &address);
        let whole = deploy::found_secret(&observed).and_then(|secret| secret.version);
        // Of the secrets, the versions are all that can be read back.
        let of_keys = run.secret_version(None).unwrap_or(0);
        let admin_token = secret_of(whole.map(|whole| whole.saturating_sub(of_keys)).filter(|it| *it > 0));
        let key = |key: &TokenKey| match key {
            TokenKey::PublicKey(pem) => TokenKeyBlock { secret: None, public_key: Some(pem.clone()) },
            TokenKey::Secret { version } => {
                TokenKeyBlock { secret: Some(secret_of(*version)), public_key: None }
            }
        };
        let token_keys = run.keys.iter().map(|(id, it)| (id.clone(), key(it))).collect();
        let timeouts = Timeouts::default();
        Ok(LicenceServiceState {
            name,
            site,
            spec: run.service,
            token_keys,
            admin_token,
            address,
            admin_address,
            url,
            revision: observed.revision,
            timeouts,
        })
    }
}

fn secret_of(version: Option<i64>) -> Secret<String> {
    let mut secret = Secret::default();
    secret.version = version;
    secret
}
