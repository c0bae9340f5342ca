//! Whether a bundle can be held, and what it would change.

use std::collections::BTreeMap;

use streamverse_model::platform::node::Applied;
use streamverse_model::platform::{Bundle, Isolation, Object, Owner};

use super::{Agent, Refusal};
use crate::keeper::{Keeper, Order};

impl Agent {
    /// Checks a bundle as a whole.
    pub(crate) fn judge(&self, bundle: &Bundle) -> Result<(), Refusal> {
        let refuse = |code, message: String, next: &str, field: String| {
            Err(Refusal { code, message, next: Some(next.to_owned()), field: Some(field) })
        };
        // Beside the folders of deployments lie our own, and the last owner's removal removes the deployment's.
        if ["owners", "secrets"].contains(&bundle.owner.deployment.as_str()) {
            return refuse(
                "invalid",
                format!("a node can hold no deployment called {}", bundle.owner.deployment),
                "Choose another name for the deployment.",
                "/owner/deployment".to_owned(),
            );
        }
        let mut seen = std::collections::BTreeSet::new();
        for (at, object) in bundle.objects.iter().enumerate() {
            if !seen.insert(object.key()) {
                return refuse(
                    "invalid",
                    format!("{} is there twice", object.key()),
                    "Give each object its own name.",
                    format!("/objects/{at}/name"),
                );
            }
            if let Object::Service(it) = object {
                if it.replicas > 1 {
                    return refuse(
                        "unsupported",
                        format!("a node runs one process of {}, not {}", object.key(), it.replicas),
                        "Ask for one, and for more concurrency in it; or use a Kubernetes site.",
                        format!("/objects/{at}/replicas"),
                    );
                }
                // Inside of the agent it would be root, and read what every other owner has.
                if it.isolation == Isolation::InProcess && !self.shared.is_service_user() {
                    return refuse(
                        "unsupported",
                        format!(
                            "{} would run inside of the agent as its user, who is not the user of services",
                            object.key()
                        ),
                        "Leave `isolation` at `process`, or run the agent as the user of services.",
                        format!("/objects/{at}/isolation"),
                    );
                }
            }
            let target = match object {
                Object::Service(it) => Some(&it.target),
                Object::Job(it) => Some(&it.target),
                Object::Manifest(_) | Object::Scaler(_) => {
                    return refuse(
                        "unsupported",
                        format!("{} is of Kubernetes", object.key()),
                        "Put it on a Kubernetes site.",
                        format!("/objects/{at}"),
                    );
                }
                _ => None,
            };
            if let Some(target) =
                target.filter(|target| !self.shared.targets.iter().any(|it| it.name == target.as_str()))
            {
                return refuse(
                    "unsupported",
                    format!("this agent has no target {target:?}"),
                    "Upgrade the agent.",
                    format!("/objects/{at}/target"),
                );
            }
            let ports = match object {
                Object::Service(it) => &it.ports,
                Object::Engine(it) => &it.ports,
                _ => continue,
            };
            for (number, port) in ports.iter().enumerate() {
                if let Some(other) = self.holder(&bundle.owner, port.number) {
                    return refuse(
                        "owned-by-another",
                        format!("port {} belongs to {other}", port.number),
                        "Choose another port.",
                        format!("/objects/{at}/ports/{number}/number"),
                    );
                }
            }
        }
        Ok(())
    }

    /// What of its engines this host cannot give.
    pub(crate) async fn judge_engines(&self, bundle: &Bundle) -> Result<(), Refusal> {
        for (at, object) in bundle.objects.iter().enumerate() {
            let Object::Engine(it) = object else { continue };
            let Some(driver) = self.shared.driver(it.engine) else { continue };
            let scratch = Keeper::scratch_of(&self.shared, &bundle.owner, &object.key());
            // An engine that cannot be asked now is told by its keeper, which asks again.
            if let Ok(Some(refused)) = driver.refuses(&it.spec, &scratch).await {
                return Err(Refusal {
                    code: refused.code,
                    message: refused.message,
                    next: Some(refused.next),
                    field: Some(format!("/objects/{at}/spec/{}", refused.field)),
                });
            }
        }
        Ok(())
    }

    fn holder(&self, but: &Owner, port: u16) -> Option<Owner> {
        self.shared.owners(|owners| {
            let has = |object: &Object| match object {
                Object::Service(it) => it.ports.iter().any(|it| it.number == port),
                Object::Engine(it) => it.ports.iter().any(|it| it.number == port),
                _ => false,
            };
            let found = owners
                .iter()
                .find(|(owner, kept)| *owner != but && kept.desired.bundle.objects.iter().any(has));
            found.map(|(owner, _)| owner.clone())
        })
    }

    /// What applying a bundle changes.
    pub(crate) fn compare(&self, bundle: &Bundle) -> Applied {
        let before =
            self.shared.owners(|owners| owners.get(&bundle.owner).map(|kept| kept.desired.bundle.clone()));
        let before: BTreeMap<String, Object> = before
            .into_iter()
            .flat_map(|bundle| bundle.objects)
            .map(|object| (object.key(), object))
            .collect();
        let mut applied = Applied {
            revision: bundle.revision(),
            created: vec![],
            changed: vec![],
            removed: vec![],
            warnings: vec![],
        };
        for object in &bundle.objects {
            match before.get(&object.key()) {
                None => applied.created.push(object.key()),
                Some(old) if old != object => applied.changed.push(object.key()),
                Some(_) => {}
            }
        }
        applied.removed =
            before.into_keys().filter(|key| !bundle.objects.iter().any(|it| it.key() == *key)).collect();
        applied
    }

    /// Whether its removal was begun.
    pub(crate) fn is_leaving(&self, owner: &Owner) -> bool {
        self.shared.owners(|owners| owners.get(owner).is_some_and(|kept| kept.desired.deleting))
    }

    /// Whether an object is still being stopped that this bundle would start again.
    pub(crate) fn is_settling(&self, bundle: &Bundle) -> bool {
        self.shared.owners(|owners| {
            let Some(kept) = owners.get(&bundle.owner) else { return false };
            let wanted: Vec<String> = bundle.objects.iter().map(Object::key).collect();
            kept.desired.deleting
                || kept.keepers.iter().any(|(key, (orders, task))| {
                    wanted.contains(key) && !task.is_finished() && *orders.borrow() == Order::Remove
                })
        })
    }
}
