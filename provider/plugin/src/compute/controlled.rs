//! What a fleet controller and its fleets must know of each other: pods are found in the account and by the controller that bought them.

use std::time::Duration;

use streamverse_model::compute::runpod::BUDGET_AT_MIN;
use streamverse_model::compute::{FleetControllerRun, Money, PRICES_VERSION};
use streamverse_model::platform::{Object, Observed};
use tfplugin_framework::schema::Path;
use tfplugin_framework::schema::field::SecretView;
use tfplugin_framework::{Class, Context, Error, Maybe, Result};

use super::fleet_controller::{FleetAccountView, FleetController, FleetControllerView};
use crate::deploy::{self, Deployed as _};
use crate::provider::Streamverse;

/// What this run plans of a controller, for the plans of its fleets.
#[derive(Clone, Copy)]
pub(crate) struct PlannedController {
    /// Whether it has a RunPod account, once that is known.
    pub(crate) account: Option<bool>,
    /// What it may spend in a month, if that is limited, once that is known.
    pub(crate) budget: Option<Option<Money>>,
}

/// Notes what is planned of a controller: Terraform plans fleets that refer to it after it, in this process.
pub(super) fn note(cx: &Context<Streamverse>, view: &FleetControllerView) {
    let (Some(site), Some(name)) = (view.site.known(), view.name.known()) else { return };
    let account = match &view.runpod {
        Maybe::Known(_) => Some(true),
        Maybe::Null => Some(false),
        Maybe::Unknown => None,
    };
    let budget = match view.spec.monthly_budget {
        Maybe::Known(budget) => Some(Some(budget)),
        Maybe::Null => Some(None),
        Maybe::Unknown => None,
    };
    cx.provider().note_controller(site, name, PlannedController { account, budget });
}

/// Refuses a fleet whose controller this run leaves without an account, or makes without one.
pub(super) fn has_account(
    cx: &Context<Streamverse>,
    site: &Maybe<String>,
    name: &Maybe<String>,
) -> Result<()> {
    let (Some(site), Some(name)) = (site.known(), name.known()) else { return Ok(()) };
    let planned = cx.provider().planned_controller(site, name);
    if planned.and_then(|it| it.account) != Some(false) {
        return Ok(());
    }
    Err(Error::invalid(format!("the controller {name:?} has no account at RunPod, as this configuration has it"))
        .at(Path::attribute("controller"))
        .next("Give the controller `runpod`, or take the fleet out of the configuration: its pods are given back while the account is there."))
}

/// Refuses a fleet whose `min` alone costs more than its controller may spend for all of its fleets: as this run plans the controller, or else as
/// its site has it.
pub(super) async fn within_budget(
    cx: &Context<Streamverse>,
    site: &Maybe<String>,
    name: &Maybe<String>,
    least: Option<Money>,
) -> Result<()> {
    let (Some(site), Some(name), Some(least)) = (site.known(), name.known(), least) else { return Ok(()) };
    let budget = match cx.provider().planned_controller(site, name) {
        Some(planned) => planned.budget.flatten(),
        None if least == Money::ZERO => None,
        None => held_budget(cx, site, name).await,
    };
    let Some(budget) = budget.filter(|it| *it < least) else { return Ok(()) };
    Err(Error::invalid(BUDGET_AT_MIN)
        .at(Path::attribute("range"))
        .next(format!(
            "`min` costs {least} per month under the schedule (prices of {PRICES_VERSION}), and its controller {name:?} may spend {budget} for all of its fleets together: \
             above that all workers are drained until the month is over. Raise monthly_budget of the controller, and refer to it by its resource, so that this plan \
             knows; lower min, or make the night longer."
        )))
}

/// What the controller on a site may spend. One that is not there, or not looked at, is the apply's to tell.
async fn held_budget(cx: &Context<Streamverse>, site: &str, name: &str) -> Option<Money> {
    let owner = cx.provider().owner(FleetController::KIND, name).ok()?;
    let client = cx.provider().try_site(site).ok()??;
    let found = client.observe(&owner).await.ok()??;
    let run: FleetControllerRun = deploy::found_spec(&found).ok()?;
    run.controller.monthly_budget
}

/// Fleets of its site that name a controller.
async fn fleets_of(cx: &Context<Streamverse>, site: &str, controller: &str) -> Result<Vec<String>> {
    let own = cx.provider().owner(FleetController::KIND, controller)?;
    let site = cx.provider().site(site)?;
    let failed = |error| deploy::asked(error, format!("asking for the fleets of {own}"));
    let mut left = Vec::new();
    for owner in site.list(&own.deployment).await.map_err(failed)? {
        if owner.kind.as_str() != "runpod-fleet" {
            continue;
        }
        let found = site.observe(&owner).await.map_err(failed)?;
        if found.is_some_and(|it| is_of(&it, controller)) {
            left.push(owner.name.to_string());
        }
    }
    Ok(left)
}

/// Waits until no fleet of the site names this controller: what it bought nobody else knows.
pub(super) async fn without_fleets(cx: &Context<Streamverse>, controller: &FleetController) -> Result<()> {
    loop {
        let left = fleets_of(cx, &controller.site, &controller.name).await?;
        if left.is_empty() {
            return Ok(());
        }
        if cx.is_cancelled() || cx.time_left().is_some_and(|left| left < Duration::from_secs(3)) {
            return Err(Error::new(Class::Retry, format!("it still keeps fleets: {}", left.join(", "))).next(
                "Destroy them first; refer to the controller by its resource, so that Terraform does. Of fleets that no state has, `streamverse sweep` takes care.",
            ));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Whether a fleet, or the job that takes it away, names this controller.
fn is_of(observed: &Observed, controller: &str) -> bool {
    observed.bundle.objects.iter().any(|object| match object {
        Object::Job(job) => job
            .uses
            .iter()
            .any(|it| it.kind.as_str() == FleetController::KIND && it.name.as_str() == controller),
        _ => false,
    })
}

/// Warns where a controller goes to another account, or to none, while fleets have pods in the one before it: there nobody looks for them any more.
pub(super) async fn other_account(
    cx: &Context<Streamverse>,
    prior: &FleetControllerView,
    planned: &FleetControllerView,
) {
    let (Some(before), Some(site), Some(name)) =
        (prior.runpod.known(), prior.site.known(), prior.name.known())
    else {
        return;
    };
    let taken = planned.runpod.is_null();
    if !taken && !planned.runpod.is_known_and(|after| is_other(before, after)) {
        return;
    }
    let whose = match fleets_of(cx, site, name).await {
        Ok(fleets) if fleets.is_empty() => return,
        Ok(fleets) => fleets.join(", "),
        Err(_) => "none of which the site told".to_owned(),
    };
    let deployment = cx.provider().deployment().unwrap_or_default();
    let (summary, text) = if taken {
        (
            "Its fleets are left without an account",
            format!(
                "Without `runpod` the controller can neither see nor end the pods of its fleets ({whose}), and they are paid for until somebody does. Destroy these fleets \
                 first, or in the same apply: the controller keeps the account until they are gone, and the apply fails where they stay."
            ),
        )
    } else {
        (
            "Another account, or another key of it",
            format!(
                "Pods of its fleets ({whose}) are in the account of before. If this is another account, or another endpoint, the controller takes them for lost and buys others, \
                 and nobody gives those back: destroy the fleets first, and make them again after it; `streamverse sweep --deployment {deployment} --runpod` with the key of before finds what is left. \
                 Another key of the same account changes nothing for them."
            ),
        )
    };
    cx.warn_at(FleetController::runpod(), summary, text);
}

/// Whether these are two accounts, or may be. A key of which nothing is stored was imported: of it nobody can say that it is another.
fn is_other(before: &FleetAccountView, after: &FleetAccountView) -> bool {
    let known = |one: &Maybe<String>, other: &Maybe<String>| match (one.known(), other.known()) {
        (Some(one), Some(other)) => one != other,
        _ => false,
    };
    known(&before.endpoint, &after.endpoint) || is_another(&before.api_key, &after.api_key)
}

/// Whether another secret is planned than is stored, as far as either says.
pub(super) fn is_another(before: &SecretView<String>, after: &SecretView<String>) -> bool {
    let stored = before.version.known().is_some() || before.reference.known().is_some();
    let unknown = after.version.is_unknown() || after.reference.is_unknown();
    stored && !unknown && (before.version != after.version || before.reference != after.reference)
}
