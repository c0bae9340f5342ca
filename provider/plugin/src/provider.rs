//! The provider block: the deployment, and the sites that its resources go to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use streamverse_model::platform::Owner;
use streamverse_sites::{Site, SiteKind};
use tfplugin_framework::{Error, Findings, Maybe, Parts, Provider, Request, Result, Schema, provider};

use crate::compute::PlannedController;
use crate::compute::runpod::{self, Account, RunpodBlock};
use crate::sites::{Configured, SiteBlock};
use crate::{compute, data, delivery, drm, media, platform, sites};

/// Video platforms as resources: stores, transcoding, packaging, origins, edges and players, on a host under a node agent.
#[derive(Clone, Schema)]
pub struct Configuration {
    /// The name of this installation. It is part of every name that is made, so that two workspaces never take each
    /// other's things: 1 to 40 characters of a-z, 0-9 and -.
    #[attribute(validate(regex(
        "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
        says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
    )))]
    pub deployment: String,
    /// The sites, by the name that resources give as `site`. Without any, there is `default`: the node agent of this host.
    pub sites: Option<BTreeMap<String, SiteBlock>>,
    /// The RunPod account. Without it the usual endpoint is asked with the key in `RUNPOD_API_KEY`.
    pub runpod: Option<RunpodBlock>,
    /// Labels of everything that is made.
    pub default_labels: Option<BTreeMap<String, String>>,
}

/// The configured provider.
pub struct Streamverse {
    deployment: Maybe<String>,
    sites: Maybe<BTreeMap<String, Configured>>,
    labels: Maybe<BTreeMap<String, String>>,
    runpod: Account,
    /// Clients of clusters, which log in once: as long as the provider lives, one for each site.
    clusters: Mutex<BTreeMap<String, Arc<dyn Site>>>,
    /// What this run changes of services whose specs others are handed.
    changing: Mutex<BTreeSet<Changing>>,
    /// What this run plans of fleet controllers, by site and name.
    controllers: Mutex<BTreeMap<(String, String), PlannedController>>,
}

/// A service of a kind, on a site, of a name.
type Changing = (&'static str, String, String);

/// The site of resources that name none.
pub(crate) const DEFAULT: &str = "default";

#[provider(name = "streamverse")]
impl Provider for Streamverse {
    type Config = Configuration;

    async fn configure(_: &Request, config: ConfigurationView) -> Result<Streamverse> {
        let sites = config
            .sites
            .map(|sites| sites.into_iter().map(|(name, block)| (name, Configured::read(block))).collect());
        let labels = match config.default_labels {
            Maybe::Known(labels) if labels.values().any(Maybe::is_unknown) => Maybe::Unknown,
            other => other.map(|labels| {
                labels.into_iter().filter_map(|(key, value)| Some((key, value.into_known()?))).collect()
            }),
        };
        let runpod = Account::new(config.runpod);
        Ok(Streamverse {
            deployment: config.deployment,
            sites,
            labels,
            runpod,
            clusters: Mutex::default(),
            changing: Mutex::default(),
            controllers: Mutex::default(),
        })
    }

    fn validate(config: &ConfigurationView, findings: &mut Findings) {
        if let Some(block) = config.runpod.known() {
            runpod::validate(block, &Configuration::runpod().into(), findings);
        }
        let Some(all) = config.sites.known() else { return };
        for (name, block) in all {
            sites::validate(name, block, &Configuration::sites().key(name.as_str()).into(), findings);
        }
        let cluster = |block: &Maybe<sites::SiteBlockView>| {
            block.is_known_and(|block| block.kubernetes.known().is_some())
        };
        if !all.values().any(cluster) {
            return;
        }
        for (key, value) in config.default_labels.known().into_iter().flatten() {
            if let Some(why) = label_fault(key, value.known().map(String::as_str)) {
                findings.refuse(
                    Configuration::default_labels().key(key.as_str()),
                    "No label of Kubernetes",
                    format!(
                        "{why} (Kubernetes, \"Labels and Selectors\"), and one of the sites is a cluster."
                    ),
                );
            }
        }
    }

    fn parts(parts: Parts<Self>) -> Parts<Self> {
        compute::parts(data::parts(delivery::parts(drm::parts(media::parts(platform::parts(parts))))))
    }
}

/// What is wrong with a label on a cluster.
fn label_fault(key: &str, value: Option<&str>) -> Option<String> {
    let name_like = |text: &str| {
        let inner = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
        let edge = |it: Option<char>| it.is_some_and(|it| it.is_ascii_alphanumeric());
        text.len() <= 63 && text.chars().all(inner) && edge(text.chars().next()) && edge(text.chars().last())
    };
    let domain = |text: &str| {
        let legal = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
        let part = |part: &str| {
            !part.is_empty() && part.chars().all(legal) && !part.starts_with('-') && !part.ends_with('-')
        };
        text.len() <= 253 && text.split('.').all(part)
    };
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if !name_like(name) || !prefix.is_none_or(domain) {
        return Some(format!(
            "{key:?} must be 1 to 63 letters, digits and inner - _ . , after an optional DNS name and a slash"
        ));
    }
    match value {
        Some(value) if !value.is_empty() && !name_like(value) => {
            Some(format!("the value {value:?} must be empty or 1 to 63 letters, digits and inner - _ ."))
        }
        _ => None,
    }
}

impl Streamverse {
    /// The owner of a resource.
    pub(crate) fn owner(&self, kind: &str, name: &str) -> Result<Owner> {
        let deployment = self.deployment.known().ok_or_else(|| {
            Error::invalid("the deployment is not known").next(
                "Give `deployment` in the provider block a value that is known when the plan is applied.",
            )
        })?;
        Ok(Owner::new(deployment, kind, name)?)
    }

    /// Notes whether this run changes the spec of a service that others are handed. Terraform plans what refers to it after it, in this
    /// process, once for the plan and once more right before it is applied.
    pub(crate) fn note(&self, kind: &'static str, site: &str, name: &str, changes: bool) {
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let it = (kind, site.to_owned(), name.to_owned());
        let _ = if changes { changing.insert(it) } else { changing.remove(&it) };
    }

    /// Whether this run changes it, as far as it was planned before.
    pub(crate) fn is_changing(&self, kind: &'static str, site: &str, name: &str) -> bool {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        changing.contains(&(kind, site.to_owned(), name.to_owned()))
    }

    /// Notes what this run plans of a fleet controller.
    pub(crate) fn note_controller(&self, site: &str, name: &str, planned: PlannedController) {
        let mut controllers = self.controllers.lock().unwrap_or_else(PoisonError::into_inner);
        controllers.insert((site.to_owned(), name.to_owned()), planned);
    }

    /// What this run plans of a fleet controller, as far as it was planned before.
    pub(crate) fn planned_controller(&self, site: &str, name: &str) -> Option<PlannedController> {
        let controllers = self.controllers.lock().unwrap_or_else(PoisonError::into_inner);
        controllers.get(&(site.to_owned(), name.to_owned())).copied()
    }

    /// The RunPod account.
    pub(crate) fn runpod(&self) -> &Account {
        &self.runpod
    }

    /// The deployment, while it is known.
    pub(crate) fn deployment(&self) -> Option<&str> {
        self.deployment.known().map(String::as_str)
    }

    /// Labels of everything that is made; nothing while they are unknown.
    pub(crate) fn labels(&self) -> Option<BTreeMap<String, String>> {
        match &self.labels {
            Maybe::Known(labels) => Some(labels.clone()),
            Maybe::Null => Some(BTreeMap::new()),
            Maybe::Unknown => None,
        }
    }

    /// Names of the sites, where they are known. This host is there unless the block says that the default is another.
    pub(crate) fn site_names(&self) -> Option<Vec<&str>> {
        let named: Vec<&str> = match &self.sites {
            Maybe::Known(sites) => sites.keys().map(String::as_str).collect(),
            Maybe::Null => Vec::new(),
            Maybe::Unknown => return None,
        };
        let rest = named.into_iter().filter(|name| *name != DEFAULT);
        Some(std::iter::once(DEFAULT).chain(rest).collect())
    }

    /// Whether the block itself names the site: this host is there without.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        matches!(&self.sites, Maybe::Known(sites) if sites.contains_key(name))
    }

    /// What is known of a site.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(crate) fn configured(&self, name: &str) -> Result<Configured> {
        match &self.sites {
            Maybe::Known(sites) => match sites.get(name) {
                Some(configured) => return Ok(configured.clone()),
                None if name == DEFAULT => return Ok(Configured::Here),
                None => {}
            },
            Maybe::Null if name == DEFAULT => return Ok(Configured::Here),
            Maybe::Unknown => return Ok(Configured::Unknown),
            Maybe::Null => {}
        }
        let known = self.site_names().unwrap_or_default().join(", ");
        Err(Error::invalid(format!("there is no site {name:?} in the provider block; there is {known}"))
            .next("Add it to `sites` of the provider block, or correct the resource's `site`."))
    }

    /// Names of the sites of a kind, where they are known.
    pub(crate) fn sites_of(&self, kind: SiteKind) -> Vec<&str> {
        let is = |name: &&str| self.configured(name).is_ok_and(|site| site.kind() == Some(kind));
        self.site_names().unwrap_or_default().into_iter().filter(is).collect()
    }

    /// A client of the site; `None` while what it needs is not known. Nothing is asked yet.
    pub(crate) fn try_site(&self, name: &str) -> Result<Option<Arc<dyn Site>>> {
        let Some(deployment) = self.deployment() else { return Ok(None) };
        let configured = self.configured(name)?;
        if configured.kind() != Some(SiteKind::Kubernetes) {
            return configured.client(name, deployment);
        }
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clusters.get(name) {
            return Ok(Some(Arc::clone(client)));
        }
        let client = configured.client(name, deployment)?;
        if let Some(client) = &client {
            clusters.insert(name.to_owned(), Arc::clone(client));
        }
        Ok(client)
    }

    /// A client of the site. Nothing is asked yet.
    pub(crate) fn site(&self, name: &str) -> Result<Arc<dyn Site>> {
        self.try_site(name)?.ok_or_else(|| {
            Error::invalid(format!("where the site {name:?} is, is not known yet"))
                .next("Apply what its address comes from first.")
        })
    }

    /// Where an endpoint is reached, while that is known: `http://HOST:PORT`.
    pub(crate) fn address(
        &self,
        kind: &str,
        name: &str,
        site: &str,
        endpoint: &str,
        port: u16,
    ) -> Option<String> {
        let owner = self.owner(kind, name).ok();
        self.configured(site).ok()?.address(owner.as_ref(), endpoint, port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_kubernetes() {
        for (key, value) in [("team", "one"), ("a.example/team_x", ""), ("A1", "v1.2-3")] {
            assert_eq!(label_fault(key, Some(value)), None, "{key}={value}");
        }
        let long = "a".repeat(64);
        for (key, value) in [
            ("", "x"),
            ("my team", "x"),
            ("/x", "x"),
            ("a/b/c", "x"),
            ("A.b/x", "x"),
            ("team", "two words"),
            ("team", "-x"),
            ("team", &long),
        ] {
            assert!(label_fault(key, Some(value)).is_some(), "{key}={value}");
        }
    }
}
