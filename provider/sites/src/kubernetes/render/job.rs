//! Work that ends: a Job whose name says what it does, for a Job's template cannot be changed. Another spec is another
//! Job; a new image alone is not.

use std::collections::BTreeMap;

use serde_json::json;
use streamverse_model::platform::{CredentialUse, JobObject};

use super::pod::{self, Pod};
use super::{Rendered, Scope, UsedService, network};
use crate::error::{Class, Error, Result};
use crate::kubernetes::names;

/// How `streamverse run` ends when trying again cannot help (`runtime/streamverse`).
const FOR_GOOD: u8 = 2;

pub(super) fn render(scope: &Scope<'_>, it: &JobObject) -> Result<Vec<Rendered>> {
    let object = format!("job/{}", it.name);
    let mut orders = BTreeMap::from([
        ("spec.json".to_owned(), it.spec.to_string()),
        ("context.json".to_owned(), pod::context(scope, &object).to_string()),
    ]);
    let (mut credentials, mut reach) = (it.credentials.clone(), it.reach.clone());
    for used in &it.uses {
        let found = find(scope, used)?;
        orders.insert(format!("specs.{}.{}.json", used.kind, used.name), found.spec.to_string());
        // What is that service's own stays its own: whoever reads its spec needs its stores.
        let own = |it: &&CredentialUse| it.kind == used.kind && it.name == used.name;
        credentials.extend(found.credentials.iter().filter(|it| !own(it)).cloned());
        reach.extend(found.reach.iter().cloned());
    }
    credentials.sort();
    credentials.dedup();
    reach.sort_by_key(|it| it.port);
    reach.dedup();
    let all = json!([it.target, orders, it.retries, it.deadline_seconds, it.resources]);
    let digest = names::short(&all.to_string());
    let name = names::name(scope.owner(), &digest);
    let mut pod = Pod::new(scope, &credentials, &it.resources);
    pod.orders(&name, &it.uses);
    let mut args = pod::arguments(&it.target);
    args.extend(["--outcome".to_owned(), "/dev/termination-log".to_owned()]);
    let main = json!({
        "name": "main",
        "image": scope.rendering.image("streamverse")?.as_str(),
        "args": args,
        "ports": [{ "name": "admin", "containerPort": pod::ADMIN, "protocol": "TCP" }],
        "securityContext": pod::restricted(),
        "resources": pod::resources(&it.resources),
        "volumeMounts": pod.mounts,
    });
    let rest = json!({ "restartPolicy": "Never", "terminationGracePeriodSeconds": 30 });
    let template = pod.template(scope, &object, &BTreeMap::new(), (Vec::new(), main), &rest);
    let job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": scope.metadata(&object, &name),
        "spec": {
            "backoffLimit": it.retries,
            "activeDeadlineSeconds": it.deadline_seconds,
            // A node that goes away is not the job's fault; what fails for good is not tried again.
            "podFailurePolicy": { "rules": [
                { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
                { "action": "FailJob", "onExitCodes": {
                    "containerName": "main", "operator": "In", "values": [FOR_GOOD],
                } },
            ] },
            "template": template,
        },
    });
    Ok(vec![
        scope.config_map(&object, &name, &orders, true),
        Rendered { object: object.clone(), plural: "jobs".to_owned(), body: job },
        network::policy(scope, &object, &[], &reach),
    ])
}

fn find<'a>(scope: &Scope<'a>, used: &streamverse_model::platform::SpecUse) -> Result<&'a UsedService> {
    scope.others.used.iter().find(|it| it.used == *used).ok_or_else(|| {
        Error::new(
            Class::Invalid,
            format!(
                "{}/{} of deployment {} is not on the site",
                used.kind,
                used.name,
                scope.owner().deployment
            ),
        )
        .next("Put it on the same site, and let this resource refer to it, so that it is made first.")
        .field("/uses")
    })
}
