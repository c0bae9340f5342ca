//! What is at RunPod: whose it is, how it is found again, and what is the same for all kinds of it.

mod access;
mod endpoint;
mod fleet;
mod fleet_live;
mod fleet_place;
mod names;
mod network_volume;
mod registry_credential;
mod template;

pub(crate) use access::{Account, RunpodBlock, validate};
pub(crate) use endpoint::RunpodEndpoint;
pub(crate) use fleet::RunpodFleet;
pub(crate) use network_volume::RunpodNetworkVolume;
pub(crate) use registry_credential::RunpodRegistryCredential;
use std::sync::Arc;

pub(super) use names::{Identity, free, plain, plan_name};
use serde::Serialize;
use serde::de::DeserializeOwned;
use streamverse_compute_runpod::{Class, Client, Error as Fault, Kind, Limit, RemoteName, Standing};
pub(crate) use template::RunpodTemplate;
use tfplugin_framework::schema::{Path, Step};
use tfplugin_framework::{Class as OurClass, Context, Error, Result};

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
    /// Creates of this process.
    pub(super) claims: Arc<names::Claims>,
}

/// What a create made or took over, and what it is called at RunPod.
pub(crate) struct Made<K> {
    pub(crate) thing: K,
    pub(crate) remote: String,
}

/// Whether a thing can become what is asked for, without losing what is in it; if not, why.
pub(crate) type Fit = std::result::Result<(), String>;

impl Here {
    pub(crate) async fn of(cx: &Context<Streamverse>) -> Result<Here> {
        let deployment = cx.provider().owner("runpod", "account")?.deployment.as_str().to_owned();
        let account = cx.provider().runpod();
        let claims = account.claims();
        Ok(Here { client: account.client(cx).await?, deployment, limit: limit(cx), claims })
    }

    /// What something of ours is called at RunPod.
    pub(crate) fn remote(&self, name: &str) -> String {
        RemoteName::new(&self.deployment, name).to_string()
    }

    /// What really is there of a resource, under any of its names.
    pub(super) async fn there<K: Kind + DeserializeOwned>(&self, name: &str) -> Result<Vec<K>> {
        let fits = |it: &str| match RemoteName::standing(it, &self.deployment) {
            Standing::Ours(it) => plain(&it) == name,
            Standing::Other(_) | Standing::Nobodys => false,
        };
        self.client.there::<K>(fits, self.limit).await.map_err(|fault| told(&fault))
    }

    /// Makes it, or takes over what an apply that was cut short made, if that can become what is asked for, and brings it into
    /// shape. What is there and cannot is left alone, and told: it may be what this one replaces.
    pub(crate) async fn obtain<K: Kind + DeserializeOwned + Send, B: Serialize + Sync, C: Serialize>(
        &self,
        cx: &Context<Streamverse>,
        name: &str,
        body: impl Fn(String) -> B,
        change: impl Fn(String) -> C,
        fits: impl Fn(&K) -> Fit,
    ) -> Result<Made<K>> {
        let claim = self.claims.claim(K::WHAT, name)?;
        let turn = self.claims.turn.lock().await;
        let there = self.there::<K>(name).await?;
        claim.check(there.iter().map(Kind::id))?;
        let taken: Vec<String> = there.iter().map(|it| unmarked(it.name()).to_owned()).collect();
        let remote = free(&self.remote(name), &taken);
        let (mut fit, mut left) = (Vec::new(), Vec::new());
        for thing in there {
            match fits(&thing) {
                Ok(()) => fit.push(thing),
                Err(why) => left.push(format!("{} ({}, {why})", thing.id(), thing.name())),
            }
        }
        if fit.len() > 1 && K::KEEPS_DATA {
            let ids: Vec<&str> = fit.iter().map(Kind::id).collect();
            let text = format!("RunPod has several {}s named {name:?}: {}", K::WHAT, ids.join(", "));
            return Err(Error::permanent(text)
                .next(format!("Import the right one as {name}=ID, and delete the others.")));
        }
        let kept = self.client.keep_one(name, fit, self.limit).await.map_err(|fault| told(&fault))?;
        let thing = if let Some(it) = kept {
            // Under a name of its own, so that a replaced object of the state no longer takes it for itself.
            self.change::<K>(it.id(), &change(remote.clone())).await?
        } else {
            drop(turn);
            let made = self.client.make::<K>(&remote, &body(remote.clone()), self.limit).await;
            let made = made.map_err(|fault| told(&fault))?;
            let id = made.thing.id().to_owned();
            match (made.adopted, fits(&made.thing)) {
                (false, _) => made.thing,
                (true, Ok(())) => self.change::<K>(&id, &change(remote.clone())).await?,
                (true, Err(why)) => {
                    let text =
                        format!("somebody else made the {} {remote} just now, as {id}: {why}", K::WHAT);
                    return Err(Error::permanent(text).next("Apply again."));
                }
            }
        };
        if !left.is_empty() {
            cx.warn(
                format!("RunPod has another {} of this name", K::WHAT),
                format!(
                    "It cannot become what is asked for, so {remote} is beside it: {}. What this one replaces is deleted after it, with `create_before_destroy`. If no state has it, an apply that was cut short made it: delete it at RunPod.",
                    left.join("; ")
                ),
            );
        }
        claim.keep(thing.id());
        Ok(Made { thing, remote })
    }

    async fn change<K: Kind + DeserializeOwned>(&self, id: &str, change: &impl Serialize) -> Result<K> {
        self.client.change(id, change, self.limit).await.map_err(|fault| told(&fault))
    }

    /// Changes it, if it is still there and ours.
    pub(crate) async fn update<K: Kind + DeserializeOwned>(
        &self,
        of: Identity<'_>,
        change: &impl Serialize,
    ) -> Result<K> {
        if self.look::<K>(of).await?.is_none() {
            return Err(Error::permanent(format!(
                "somebody deleted the {} {} since it was planned",
                K::WHAT,
                of.id
            ))
            .next("Plan again: it is made anew."));
        }
        self.change(of.id, change).await
    }

    /// Looks at it. That it is another deployment's is an error which names that; what another resource of ours, or its own
    /// replacement, took over is gone.
    pub(crate) async fn look<K: Kind + DeserializeOwned>(&self, of: Identity<'_>) -> Result<Option<K>> {
        let Some(thing) = self.find::<K>(of.id).await? else { return Ok(None) };
        Ok(Some(thing).filter(|it| !of.is_taken_over(it.name(), &self.deployment)))
    }

    async fn find<K: Kind + DeserializeOwned>(&self, id: &str) -> Result<Option<K>> {
        let found = self.client.get::<K>(id, self.limit).await.map_err(|fault| told(&fault))?;
        let found = found.filter(|it| !it.is_over());
        if let Some(thing) = &found {
            self.ours(thing)?;
        }
        Ok(found)
    }

    /// Deletes it, unless it is another deployment's. One that is gone is no error, and one that was taken over is left to whoever has
    /// it now.
    pub(crate) async fn delete<K: Kind + DeserializeOwned>(
        &self,
        cx: &Context<Streamverse>,
        of: Identity<'_>,
    ) -> Result<()> {
        // Nothing is taken over between the look and the deed.
        let _turn = self.claims.turn.lock().await;
        let Some(thing) = self.find::<K>(of.id).await? else { return Ok(()) };
        if of.is_taken_over(thing.name(), &self.deployment) {
            cx.warn(
                format!("The {} {} was kept", K::WHAT, of.id),
                format!(
                    "It is {} now and no longer {}: another resource, or its own replacement made before it was destroyed, found it by its name and took it over. To have it made anew, take `create_before_destroy` away or give it another `name`.",
                    thing.name(),
                    of.remote
                ),
            );
            return Ok(());
        }
        self.client.delete::<K>(of.id, self.limit).await.map(|_| ()).map_err(|fault| told(&fault))
    }

    /// Whether a thing of this name is this resource's.
    fn is_of(&self, remote: &str, name: &str) -> bool {
        matches!(RemoteName::standing(remote, &self.deployment), Standing::Ours(it) if plain(&it) == name)
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
            plain(&owner.name),
            owner.deployment,
            self.deployment
        ))
        .next("Change it where it belongs, or give `deployment` of the provider block the right name; `terraform state rm` forgets it here.")
    }

    /// What import means by its text: `NAME`, ours already; or `NAME=ID`, which adopts what has that id at RunPod. The name, and
    /// what was found.
    pub(crate) async fn import<K: Kind + DeserializeOwned>(&self, text: &str) -> Result<(String, K)> {
        if let Some((name, id)) = text.split_once('=') {
            let found = self.find::<K>(id).await?;
            let found = found.ok_or_else(|| Error::invalid(format!("RunPod has no {} {id:?}", K::WHAT)))?;
            if !K::RENAMES && !self.is_of(found.name(), name) {
                return Err(for_good(K::WHAT, id, found.name(), name));
            }
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
                .next(if K::RENAMES {
                    format!("To adopt one that has another name, import {text}=ID with its id at RunPod.")
                } else {
                    format!("RunPod gives a {} no other name, so that none can be adopted: apply, and one is made.", K::WHAT)
                })),
        }
    }
}

/// What cannot be renamed is no resource's whose name it has not: the next apply would delete it and make another.
fn for_good(what: &str, id: &str, remote: &str, name: &str) -> Error {
    Error::invalid(format!(
        "the {what} {id} is called {remote:?}, which RunPod cannot change: it cannot be adopted as {name:?}, and the next apply would delete it"
    ))
    .next(format!(
        "Apply {name:?} without an import: a new one is made beside it. Give its `id` to whatever uses this one, then delete this one at RunPod."
    ))
}

/// A name without RunPod's mark of FlashBoot.
pub(super) fn unmarked(name: &str) -> &str {
    name.strip_suffix(" -fb").unwrap_or(name)
}

/// What of a path Terraform underlines: a top-level attribute, or an element of one. Of a path that leads further into nested attributes it shows
/// the first line of the resource alone, and no path (Terraform's `ElaborateFromConfigBody`).
pub(crate) fn shown(path: &Path) -> Path {
    let element = |step: &&Step| matches!(step, Step::Index(_) | Step::Key(_));
    let (first, second) = (path.steps().first(), path.steps().get(1).filter(element));
    first.into_iter().chain(second).fold(Path::root(), |path, step| path.step(step.clone()))
}

/// Findings of the model as those of a resource, each where Terraform shows it.
pub(crate) fn pass_shown(
    found: tfplugin_framework::schema::Diagnostics,
    findings: &mut tfplugin_framework::Findings,
) {
    for diagnostic in found {
        let path = diagnostic.path.as_ref().map(shown);
        findings.push(tfplugin_framework::schema::Diagnostic { path, ..diagnostic });
    }
}

/// The first error among findings, for a plan.
pub(crate) fn refuse_first(found: &tfplugin_framework::schema::Diagnostics) -> Result<()> {
    let Some(first) = found.iter().next() else { return Ok(()) };
    let at = first.path.as_ref().map(shown).unwrap_or_default();
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
