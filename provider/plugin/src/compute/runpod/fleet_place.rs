//! Where a fleet is, and what its name may be: pods are told apart by the names of deployment and fleet.

use streamverse_model::compute::GroupName;
use tfplugin_framework::schema::Path;
use tfplugin_framework::{Context, Draft, Error, Maybe, Result};

use super::fleet::RunpodFleet;
use crate::deploy::Deployed as _;
use crate::provider::Streamverse;

/// What a fleet is noted as that goes to another site. Of a replacement Terraform asks twice: for the change, then for the new one as if there
/// were none before, in the same process.
const LEAVING: &str = "runpod-fleet that leaves its site";

/// Notes whether this run moves the fleet away from its site.
pub(super) fn note(cx: &Context<Streamverse>, draft: &Draft<RunpodFleet>) {
    let before = |attribute: &str| draft.prior_value().get(attribute).as_str();
    if let (Some(name), Some(site)) = (before("name"), before("site")) {
        cx.provider().note(LEAVING, site, name, draft.changed(RunpodFleet::site()));
    }
}

/// Pods are named by deployment and fleet alone: a fleet of this name on another site would share them. One that leaves is gone before the new
/// one comes.
pub(super) async fn elsewhere(
    cx: &Context<Streamverse>,
    name: &Maybe<String>,
    site: &Maybe<String>,
) -> Result<()> {
    let (Some(name), Some(here)) = (name.known(), site.known()) else { return Ok(()) };
    if cx.provider().deployment().is_none() {
        return Ok(());
    }
    let owner = cx.provider().owner(RunpodFleet::KIND, name)?;
    for other in cx.provider().site_names().unwrap_or_default() {
        if other == here || cx.provider().is_changing(LEAVING, other, name) {
            continue;
        }
        let Ok(Some(site)) = cx.provider().try_site(other) else { continue };
        if matches!(site.observe(&owner).await, Ok(Some(_))) {
            return Err(Error::invalid(format!("the site {other:?} has a fleet {name:?} of this deployment"))
                .at(Path::attribute("name"))
                .next("Pods carry the names of deployment and fleet: both controllers would take them for theirs. Give it another name. A fleet that goes to another site leaves the one before it first, so without `create_before_destroy`."));
        }
    }
    Ok(())
}

/// Pods are told apart by their names, whose parts `--` divides.
pub(super) fn check_names(deployment: Option<&str>, name: Option<&str>) -> Result<()> {
    let divided = |text: Option<&str>| text.is_some_and(|it| GroupName::new(it, "a", "b").is_none());
    if divided(name) {
        return Err(Error::invalid("`--` divides the parts of a pod's name")
            .at(Path::attribute("name"))
            .next("Give a name with single hyphens."));
    }
    if divided(deployment) {
        return Err(Error::invalid(format!(
            "the deployment {:?} has `--`, which divides the parts of a pod's name",
            deployment.unwrap_or_default()
        ))
        .at(Path::attribute("name"))
        .next("A deployment that rents pods has a name with single hyphens: it cannot be changed later, so fleets need another deployment."));
    }
    Ok(())
}
