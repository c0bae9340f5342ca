//! The key service: content keys, sealed under a key-encryption key that is only ever referenced.

use serde::{Deserialize, Serialize};
use tfplugin_schema::Duration;

use crate::platform::{
    self, CredentialUse, Isolation, Name, Object, Owner, Reach, Resources, SecretObject, ServiceObject,
    SpecError,
};

/// The secret of a key service that those who ask it read too.
pub const SHARED_SECRET: &str = "secret";
/// The secret that it alone reads.
pub const OWN_SECRET: &str = "own";

/// A key service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyServiceSpec {
    /// The TCP port.
    pub port: u16,
    /// How many run.
    pub replicas: u32,
    /// The catalogue whose records hold the sealed keys.
    pub catalogue: String,
    /// What content keys are sealed under.
    pub key_encryption_key: KeyEncryptionKeySpec,
    /// What they were sealed under before: accepted until nothing is sealed under it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_key_encryption_key: Option<KeyEncryptionKeySpec>,
    /// How long the audit log is kept.
    pub audit_retention: Duration,
}

/// Where a key-encryption key is. Never the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyEncryptionKeySpec {
    /// In a file of the host: 32 bytes in base64, which nobody but its owner may read.
    File(String),
    /// In a variable of the service's environment, which the node agent was started with.
    Environment(String),
    /// In the secret that the site delivers: the value of this name.
    Secret(Name),
    /// In the transit engine of a Vault, which does not hand it out.
    VaultTransit(VaultTransitSpec),
}

/// A key in Vault's transit secrets engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultTransitSpec {
    /// `https://HOST:PORT`.
    pub address: String,
    /// Where the engine is mounted.
    pub mount: String,
    /// The key's name there.
    pub key: String,
    /// The namespace of an enterprise server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The authority of its certificate instead of those that the system trusts, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<String>,
    /// The value of the site's secret that is the token.
    pub token: Name,
}

/// What the value of a key-encryption key, or the token of its Vault, is called in the secret that the service alone reads.
///
/// # Errors
/// An attribute that is no name.
pub fn own_key(attribute: &str) -> Result<Name, SpecError> {
    Ok(Name::parse(&attribute.replace('_', "-"))?)
}

impl KeyEncryptionKeySpec {
    /// Out of the attribute of a resource, as `terraform show -json` has it.
    ///
    /// # Errors
    /// What is not known before the apply.
    pub fn declared(attribute: &str, value: &serde_json::Value) -> Result<KeyEncryptionKeySpec, SpecError> {
        let text = |at: &str| value.pointer(at).and_then(serde_json::Value::as_str).map(str::to_owned);
        let unknown = || SpecError::new(format!("`{attribute}` is not known before the apply"));
        if let Some(path) = text("/file") {
            return Ok(KeyEncryptionKeySpec::File(path));
        }
        if let Some(name) = text("/environment") {
            return Ok(KeyEncryptionKeySpec::Environment(name));
        }
        if value["secret"].is_object() {
            return Ok(KeyEncryptionKeySpec::Secret(own_key(attribute)?));
        }
        Ok(KeyEncryptionKeySpec::VaultTransit(VaultTransitSpec {
            address: text("/vault_transit/address").ok_or_else(unknown)?.trim_end_matches('/').to_owned(),
            mount: text("/vault_transit/mount").ok_or_else(unknown)?,
            key: text("/vault_transit/key").ok_or_else(unknown)?,
            namespace: text("/vault_transit/namespace"),
            ca_certificate: text("/vault_transit/ca_certificate"),
            token: own_key(attribute)?,
        }))
    }

    /// The value of the service's own secret that it needs.
    pub fn secret_key(&self) -> Option<&Name> {
        match self {
            KeyEncryptionKeySpec::Secret(key) => Some(key),
            KeyEncryptionKeySpec::VaultTransit(it) => Some(&it.token),
            KeyEncryptionKeySpec::File(_) | KeyEncryptionKeySpec::Environment(_) => None,
        }
    }
}

/// The variables of the node agent's environment that a service of this target and spec is given.
pub fn environment(target: &str, spec: &serde_json::Value) -> Vec<String> {
    if target != "key-service" {
        return Vec::new();
    }
    let one = |name: &str| spec[name]["environment"].as_str().map(str::to_owned);
    ["key_encryption_key", "previous_key_encryption_key"].into_iter().filter_map(one).collect()
}

impl KeyServiceSpec {
    fn keks(&self) -> impl Iterator<Item = &KeyEncryptionKeySpec> {
        std::iter::once(&self.key_encryption_key).chain(&self.previous_key_encryption_key)
    }

    /// The values of the secret that it alone reads.
    pub fn own_keys(&self) -> Vec<Name> {
        self.keks().filter_map(KeyEncryptionKeySpec::secret_key).cloned().collect()
    }

    /// The service, its address and its secrets. The versions are those of the access key and of what it alone reads.
    ///
    /// # Errors
    /// A store's address that is none.
    pub fn objects(
        &self,
        owner: &Owner,
        access: Option<i64>,
        own: Option<i64>,
    ) -> Result<Vec<Object>, SpecError> {
        let uses = platform::uses([self.catalogue.as_str()])?;
        let vaults = self.keks().filter_map(|it| match it {
            KeyEncryptionKeySpec::VaultTransit(it) => Some(it.address.as_str()),
            _ => None,
        });
        let mut reach: Vec<Reach> = uses.reach;
        reach.extend(platform::reach(vaults));
        let mut credentials = uses.credentials;
        credentials.push(CredentialUse { kind: owner.kind.clone(), name: owner.name.clone() });
        let version = |it: Option<i64>| it.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
        let mut secrets = vec![Object::Secret(SecretObject {
            name: Name::fixed(SHARED_SECRET),
            keys: vec![Name::fixed("access-key")],
            version: version(access),
        })];
        let own_keys = self.own_keys();
        if !own_keys.is_empty() {
            secrets.push(Object::Secret(SecretObject {
                name: Name::fixed(OWN_SECRET),
                keys: own_keys,
                version: version(own),
            }));
        }
        let service = ServiceObject {
            name: Name::fixed("key-service"),
            target: "key-service".to_owned(),
            spec: platform::spec_value(self)?,
            replicas: self.replicas,
            ports: platform::http(self.port),
            credentials,
            reach,
            resources: Resources::default(),
            isolation: Isolation::Process,
            drain_seconds: 10,
        };
        secrets.extend([Object::Service(service), platform::public_http("service/key-service", false)]);
        Ok(secrets)
    }
}
