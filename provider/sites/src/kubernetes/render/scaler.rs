//! What decides how many of a service run. The ConfigMap beside it, named after the service, says who does: it is how the
//! service knows that the number is not its own, and why there can be one scaler only.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use streamverse_model::compute::{KafkaTrigger, KedaScalerSpec, ScaleNames};
use streamverse_model::platform::{CredentialUse, Owner, ScalerObject, SpecUse};

use super::{Rendered, Scope, secret_name};
use crate::error::{Class, Error, Result};
use crate::kubernetes::names;

/// The value of the marker that names the scaler.
const SCALER: &str = "scaler";

/// Whose service a scaler is of.
pub(in crate::kubernetes) fn target(owner: &Owner, of: &SpecUse) -> Owner {
    Owner { deployment: owner.deployment.clone(), kind: of.kind.clone(), name: of.name.clone() }
}

/// The name of the ConfigMap that says who scales an owner's service.
pub(in crate::kubernetes) fn marker(target: &Owner) -> String {
    names::name(target, SCALER)
}

/// Who scales, as the marker says it.
pub(in crate::kubernetes) fn scaler_of(target: &Owner, marker: &Value) -> Option<Owner> {
    let (kind, name) = marker.pointer("/data/scaler").and_then(Value::as_str)?.split_once('.')?;
    Owner::new(target.deployment.as_str(), kind, name).ok()
}

pub(super) fn render(scope: &Scope<'_>, it: &ScalerObject) -> Result<Vec<Rendered>> {
    let object = format!("scaler/{}", it.name);
    let invalid =
        |error: &dyn std::fmt::Display| Error::new(Class::Invalid, error.to_string()).field("/spec");
    let spec: KedaScalerSpec = serde_json::from_value(it.spec.clone()).map_err(|error| invalid(&error))?;
    let target = target(scope.owner(), &it.of);
    let kafka = spec.kafka().map_err(|error| invalid(&error))?;
    let credentials = kafka.iter().flat_map(KafkaTrigger::credentials).cloned();
    let secret = |of: CredentialUse| (of.clone(), secret_name(scope.owner().deployment.as_str(), &of));
    let given = ScaleNames {
        own: names::name(scope.owner(), ""),
        deployment: names::name(&target, ""),
        marker: marker(&target),
        secrets: credentials.map(secret).collect(),
    };
    let mut data = BTreeMap::from([(SCALER.to_owned(), scope.owner().key())]);
    data.extend(spec.marked().map_err(|error| invalid(&error))?);
    let mut all = vec![scope.config_map(&object, &given.marker, &data, false)];
    for (plural, mut body) in spec.manifests(&given).map_err(|error| invalid(&error))? {
        body["metadata"] = scope.metadata(&object, &given.own);
        all.push(Rendered { object: object.clone(), plural: plural.to_owned(), body });
    }
    Ok(all)
}

/// A Deployment whose number of replicas is another's: the field is left out, so that nobody's apply sets it.
pub(super) fn left_open(deployment: &mut Value) {
    if let Some(spec) = deployment["spec"].as_object_mut() {
        spec.remove("replicas");
    }
}

/// What a scaler declares of the Deployment of another: its number, as it is.
pub(in crate::kubernetes) fn held(name: &str, namespace: &str, replicas: Option<i64>) -> Value {
    let mut body = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": namespace } });
    if let Some(count) = replicas {
        body["spec"] = json!({ "replicas": count });
    }
    body
}
