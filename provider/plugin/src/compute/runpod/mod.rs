//! What is at RunPod: whose it is, how it is found again, and what is the same for all kinds of it.

mod access;
mod endpoint;
mod fleet;
mod fleet_live;
mod network_volume;
mod registry_credential;
mod template;

pub(crate) use access::{Account, RunpodBlock, validate};
pub(crate) use endpoint::RunpodEndpoint;
pub(crate) use fleet::RunpodFleet;
pub(crate) use network_volume::RunpodNetworkVolume;
pub(crate) use registry_credential::RunpodRegistryCredential;
use std::sync::PoisonError;

use serde::Serialize;
use serde::de::DeserializeOwned;
use streamverse_compute_runpod::{Class, Client, Error as Fault, Kind, Limit, RemoteName, Standing};
pub(crate) use template::RunpodTemplate;
use tfplugin_framework::schema::Path;
use tfplugin_framework::{Class as OurClass, Context, Draft, Error, Maybe, Resource, Result};

use crate::provider::Streamverse;

/// Where nothing says how long.
const USUAL: std::time::Duration = std::time::Duration::from_secs(120);

/// How long the call that runs may still take. A little is left to tell what happened.
pub(crate) fn limit<P: tfplugin_framework::Provider>(cx: &Context<P>) -> Limit {
    let left = cx.time_left().unwrap_or(USUAL);
    Limit::within(left.saturating_sub(std::time::Duration::from_millis(500)))
}

/// A fault of a call as an error of a resource.
pub(crate) fn told(fault: &Fault) -> Error {
    let class = match fault.class {
        Class::Capacity => OurClass::Capacity,
        Class::Quota => OurClass::Quota,
        Class::Throttle(after) => OurClass::Throttle(after),
        Class::Auth => OurClass::Denied,
        Class::Invalid => OurClass::Invalid,
        Class::Unavailable | Class::UnknownOutcome => OurClass::Retry,
        Class::Conflict | Class::Permanent => OurClass::Permanent,
    };
    Error::new(class, fault.to_string()).next(fault.next())
}

/// What every resource here knows: the account, and whose names it gives.
pub(crate) struct Here {
    pub(crate) client: Client,
    pub(crate) deployment: String,
    pub(crate) limit: Limit,
    /// What creates of this process found there and took over.
    adopted: Adopted,
}

/// Identifiers of things.
pub(crate) type Adopted = std::sync::Arc<std::sync::Mutex<std::collections::BTreeSet<String>>>;

impl Here {
    pub(crate) async fn of(cx: &Context<Streamverse>) -> Result<Here> {
        let deployment = cx.provider().owner("runpod", "account")?.deployment.as_str().to_owned();
        let account = cx.provider().runpod();
        let adopted = account.adopted();
        Ok(Here { client: account.client(cx).await?, deployment, limit: limit(cx), adopted })
    }

    /// What something of ours is called at RunPod.
    pub(crate) fn remote(&self, name: &str) -> String {
        RemoteName::new(&self.deployment, name).to_string()
    }

    /// Makes it, or finds what an apply that was cut short made, and brings that into shape.
    pub(crate) async fn obtain<K: Kind + DeserializeOwned + Send>(
        &self,
        remote: &str,
        body: &(impl Serialize + Sync),
        change: &(impl Serialize + Sync),
    ) -> Result<K> {
        let made = self.client.obtain::<K>(remote, body, self.limit).await.map_err(|fault| told(&fault))?;
        if made.adopted {
            let id = made.thing.id().to_owned();
            self.adopted.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
            return self.change(made.thing.id(), change).await;
        }
        Ok(made.thing)
    }

    async fn change<K: Kind + DeserializeOwned>(&self, id: &str, change: &impl Serialize) -> Result<K> {
        self.client.change(id, change, self.limit).await.map_err(|fault| told(&fault))
    }

    /// Changes it, if it is still there and ours.
    pub(crate) async fn update<K: Kind + DeserializeOwned>(
        &self,
        id: &str,
        change: &impl Serialize,
    ) -> Result<K> {
        if self.look::<K>(id).await?.is_none() {
            return Err(Error::permanent(format!(
                "somebody deleted the {} {id} since it was planned",
                K::WHAT
            ))
            .next("Plan again: it is made anew."));
        }
        self.change(id, change).await
    }

    /// Looks at it. That it is another deployment's is an error which names that.
    pub(crate) async fn look<K: Kind + DeserializeOwned>(&self, id: &str) -> Result<Option<K>> {
        let found = self.client.get::<K>(id, self.limit).await.map_err(|fault| told(&fault))?;
        if let Some(thing) = &found {
            self.ours(thing)?;
        }
        Ok(found)
    }

    /// Deletes it, unless it is another deployment's. One that is gone is no error. What a create of this apply took over, because
    /// it has the name that was wanted, is not deleted: that create and this destroy are about one thing.
    pub(crate) async fn delete<K: Kind + DeserializeOwned>(&self, id: &str) -> Result<()> {
        if self.adopted.lock().unwrap_or_else(PoisonError::into_inner).contains(id) {
            return Err(Error::permanent(format!(
                "the {} {id} is wanted under its name by another resource, or by its own replacement, which took it over in this apply",
                K::WHAT
            ))
            .next("It was kept, and the next apply would delete it: before the next apply, `terraform state rm` the resource and import it again. Then take `create_before_destroy` away; for a block that got another address write a `moved` block."));
        }
        if self.look::<K>(id).await?.is_none() {
            return Ok(());
        }
        self.client.delete::<K>(id, self.limit).await.map(|_| ()).map_err(|fault| told(&fault))
    }

    fn ours<K: Kind>(&self, thing: &K) -> Result<()> {
        match RemoteName::standing(thing.name(), &self.deployment) {
            Standing::Other(owner) => Err(self.other(K::WHAT, thing.id(), &owner)),
            Standing::Ours(_) | Standing::Nobodys => Ok(()),
        }
    }

    fn other(&self, what: &str, id: &str, owner: &RemoteName) -> Error {
        Error::permanent(format!(
            "the {what} {id} is {:?} of the deployment {:?}, and this is {:?}",
            owner.name, owner.deployment, self.deployment
        ))
        .next("Change it where it belongs, or give `deployment` of the provider block the right name; `terraform state rm` forgets it here.")
    }

    /// What import means by its text: `NAME`, ours already; or `NAME=ID`, which adopts what has that id at RunPod. The name, and
    /// what was found.
    pub(crate) async fn import<K: Kind + DeserializeOwned>(&self, text: &str) -> Result<(String, K)> {
        if let Some((name, id)) = text.split_once('=') {
            let found = self.look::<K>(id).await?;
            let found = found.ok_or_else(|| Error::invalid(format!("RunPod has no {} {id:?}", K::WHAT)))?;
            return Ok((name.to_owned(), found));
        }
        let all = self.client.list::<K>(self.limit).await.map_err(|fault| told(&fault))?;
        let mut others = Vec::new();
        let mut ours = Vec::new();
        for thing in all {
            match RemoteName::standing(thing.name(), &self.deployment) {
                Standing::Ours(name) if plain(&name) == text => ours.push(thing),
                Standing::Other(owner) if plain(&owner.name) == text => {
                    others.push((thing.id().to_owned(), owner));
                }
                _ => {}
            }
        }
        if ours.len() > 1 {
            let ids: Vec<&str> = ours.iter().map(Kind::id).collect();
            return Err(Error::invalid(format!("RunPod has several of {text:?}: {}", ids.join(", ")))
                .next(format!("Import the right one as {text}=ID, and delete the others.")));
        }
        match (ours.pop(), others.first()) {
            (Some(thing), _) => Ok((text.to_owned(), thing)),
            (None, Some((id, owner))) => Err(self.other(K::WHAT, id, owner)),
            (None, None) => Err(Error::invalid(format!("RunPod has no {} {:?}", K::WHAT, self.remote(text)))
                .next(format!(
                    "To adopt one that has another name, import {text}=ID with its id at RunPod."
                ))),
        }
    }
}

/// A name without the mark of a login.
fn plain(name: &str) -> &str {
    name.split_once('_').map_or(name, |(name, _)| name)
}

/// Plans what it is called at RunPod. Somebody who renamed it there is undone.
pub(crate) fn plan_name<R: Resource<Provider = Streamverse>>(
    cx: &Context<Streamverse>,
    draft: &mut Draft<R>,
    name: &Maybe<String>,
    path: impl tfplugin_framework::schema::TypedPath<Target = String>,
) -> Result<()> {
    match (cx.provider().deployment(), name.known()) {
        (Some(deployment), Some(name)) => draft.set(path, &RemoteName::new(deployment, name).to_string()),
        _ => draft.set_unknown(path),
    }
}

/// Findings of the model as those of a resource.
pub(crate) fn pass(
    found: tfplugin_framework::schema::Diagnostics,
    findings: &mut tfplugin_framework::Findings,
) {
    for diagnostic in found {
        findings.push(diagnostic);
    }
}

/// The first error among findings, for a plan.
pub(crate) fn refuse_first(found: &tfplugin_framework::schema::Diagnostics) -> Result<()> {
    let Some(first) = found.iter().next() else { return Ok(()) };
    let at = first.path.clone().unwrap_or_else(Path::root);
    Err(Error::invalid(first.summary.clone()).at(at).next(first.detail.clone()))
}

/// What was found, unless it means what is stored: an empty text and none are one to RunPod.
pub(crate) fn or_none(found: Option<String>, stored: Option<&String>) -> Option<String> {
    match found {
        Some(text) if text.is_empty() && stored.is_none_or(String::is_empty) => stored.cloned(),
        None if stored.is_some_and(String::is_empty) => stored.cloned(),
        other => other,
    }
}

/// As [`or_none`], for what may be empty in another way.
pub(crate) fn or_empty<T: Default + PartialEq + Clone>(found: T, stored: Option<&T>) -> Option<T> {
    if found == T::default() { stored.filter(|it| **it == found).cloned() } else { Some(found) }
}
