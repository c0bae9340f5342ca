//! `streamverse_key_service`: keeps content keys sealed. What may be asked for: `model::drm`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use streamverse_model::drm::{
    self, KeyEncryptionKeySpec, KeyServiceSpec, OWN_SECRET, SHARED_SECRET, VaultTransitSpec,
};
use streamverse_model::platform::{KEYS_PORT, Object, Observed, Owner, SecretValue, StoreUse};
use streamverse_sites::SiteKind;
use tfplugin_framework::schema::{Computed, Duration, Path, Secret, Timeouts};
use tfplugin_framework::{
    Context, Draft, Error, Findings, Maybe, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use crate::deploy::{self, Deployed, Imported, deployed};
use crate::provider::Streamverse;

/// Keeps the content keys of a deployment, in a process of its own: packagers get and make keys there, licence services find them. Content keys are at rest only sealed under a key-encryption key that is only ever referenced, and on a wire only sealed under the access key.
///
/// To exchange the key-encryption key, give the old one as `previous_key_encryption_key` beside the new one: the service then seals its data keys anew, without touching content keys or media; `streamverse keys rotate` does the same at once and says when nothing is left under the old one. Then remove `previous_key_encryption_key`.
///
/// Whoever knows the access key may have every content key: give it to packagers and licence services only. Losing the key-encryption key is losing the content keys; `streamverse keys backup` does not hold it, `streamverse keys export` (CPIX 2.4, encrypted to a certificate of yours) needs none.
///
/// Sealed keys move with the catalogue, to another site too, and no media is encrypted again: copy object store and catalogue there before that site's first apply, and give its key service a key-encryption key of its own, with the old one as `previous_key_encryption_key` until `streamverse keys rotate` says that nothing is left under it. Deployment and asset names stay, for key identifiers come from them. Where the old key must not leave its site, exchange it there first for the one that the new site will have. `docs/quickstart/protected-channel.md` has the commands for a node.
///
/// Not proved live: a Vault server (its transit engine was a stand-in that answers as the API's documentation says, with faults), key managers of clouds, and its pods on Kubernetes, where a real API server, its controllers and scheduler worked on simulated nodes that enforce no network policy.
#[derive(Clone, Schema)]
pub struct KeyService {
    /// Unique in the deployment; another name is another key service.
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
    /// The TCP port.
    #[attribute(default = KEYS_PORT, validate(range = 1..))]
    pub port: u16,
    /// How many run. A site of one host runs one.
    #[attribute(default = 1, validate(range = 1..=100))]
    pub replicas: u32,
    /// The catalogue whose database holds the sealed keys: the `url` of a `streamverse_catalogue`.
    pub catalogue: String,
    /// What content keys are sealed under.
    pub key_encryption_key: KeyEncryptionKey,
    /// What they were sealed under before, while they are sealed anew.
    pub previous_key_encryption_key: Option<KeyEncryptionKey>,
    /// What packagers and licence services prove themselves by: 32 bytes in base64 (`openssl rand -base64 32`).
    pub access_key: Secret<String>,
    /// How long the audit log (who asked for which key identifiers, when, and what came of it) is kept.
    #[attribute(default = "1year")]
    pub audit_retention: Duration,
    /// Its address for those who use it, known before it is there: `keys://HOST:PORT?secret=key-service.NAME`.
    #[attribute(changes_with = [port])]
    pub url: Computed<String>,
    /// Where it is reached from its site, known before it is there: `http://HOST:PORT`.
    #[attribute(changes_with = [port])]
    pub address: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// Where a key-encryption key is.
#[derive(Clone, Schema)]
pub enum KeyEncryptionKey {
    /// A file of the host: 32 bytes in base64, of the user that the key service runs as, with the mode 0600. Not on Kubernetes.
    #[attribute(validate(regex("^/[^\\x00]*$", says = "must be an absolute path")))]
    File(String),
    /// A variable of the environment that the node agent was started with: 32 bytes in base64. Not on Kubernetes. Whoever may look at the processes of its user sees it: prefer a file.
    #[attribute(validate(regex(
        "^[A-Z_][A-Z0-9_]{0,127}$",
        says = "must be a variable's name of A-Z, 0-9 and _"
    )))]
    Environment(String),
    /// A secret that the site gives to the key service alone: 32 bytes in base64.
    Secret(SecretKey),
    /// A key in the transit secrets engine of a Vault, which never hands it out.
    VaultTransit(VaultTransit),
}

/// A secret that the site gives to the key service alone.
#[derive(Clone, Schema)]
pub struct SecretKey {
    /// The key.
    pub value: Secret<String>,
}

/// A key in Vault's transit secrets engine.
#[derive(Clone, Schema)]
pub struct VaultTransit {
    /// The server: `https://HOST:PORT`.
    #[attribute(validate(regex("^https?://[^/?#@]+/?$", says = "must be https://HOST:PORT")))]
    pub address: String,
    /// Where the engine is mounted.
    #[attribute(
        default = "transit",
        validate(regex("^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", says = "must be a mount's path"))
    )]
    pub mount: String,
    /// The key's name there. It must be there, and be able to encrypt (aes256-gcm96).
    #[attribute(validate(regex("^[A-Za-z0-9_.-]+$", says = "must be a key's name")))]
    pub key: String,
    /// The namespace of an enterprise server.
    #[attribute(validate(regex("^[A-Za-z0-9_./-]+$", says = "must be a namespace's path")))]
    pub namespace: Option<String>,
    /// The authority of its certificate, PEM; those that the system trusts where none is given.
    #[attribute(validate(regex("^-----BEGIN CERTIFICATE-----", says = "must be a certificate, PEM")))]
    pub ca_certificate: Option<String>,
    /// The token, which may `update` `MOUNT/encrypt/KEY`, `MOUNT/decrypt/KEY` and `MOUNT/rewrap/KEY`.
    pub token: Secret<String>,
}

/// The two key-encryption keys, and what their values are called in the secret of the service.
const NOW: &str = "key_encryption_key";
const BEFORE: &str = "previous_key_encryption_key";

impl KeyEncryptionKey {
    fn spec(&self, attribute: &str) -> Result<KeyEncryptionKeySpec> {
        let key = drm::own_key(attribute)?;
        Ok(match self {
            KeyEncryptionKey::File(path) => KeyEncryptionKeySpec::File(path.clone()),
            KeyEncryptionKey::Environment(name) => KeyEncryptionKeySpec::Environment(name.clone()),
            KeyEncryptionKey::Secret(_) => KeyEncryptionKeySpec::Secret(key),
            KeyEncryptionKey::VaultTransit(it) => KeyEncryptionKeySpec::VaultTransit(VaultTransitSpec {
                address: it.address.trim_end_matches('/').to_owned(),
                mount: it.mount.clone(),
                key: it.key.clone(),
                namespace: it.namespace.clone(),
                ca_certificate: it.ca_certificate.clone(),
                token: key,
            }),
        })
    }

    fn secret(&self) -> Option<&Secret<String>> {
        match self {
            KeyEncryptionKey::Secret(it) => Some(&it.value),
            KeyEncryptionKey::VaultTransit(it) => Some(&it.token),
            KeyEncryptionKey::File(_) | KeyEncryptionKey::Environment(_) => None,
        }
    }

    /// Of a secret only the version can be read back.
    fn imported(spec: KeyEncryptionKeySpec, secret: Option<&Secret<String>>) -> KeyEncryptionKey {
        let secret = || secret.cloned().unwrap_or_default();
        match spec {
            KeyEncryptionKeySpec::File(path) => KeyEncryptionKey::File(path),
            KeyEncryptionKeySpec::Environment(name) => KeyEncryptionKey::Environment(name),
            KeyEncryptionKeySpec::Secret(_) => KeyEncryptionKey::Secret(SecretKey { value: secret() }),
            KeyEncryptionKeySpec::VaultTransit(it) => KeyEncryptionKey::VaultTransit(VaultTransit {
                address: it.address,
                mount: it.mount,
                key: it.key,
                namespace: it.namespace,
                ca_certificate: it.ca_certificate,
                token: secret(),
            }),
        }
    }
}

impl KeyService {
    fn spec(&self) -> Result<KeyServiceSpec> {
        let before = self.previous_key_encryption_key.as_ref();
        Ok(KeyServiceSpec {
            port: self.port,
            replicas: self.replicas,
            catalogue: self.catalogue.clone(),
            key_encryption_key: self.key_encryption_key.spec(NOW)?,
            previous_key_encryption_key: before.map(|it| it.spec(BEFORE)).transpose()?,
            audit_retention: self.audit_retention,
        })
    }

    fn keks(&self) -> impl Iterator<Item = (&'static str, &KeyEncryptionKey)> {
        let before = self.previous_key_encryption_key.as_ref().map(|it| (BEFORE, it));
        std::iter::once((NOW, &self.key_encryption_key)).chain(before)
    }
}

impl Deployed for KeyService {
    const KIND: &'static str = "key-service";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, owner: &Owner) -> Result<Vec<Object>> {
        // Each only ever grows, so their sum does.
        let versions = self.keks().filter_map(|(_, kek)| kek.secret()?.version);
        let own = versions.reduce(i64::saturating_add);
        Ok(self.spec()?.objects(owner, self.access_key.version, own)?)
    }

    async fn secrets(&self, cx: &Context<Streamverse>) -> Result<Vec<SecretValue>> {
        let access = cx.secret(&self.access_key).await?.to_string();
        is_key(&access, KeyService::access_key())?;
        let values = BTreeMap::from([(deploy::name("access-key")?, access)]);
        let mut all = vec![SecretValue { name: deploy::name(SHARED_SECRET)?, values }];
        let mut own = BTreeMap::new();
        for (attribute, kek) in self.keks() {
            let Some(secret) = kek.secret() else { continue };
            let text = cx.secret(secret).await?.to_string();
            if let KeyEncryptionKey::Secret(_) = kek {
                is_key(&text, Path::attribute(attribute).attr("secret").attr("value_wo"))?;
            }
            own.insert(drm::own_key(attribute)?, text);
        }
        if !own.is_empty() {
            all.push(SecretValue { name: deploy::name(OWN_SECRET)?, values: own });
        }
        Ok(all)
    }

    fn stored(self, provider: &Streamverse, revision: String) -> Result<State<Self>> {
        let known = provider.address(Self::KIND, &self.name, &self.site, "http", self.port);
        let address = known.or_else(|| self.address.known().cloned()).unwrap_or_default();
        let url = url_of(&address, &self.name);
        Ok(self.complete(KeyServiceComputed { url, address, revision }))
    }
}

/// Refuses what is not 32 bytes in base64, without repeating it.
fn is_key(text: &str, at: impl Into<Path>) -> Result<()> {
    match STANDARD.decode(text.trim()).is_ok_and(|bytes| bytes.len() == 32) {
        true => Ok(()),
        false => Err(Error::invalid("it is not 32 bytes in base64")
            .at(at)
            .next("Make one with `openssl rand -base64 32`.")),
    }
}

/// `keys://HOST:PORT?secret=key-service.NAME`, of `http://HOST:PORT`.
fn url_of(address: &str, name: &str) -> String {
    let place = address.strip_prefix("http://").unwrap_or(address);
    format!("keys://{place}?secret={}.{name}", <KeyService as Deployed>::KIND)
}

#[resource(name = "key_service", timeouts(create = "5m", update = "5m", delete = "5m"))]
impl Resource for KeyService {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    fn validate(config: &KeyServiceView, findings: &mut Findings) {
        let now = config.key_encryption_key.known();
        let before = config.previous_key_encryption_key.known();
        for (attribute, kek) in [(NOW, now), (BEFORE, before)] {
            if let Some(KeyEncryptionKeyView::VaultTransit(Maybe::Known(vault))) = kek {
                check_vault(attribute, vault, findings);
            }
        }
        if let (Some(now), Some(before)) = (now, before)
            && is_same(now, before)
        {
            findings.refuse(
                Path::attribute(BEFORE),
                "The previous key-encryption key is the one of now",
                "Give the one before it, or remove it. A key of Vault has versions of its own: rotate it there, then run `streamverse keys rotate`. A key of another Vault must have another name or mount.",
            );
        }
        if config.audit_retention.known().is_some_and(|it| it.0 < std::time::Duration::from_secs(86_400)) {
            findings.refuse(
                Self::audit_retention(),
                "An audit log that is gone within a day",
                "Give a day at least: whoever looks for a leak looks later than that.",
            );
        }
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        let view = draft.planned()?;
        let place = planned.placement(cx);
        place.store("catalogue", &view.catalogue, StoreUse::Catalogue)?;
        let before = draft.prior_value().get("catalogue").as_str().map(str::to_owned);
        if let (Some(before), Some(after)) = (before, view.catalogue.known())
            && before != *after
        {
            cx.warn_at(
                Path::attribute("catalogue"),
                "The content keys stay behind",
                format!(
                    "They lie in {before}. In {after} it begins without them: what is encrypted plays no more, and an asset \
                     that is made again gets other keys under the same identifiers. Take them along: `streamverse keys \
                     backup` before the apply, `streamverse keys restore` right after it."
                ),
            );
        }
        place.side_by_side("replicas", &view.replicas)?;
        let port = view.port.known().copied();
        place.port(Path::attribute("port"), port)?;
        if planned.kind(cx) == Some(SiteKind::Kubernetes) {
            let keks = [(NOW, &view.key_encryption_key), (BEFORE, &view.previous_key_encryption_key)];
            for (attribute, kek) in keks {
                on_kubernetes(attribute, kek)?;
            }
        }
        let address = planned.address::<Self>(cx, "http", port);
        match (address, view.name.known()) {
            (Some(address), Some(name)) => {
                draft.set(Self::url(), &url_of(&address, name))?;
                draft.set(Self::address(), &address)
            }
            _ => {
                draft.set_unknown(Self::url())?;
                draft.set_unknown(Self::address())
            }
        }
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let spec: KeyServiceSpec = deploy::found_spec(&observed)?;
        let address = cx.provider().address(Self::KIND, &name, &site, "http", spec.port).unwrap_or_default();
        let own = own_secret(&observed);
        let before = spec.previous_key_encryption_key;
        Ok(KeyServiceState {
            url: url_of(&address, &name),
            name,
            site,
            port: spec.port,
            replicas: spec.replicas,
            catalogue: spec.catalogue,
            key_encryption_key: KeyEncryptionKey::imported(spec.key_encryption_key, own.as_ref()),
            previous_key_encryption_key: before.map(|it| KeyEncryptionKey::imported(it, None)),
            access_key: deploy::found_secret(&observed).unwrap_or_default(),
            audit_retention: spec.audit_retention,
            address,
            revision: observed.revision,
            timeouts: Timeouts::default(),
        })
    }
}

/// The version of the secret that the service alone reads.
fn own_secret(observed: &Observed) -> Option<Secret<String>> {
    let found = observed.bundle.secrets().find(|it| it.name.as_str() == OWN_SECRET)?;
    let mut secret = Secret::default();
    secret.version = i64::try_from(found.version).ok().filter(|version| *version > 0);
    Some(secret)
}

/// A token is not sent in the clear, but for a Vault of this host.
fn check_vault(attribute: &str, vault: &VaultTransitView, findings: &mut Findings) {
    let Some(address) = vault.address.known() else { return };
    let plain = address.strip_prefix("http://");
    let near = |rest: &str| ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| rest.starts_with(host));
    if plain.is_some_and(|rest| !near(rest)) {
        findings.refuse(
            Path::attribute(attribute).attr("vault_transit").attr("address"),
            "A Vault without TLS",
            "The token and the data keys would be sent in the clear. Give its https:// address.",
        );
    }
}

fn on_kubernetes(attribute: &str, kek: &Maybe<KeyEncryptionKeyView>) -> Result<()> {
    let (member, what) = match kek.known() {
        Some(KeyEncryptionKeyView::File(_)) => ("file", "file of a host"),
        Some(KeyEncryptionKeyView::Environment(_)) => ("environment", "environment of a node agent"),
        _ => return Ok(()),
    };
    Err(Error::invalid(format!("pods of a Kubernetes cluster have no {what}"))
        .at(Path::attribute(attribute).attr(member))
        .next("Give `secret` or `vault_transit`, or a site that is a node."))
}

fn is_same(one: &KeyEncryptionKeyView, other: &KeyEncryptionKeyView) -> bool {
    let known = |one: &Maybe<String>, other: &Maybe<String>| one.known().is_some() && one == other;
    match (one, other) {
        (KeyEncryptionKeyView::File(one), KeyEncryptionKeyView::File(other))
        | (KeyEncryptionKeyView::Environment(one), KeyEncryptionKeyView::Environment(other)) => {
            known(one, other)
        }
        (
            KeyEncryptionKeyView::VaultTransit(Maybe::Known(one)),
            KeyEncryptionKeyView::VaultTransit(Maybe::Known(other)),
        ) => one.mount == other.mount && known(&one.key, &other.key) && one.namespace == other.namespace,
        _ => false,
    }
}
