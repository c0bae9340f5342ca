//! Names at RunPod, and whose turn it is to have one.
//!
//! A create knows nothing of the state: whether what has its name already was made by an apply that was cut short, or is what it
//! replaces (`create_before_destroy`) and will be deleted after it, only the state could tell. So a thing is known by its id *and* its
//! name. Who takes a thing over gives it another name of the same resource, and whoever still has it under its earlier name finds
//! that it is another's now: it is neither read nor deleted for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use streamverse_compute_runpod::{RemoteName, Standing};
use tfplugin_framework::{Context, Draft, Error, Maybe, Resource, Result};

use crate::provider::Streamverse;

/// What a resource knows of the thing that is its own.
#[derive(Clone, Copy)]
pub(crate) struct Identity<'a> {
    /// RunPod's identifier.
    pub(crate) id: &'a str,
    /// The resource's name in its deployment.
    pub(crate) name: &'a str,
    /// What it was called at RunPod when it was last seen.
    pub(crate) remote: &'a str,
}

impl Identity<'_> {
    /// Whether a thing that has its id and is called so now is another resource's, or was taken over by this one's replacement.
    pub(crate) fn is_taken_over(&self, found: &str, deployment: &str) -> bool {
        let Standing::Ours(now) = RemoteName::standing(found, deployment) else { return false };
        let Standing::Ours(before) = RemoteName::standing(self.remote, deployment) else {
            // It had a name that people gave it; what it got since is ours if it is of this resource.
            return plain(&now) != self.name;
        };
        now != before
    }
}

/// The resource's part of a name: without what a login or a taking over added.
pub(crate) fn plain(name: &str) -> &str {
    name.split_once('_').map_or(name, |(name, _)| name)
}

/// A name that begins so and that none of these has: the name itself where it is free, and with something at its end otherwise.
pub(crate) fn free(base: &str, taken: &[String]) -> String {
    let mut name = base.to_owned();
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    while taken.contains(&name) {
        for byte in taken.iter().flat_map(|it| it.bytes()).chain([b'.']) {
            // FNV-1a: any function would do whose results differ.
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        name = format!("{base}_{:08x}", hash >> 32);
    }
    name
}

/// Creates of this process, by kind and name.
#[derive(Default)]
pub(crate) struct Claims {
    /// With the id of what they made, once they are done.
    by_name: Mutex<BTreeMap<(&'static str, String), Option<String>>>,
    /// Held while something is taken over, and while something is deleted: between a look and the deed.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

/// One create's right to a name.
pub(crate) struct Claim {
    claims: Arc<Claims>,
    key: (&'static str, String),
    /// What an earlier create of this process made under it.
    before: Option<String>,
    kept: bool,
}

impl Claims {
    /// The right to a name, as long as no other create of this process is about to use it.
    pub(crate) fn claim(self: &Arc<Claims>, what: &'static str, name: &str) -> Result<Claim> {
        let key = (what, name.to_owned());
        let mut all = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        match all.insert(key.clone(), None) {
            Some(None) => Err(two(what, name)),
            before => Ok(Claim { claims: Arc::clone(self), key, before: before.flatten(), kept: false }),
        }
    }
}

impl Claim {
    /// Fails where what is there was made by another create of this process: two resources have one name.
    pub(crate) fn check<'a>(&self, mut there: impl Iterator<Item = &'a str>) -> Result<()> {
        let Some(before) = &self.before else { return Ok(()) };
        if there.any(|id| id == before) { Err(two(self.key.0, &self.key.1)) } else { Ok(()) }
    }

    /// It made this.
    pub(crate) fn keep(mut self, id: &str) {
        self.kept = true;
        self.set(Some(id.to_owned()));
    }

    fn set(&self, id: Option<String>) {
        let mut all = self.claims.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        match id {
            Some(id) => all.insert(self.key.clone(), Some(id)),
            None => all.remove(&self.key),
        };
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.kept {
            let before = self.before.take();
            self.set(before);
        }
    }
}

fn two(what: &str, name: &str) -> Error {
    Error::invalid(format!("two resources of this configuration want the {what} {name:?}"))
        .next("Give one of them another `name`; for a block that got another address write a `moved` block.")
}

/// Plans what it is called at RunPod: the name that it has, if it is one of this resource's. Somebody who renamed it there is
/// undone. A new one's is told when it is there.
pub(crate) fn plan_name<R: Resource<Provider = Streamverse>>(
    cx: &Context<Streamverse>,
    draft: &mut Draft<R>,
    name: &Maybe<String>,
    prior: Option<Maybe<String>>,
    path: impl tfplugin_framework::schema::TypedPath<Target = String>,
) -> Result<()> {
    let (Some(deployment), Some(name), Some(prior)) = (cx.provider().deployment(), name.known(), prior)
    else {
        return draft.set_unknown(path);
    };
    let prior = prior.known().cloned().unwrap_or_default();
    match RemoteName::standing(&prior, deployment) {
        Standing::Ours(it) if it == *name || it.strip_prefix(name).is_some_and(|it| it.starts_with('_')) => {
            draft.set(path, &prior)
        }
        _ => draft.set(path, &RemoteName::new(deployment, name).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_that_was_given_another_name_of_ours_is_another_resource_s() {
        let of = |remote| Identity { id: "1", name: "main", remote };
        let first = of("streamverse.d.main");
        assert!(!first.is_taken_over("streamverse.d.main", "d"));
        assert!(!first.is_taken_over("streamverse.d.main -fb", "d"));
        assert!(first.is_taken_over("streamverse.d.main_00c0ffee", "d"));
        assert!(first.is_taken_over("streamverse.d.other", "d"));
        assert!(!first.is_taken_over("by hand", "d"), "who renames it does not take it");
        let imported = of("by hand");
        assert!(!imported.is_taken_over("streamverse.d.main", "d"), "its own update gave it its name");
        assert!(imported.is_taken_over("streamverse.d.other", "d"));
    }

    #[test]
    fn a_free_name_is_none_of_those_that_are_taken() {
        assert_eq!(free("a", &[]), "a");
        let mut taken = vec!["a".to_owned()];
        for _ in 0..20 {
            let name = free("a", &taken);
            assert!(!taken.contains(&name) && plain(&name) == "a", "{name}");
            taken.push(name);
        }
    }

    #[test]
    fn a_name_is_one_create_s_at_a_time() {
        let claims = Arc::new(Claims::default());
        let first = claims.claim("volume", "a").unwrap();
        assert!(claims.claim("volume", "a").is_err());
        claims.claim("volume", "b").unwrap();
        first.keep("1");
        let second = claims.claim("volume", "a").unwrap();
        assert!(second.check(["1"].into_iter()).is_err(), "two resources of one name");
        second.check(["2"].into_iter()).unwrap();
        drop(second);
        assert!(claims.claim("volume", "a").unwrap().check(["1"].into_iter()).is_err());
    }
}
