//! From a resource's attributes, as `terraform show -json` has them, to the objects that it puts on a site: the way of
//! those who apply them with other tools.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::wanted::SpecError;
use super::{Name, Object, Owner, StoreUrl, embedded_event_log, remote_keys, remote_store};
use crate::compute::runpod::RunpodFleetSpec;
use crate::compute::{FleetControllerRun, FleetJobSpec, FleetSource, KedaScalerSpec};
use crate::data::KafkaClusterSpec;
use crate::delivery::{AtsEdgeSpec, OriginSpec, PlayerSpec};
use crate::drm::{
    DrmConfigSpec, DrmDefinition, KeyEncryptionKeySpec, KeyServiceSpec, LicenceRun, LicenceServiceSpec,
    TokenKey,
};
use crate::media::channel::{EpgSpec, FastChannelSpec, check_spec};
use crate::media::{LadderSpec, PACKAGE_FORMAT, TranscoderSpec, VodAssetSpec, VodJobSpec};

/// Attributes of resources that are not their specs'.
const REST: &[&str] = &[
    "name",
    "site",
    "timeouts",
    "revision",
    "address",
    "url",
    "bootstrap",
    "storage_needed",
    "generation",
    "duration_ms",
    "stores",
    "definition",
    "private_key_wo",
    "private_key_wo_version",
    "private_key_ref",
    "token_key_wo",
    "token_key_wo_version",
    "token_key_ref",
    "admin_address",
    "admin_token_wo",
    "admin_token_wo_version",
    "admin_token_ref",
    "token_keys",
];

/// The owner's kind of a resource type: `origin` for `streamverse_origin`. `None` for those that put nothing on a site.
pub fn declared_kind(resource_type: &str) -> Option<String> {
    let kind = resource_type.strip_prefix("streamverse_")?.replace('_', "-");
    let placed = [
        "object-store",
        "event-log",
        "catalogue",
        "cache",
        "transcoder",
        "vod-asset",
        "origin",
        "ats-edge",
        "web-player",
        "kafka-cluster",
        "keda-scaler",
        "licence-service",
        "key-service",
        "drm-config",
        "fast-channel",
        "epg",
        "fleet-controller",
        "runpod-fleet",
    ];
    placed.contains(&kind.as_str()).then_some(kind)
}

/// The objects of a resource with these attributes.
///
/// # Errors
/// Attributes that are no spec of that kind, or that are not known before an apply.
pub fn declared_objects(owner: &Owner, attributes: &Value) -> Result<Vec<Object>, SpecError> {
    match owner.kind.as_str() {
        "object-store" => store(attributes, "s3", &["access-key", "secret-key"], "secret_access_key"),
        "event-log" if attributes["kafka"].is_null() => Ok(embedded_event_log(owner.name.as_str())),
        "event-log" => store(attributes, "kafka", &["password"], "password"),
        "catalogue" => store(attributes, "postgres", &["password"], "password"),
        "cache" => store(attributes, "redis", &["password"], "password"),
        "transcoder" => spec::<TranscoderSpec>(attributes)?.objects(),
        "origin" => spec::<OriginSpec>(attributes)?.objects(),
        "ats-edge" => {
            let version = attributes["private_key_wo_version"].as_i64();
            spec::<AtsEdgeSpec>(attributes)?.objects(owner, version)
        }
        "web-player" => {
            let version = attributes["token_key_wo_version"].as_i64();
            spec::<PlayerSpec>(attributes)?.objects(owner, version)
        }
        "kafka-cluster" => spec::<KafkaClusterSpec>(attributes)?.objects(owner),
        "keda-scaler" => spec::<KedaScalerSpec>(attributes)?.objects(),
        "licence-service" => {
            licences(attributes)?.objects(owner, attributes["admin_token_wo_version"].as_i64())
        }
        "key-service" => key_service(owner, attributes),
        DrmDefinition::KIND => {
            DrmDefinition::objects(&spec::<DrmConfigSpec>(&without(attributes, &["definition"]))?)
        }
        "fast-channel" => {
            let computed = ["hls", "dash", "assets", "definition", "guide"];
            let spec = spec::<FastChannelSpec>(&without(attributes, &computed))?;
            check_spec(&spec)?;
            spec.objects()
        }
        "epg" => spec::<EpgSpec>(attributes)?.objects(),
        "fleet-controller" => {
            let (run, replicas) = FleetControllerRun::declared(attributes)?;
            let version = |at: &str| attributes.pointer(at).and_then(Value::as_i64);
            run.objects(
                owner,
                replicas,
                version("/identity_wo_version"),
                version("/runpod/api_key_wo_version"),
            )
        }
        "runpod-fleet" => {
            let computed = ["hourly_min", "hourly_max", "monthly_min", "monthly_max", "price_date"];
            let fleet = spec::<RunpodFleetSpec>(&without(attributes, &computed))?;
            let fleet = FleetSource::Runpod(Box::new(fleet));
            FleetJobSpec { name: owner.name.clone(), fleet }.objects()
        }
        "vod-asset" => asset(owner, attributes)?.objects(),
        other => Err(SpecError::from(format!("{other} is no kind that is put on a site"))),
    }
}

/// The attributes but for those that a resource of that kind computes.
fn without(attributes: &Value, computed: &[&str]) -> Value {
    let mut rest = attributes.clone();
    if let Some(members) = rest.as_object_mut() {
        members.retain(|name, _| !computed.contains(&name.as_str()));
    }
    rest
}

/// A spec among a resource's attributes.
fn spec<T: DeserializeOwned>(attributes: &Value) -> Result<T, SpecError> {
    let mut members = attributes.as_object().cloned().unwrap_or_default();
    members.retain(|name, _| !REST.contains(&name.as_str()));
    serde_json::from_value(Value::Object(members)).map_err(|error| {
        SpecError::from(format!(
            "its attributes are not all known before the apply, or of another version: {error}"
        ))
    })
}

fn asset(owner: &Owner, attributes: &Value) -> Result<VodJobSpec, SpecError> {
    let text = |name: &str| attributes[name].as_str().unwrap_or_default();
    let mut rest = attributes.clone();
    if let Some(members) = rest.as_object_mut() {
        for name in ["ladder", "transcoder", "stores", "drm", "key_ids"] {
            members.remove(name);
        }
    }
    let ladder: LadderSpec = serde_json::from_str(text("ladder"))?;
    Ok(VodJobSpec {
        name: owner.name.clone(),
        asset: spec::<VodAssetSpec>(&rest)?,
        ladder,
        transcoder: Name::parse(text("transcoder"))?,
        stores: attributes["stores"].as_str().map(str::to_owned),
        format: PACKAGE_FORMAT,
        drm: attributes["drm"].as_str().map(serde_json::from_str).transpose()?,
    })
}

fn key_service(owner: &Owner, attributes: &Value) -> Result<Vec<Object>, SpecError> {
    let mut rest = attributes.clone();
    let mut own: Option<i64> = None;
    for name in ["key_encryption_key", "previous_key_encryption_key"] {
        let value = attributes[name].clone();
        for version in ["/secret/value_wo_version", "/vault_transit/token_wo_version"] {
            if let Some(version) = value.pointer(version).and_then(Value::as_i64) {
                own = Some(own.unwrap_or(0).saturating_add(version));
            }
        }
        if !value.is_null() {
            rest[name] = serde_json::to_value(KeyEncryptionKeySpec::declared(name, &value)?)?;
        }
    }
    if let Some(members) = rest.as_object_mut() {
        for name in ["access_key_wo", "access_key_wo_version", "access_key_ref"] {
            members.remove(name);
        }
    }
    spec::<KeyServiceSpec>(&rest)?.objects(owner, attributes["access_key_wo_version"].as_i64(), own)
}

fn licences(attributes: &Value) -> Result<LicenceRun, SpecError> {
    let key = |it: &Value| match it["public_key"].as_str() {
        Some(pem) => TokenKey::PublicKey(pem.to_owned()),
        None => TokenKey::Secret { version: it["secret_wo_version"].as_i64() },
    };
    let keys = attributes["token_keys"].as_object().into_iter().flatten();
    let keys = keys.map(|(id, it)| (id.clone(), key(it))).collect();
    Ok(LicenceRun { service: spec::<LicenceServiceSpec>(attributes)?, keys })
}

fn store(
    attributes: &Value,
    block: &str,
    keys: &[&'static str],
    secret: &str,
) -> Result<Vec<Object>, SpecError> {
    let Some(it) = attributes[block].as_object() else { return Ok(Vec::new()) };
    // What a plan does not know yet is left out of it.
    let url = attributes["url"].as_str().ok_or_else(|| {
        SpecError::from("its `url` is not known before the apply: render the state after it".to_owned())
    })?;
    let keys = StoreUrl::parse(url).map(|url| remote_keys(&url, keys)).unwrap_or_default();
    let password = it.get(&format!("{secret}_wo_version")).and_then(Value::as_i64);
    let key = it.get("tls").and_then(|tls| tls["private_key_wo_version"].as_i64());
    // Each only ever grows, so their sum does.
    let version = password.into_iter().chain(key).reduce(i64::saturating_add);
    // What opens it and is no secret: an access key's id.
    let id = it.get("access_key_id").and_then(Value::as_str);
    let plain: Vec<(&'static str, &str)> = id.iter().map(|id| ("access-key", *id)).collect();
    Ok(remote_store(url, &keys, version, &plain))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attributes_become_the_objects_that_an_apply_makes() {
        let owner = Owner::new("demo", "web-player", "main").unwrap();
        let attributes = json!({
            "name": "main", "site": "default", "timeouts": null, "revision": null, "address": "http://x:8000",
            "port": 8000, "title": "t", "catalogue": "postgres://u@h/d?secret=catalogue.main", "delivery": "http://e:1",
            "services": null,
        });
        let objects = declared_objects(&owner, &attributes).unwrap();
        assert_eq!(
            objects.iter().map(Object::key).collect::<Vec<_>>(),
            ["service/web-player", "endpoint/http"]
        );
        assert_eq!(declared_kind("streamverse_web_player").as_deref(), Some("web-player"));
        assert_eq!(declared_kind("streamverse_transcode_ladder"), None);
        assert!(declared_objects(&owner, &json!({ "port": "?" })).is_err());
        let keys = Owner::new("demo", "key-service", "main").unwrap();
        let attributes = json!({
            "name": "main", "site": "default", "timeouts": null, "revision": null, "url": null, "address": null,
            "port": 9180, "replicas": 1, "catalogue": "postgres://u@h/d", "audit_retention": "400days",
            "access_key_wo": null, "access_key_wo_version": 3, "access_key_ref": null,
            "key_encryption_key": { "file": null, "environment": null, "vault_transit": null,
                "secret": { "value_wo": null, "value_wo_version": 2, "value_ref": null } },
            "previous_key_encryption_key": null,
        });
        let objects = declared_objects(&keys, &attributes).unwrap();
        let found: Vec<String> = objects.iter().map(Object::key).collect();
        assert_eq!(found, ["secret/secret", "secret/own", "service/key-service", "endpoint/http"]);
        assert!(!serde_json::to_string(&objects).unwrap().contains("access_key_wo"));
        let store = Owner::new("demo", "catalogue", "main").unwrap();
        let unknown =
            declared_objects(&store, &json!({ "name": "main", "postgres": { "host": "h" } })).unwrap_err();
        assert!(unknown.to_string().contains("`url` is not known"), "{unknown}");
    }

    #[test]
    fn a_channel_is_read_with_what_follows_from_it_and_what_was_not_chosen() {
        let owner = Owner::new("demo", "fast-channel", "one").unwrap();
        let mut attributes = json!({
            "name": "one", "site": "default", "timeouts": null, "revision": "x", "address": "http://x:8090", "port": 8090,
            "hls": "/a", "dash": "/b", "assets": ["film"], "definition": "{}", "guide": [],
            "object_store": "s3://media?region=us-east-1", "catalogue": "postgres://u@h/d?secret=catalogue.main",
            "start": "2026-11-26T12:00:00Z", "slate": "slate", "ad_breaks": null, "filler": null, "languages": null,
            "sources": { "film": { "title": null, "duration_ms": 60000 }, "slate": {} },
            "schedule": { "order": { "items": ["film"] }, "grid": null, "rotation": null },
        });
        let objects = declared_objects(&owner, &attributes).unwrap();
        let keys: Vec<String> = objects.iter().map(Object::key).collect();
        assert_eq!(keys, ["service/fast-channel", "endpoint/http"]);
        attributes["slate"] = json!("slat");
        let refused = declared_objects(&owner, &attributes).unwrap_err().to_string();
        assert!(refused.contains("slate: Not among the sources"), "{refused}");
    }
}
