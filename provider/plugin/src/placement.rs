//! Whether the site of a resource can hold what it asks for, judged while planning, with the sites that could.
//!
//! What is not known yet is not judged: the site does it at apply.

use streamverse_model::platform::{ADMIN_PORT, EngineKind, StoreUrl, StoreUse};
use streamverse_sites::SiteKind;
use tfplugin_framework::schema::Path;
use tfplugin_framework::{Context, Error, Maybe, Result};

use crate::deploy::Planned;
use crate::provider::Streamverse;

/// What a resource asks of its site.
pub(crate) struct Placement<'a> {
    provider: &'a Streamverse,
    site: Option<&'a str>,
    kind: Option<SiteKind>,
}

impl Planned {
    /// What can be said of where it goes.
    pub(crate) fn placement<'a>(&'a self, cx: &'a Context<Streamverse>) -> Placement<'a> {
        Placement { provider: cx.provider(), site: self.site.as_deref(), kind: self.kind(cx) }
    }
}

impl<'a> Placement<'a> {
    /// What can be said of a site that is known.
    pub(crate) fn of(cx: &'a Context<Streamverse>, site: &'a str) -> Placement<'a> {
        let provider = cx.provider();
        let kind = provider.configured(site).ok().and_then(|site| site.kind());
        Placement { provider, site: Some(site), kind }
    }
}

impl Placement<'_> {
    /// Refuses an address that is none, is of another use, or lies where the resource's site cannot reach it.
    pub(crate) fn store(&self, attribute: &str, url: &Maybe<String>, need: StoreUse) -> Result<()> {
        let Some(text) = url.known() else { return Ok(()) };
        let refused = |why: String| Error::invalid(why).at(Path::attribute(attribute));
        let give = || format!("Give the `url` of a {}.", need.resource());
        let read = StoreUrl::parse(text).map_err(|error| refused(error.to_string()).next(give()))?;
        let schemes = need.schemes();
        let remote = schemes.get(1).copied().unwrap_or_default();
        if !schemes.contains(&read.scheme()) {
            let good: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
            return Err(refused(format!(
                "a store with the scheme {:?} is of no use as `{attribute}`: it must be {}",
                read.scheme(),
                good.join(" or ")
            ))
            .next(give()));
        }
        if matches!(read, StoreUrl::Remote { .. }) {
            return Ok(());
        }
        if self.kind == Some(SiteKind::Kubernetes) && !need.is_anywhere() {
            let nodes = self.those(SiteKind::Node);
            return Err(refused(format!(
                "{text} is a place of a host, and pods of a Kubernetes cluster have none"
            ))
            .next(format!(
                "Give a {} that is {remote}://, or put the resource on a site that is a node: {nodes}.",
                need.resource()
            )));
        }
        match (read.site(), self.site) {
            (Some(of), Some(site)) if of.as_str() != site => {
                Err(refused(format!("{text} lies on site {of}, and this goes to site {site}")).next(format!(
                    "Give a {} of site {site}, one that is {remote}://, or `site = \"{of}\"`.",
                    need.resource()
                )))
            }
            _ => Ok(()),
        }
    }

    /// Refuses several of something on a host: a node runs one process of each.
    pub(crate) fn side_by_side(&self, attribute: &str, count: &Maybe<u32>) -> Result<()> {
        let Some(count) = count.known().filter(|count| **count > 1) else { return Ok(()) };
        if self.kind != Some(SiteKind::Node) {
            return Ok(());
        }
        let clusters = self.those(SiteKind::Kubernetes);
        Err(Error::invalid(format!("a node runs one process of it, not {count}"))
            .at(Path::attribute(attribute))
            .next(format!("Set {attribute} = 1, or name a site that is a Kubernetes cluster: {clusters}.")))
    }

    /// Refuses an engine that a cluster has no image of.
    pub(crate) fn engine(&self, engine: EngineKind) -> Result<()> {
        let Some(site) = self.site else { return Ok(()) };
        let image = engine.as_str();
        if self.provider.configured(site)?.has_image(image) != Some(false) {
            return Ok(());
        }
        let can = |name: &&str| {
            self.provider
                .configured(name)
                .is_ok_and(|it| it.kind().is_some() && it.has_image(image) != Some(false))
        };
        let names: Vec<&str> =
            self.provider.site_names().unwrap_or_default().into_iter().filter(can).collect();
        Err(Error::invalid(format!("site {site} has no image {image:?}, which this runs in"))
            .at(Path::attribute("site"))
            .next(format!(
                "Add {image:?} to `images` of the site, by digest, or name a site that has it: {}.",
                listed(&names)
            )))
    }

    /// Refuses a file of a host as the source of a pod.
    pub(crate) fn source(&self, at: impl Into<Path>, url: &Maybe<String>) -> Result<()> {
        let Some(text) = url.known().filter(|text| text.starts_with("file:")) else { return Ok(()) };
        if self.kind != Some(SiteKind::Kubernetes) {
            return Ok(());
        }
        let nodes = self.those(SiteKind::Node);
        Err(Error::invalid(format!("{text} is a file of a host, and pods of a Kubernetes cluster have none"))
            .at(at)
            .next(format!("Give an https:// or s3:// address, or name a site that is a node: {nodes}.")))
    }

    /// Refuses a port that every pod of a cluster has taken already.
    pub(crate) fn port(&self, at: impl Into<Path>, port: Option<u16>) -> Result<()> {
        if port != Some(ADMIN_PORT) || self.kind != Some(SiteKind::Kubernetes) {
            return Ok(());
        }
        Err(Error::invalid(format!("in a pod, port {ADMIN_PORT} is the one of health and metrics"))
            .at(at)
            .next("Choose another port, or a site that is a node."))
    }

    /// Names of the sites of a kind, for a sentence.
    fn those(&self, kind: SiteKind) -> String {
        listed(&self.provider.sites_of(kind))
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "there is none; add one to `sites`".to_owned() } else { names.join(", ") }
}
