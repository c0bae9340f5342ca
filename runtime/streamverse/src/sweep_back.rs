//! What a sweep has taken back before it removes whoever made it: an asset's files, a fleet's pods. And what it leaves where that failed: pods cost, and
//! only their fleet's controller knows them.

use std::time::Duration;

use streamverse_core::{Error, Result};
use streamverse_model::compute::{FleetJobSpec, FleetRemovalSpec, FleetRemoved};
use streamverse_model::media::VodJobSpec;
use streamverse_model::platform::{Bundle, Name, Object, Owner};
use streamverse_sites::Site;

use crate::sweep::{LOOK, PATIENCE, told};

const FLEET: &str = "runpod-fleet";
/// What gives the pods of a fleet back, and what that one needs.
const KEPT: &[&str] = &["fleet-controller", "catalogue"];

/// What stays on its site: fleets that may have pods, and there whatever gives pods back.
#[derive(Debug, Default)]
pub(crate) struct Held {
    owners: Vec<(usize, Owner)>,
    told: Vec<String>,
}

impl Held {
    /// An owner whose things were not taken back, on the site of this number. Of a fleet they cost.
    pub(crate) fn fleet(&mut self, site: usize, owner: &Owner, why: &str) {
        if owner.kind.as_str() == FLEET {
            self.owners.push((site, owner.clone()));
            self.told.push(format!("{owner}: pods may be left: {why}"));
        }
    }

    /// Whether an owner stays for now.
    pub(crate) fn keeps(&mut self, site: usize, owner: &Owner) -> bool {
        let any = self.owners.iter().any(|it| it.0 == site);
        if any && KEPT.contains(&owner.kind.as_str()) {
            self.owners.push((site, owner.clone()));
        }
        self.owners.iter().any(|it| it.0 == site && it.1 == *owner)
    }

    /// Nothing is left at RunPod: what was kept may go, in this order.
    pub(crate) fn over(&mut self) -> Vec<(usize, Owner)> {
        self.told.clear();
        std::mem::take(&mut self.owners)
    }

    /// What may be left, and what to do.
    pub(crate) fn told(self) -> Option<String> {
        let next = "They stay, with the controllers and catalogues of their site: sweep again, with --runpod too, which gives back what the \
            deployment has at RunPod";
        (!self.told.is_empty()).then(|| format!("{}. {next}", self.told.join("; ")))
    }
}

/// Has the job of an asset, or of a fleet, take back what was made of it.
pub(crate) async fn take_back(site: &dyn Site, owner: &Owner, leaving: Duration) -> Result<()> {
    if !["vod-asset", FLEET].contains(&owner.kind.as_str()) {
        return Ok(());
    }
    let Some(observed) = site.observe(owner).await.map_err(told)? else { return Ok(()) };
    let job = observed.bundle.objects.iter().find_map(|object| match object {
        Object::Job(job) => Some(&job.spec),
        _ => None,
    });
    let Some(removal) = job.and_then(|spec| removal(&owner.kind, spec, leaving)) else {
        return match owner.kind.as_str() {
            FLEET => Err(Error::permanent("sweep", "it does not say which controller knows what it bought")),
            // What is there may be its removal already.
            _ => Ok(()),
        };
    };
    let (removal, patience, (kind, name, why)) = removal;
    let other = Owner::new(owner.deployment.as_str(), kind, &name)
        .map_err(|error| Error::permanent("sweep", error.to_string()))?;
    if site.observe(&other).await.map_err(told)?.is_none() {
        return Err(Error::permanent("sweep", format!("{other}, which knows {why}, is gone")));
    }
    site.apply(&Bundle::new(owner.clone(), vec![removal]), &[]).await.map_err(told)?;
    let until = tokio::time::Instant::now() + patience;
    loop {
        let Some(observed) = site.observe(owner).await.map_err(told)? else { return Ok(()) };
        if observed.is_ready() {
            let result = observed.objects.iter().find_map(|it| it.result.clone()).unwrap_or_default();
            return match serde_json::from_value::<FleetRemoved>(result) {
                Ok(done) if done.unrecorded => Err(Error::permanent(
                    "sweep",
                    format!(
                        "its record is not in the catalogue of {other}, so that nobody knows what it bought"
                    ),
                )),
                _ => Ok(()),
            };
        }
        if observed.failed().is_some() || tokio::time::Instant::now() > until {
            return Err(Error::permanent("sweep", observed.why_not().join("; ")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The job that takes something back, how long it may take, and whom it needs for what.
type Removal = (Object, Duration, (&'static str, String, &'static str));

fn removal(kind: &Name, spec: &serde_json::Value, leaving: Duration) -> Option<Removal> {
    if kind.as_str() == "vod-asset" {
        let spec: VodJobSpec = serde_json::from_value(spec.clone()).ok()?;
        let needed = ("transcoder", spec.transcoder.to_string(), "its stores");
        return Some((spec.removal(), PATIENCE, needed));
    }
    // A removal that was begun before has its pods yet.
    let begun = serde_json::from_value::<FleetRemovalSpec>(spec.clone()).ok();
    let spec = match begun {
        Some(spec) => spec,
        None => serde_json::from_value::<FleetJobSpec>(spec.clone()).ok()?.removal_spec().ok()?,
    };
    let needed = ("fleet-controller", spec.controller.to_string(), "what it bought");
    Some((spec.job().ok()?, leaving, needed))
}
