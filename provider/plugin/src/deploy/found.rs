//! What import finds on a site, and reads out of it.

use streamverse_model::platform::{Object, Observed};
use streamverse_sites::SiteKind;
use tfplugin_framework::schema::Secret;
use tfplugin_framework::{Class, Context, Error, Result};

use super::{APPLIED, Deployed, Look, SETTINGS, look_for};
use crate::provider::{DEFAULT, Streamverse};

/// `SITE/NAME` or `NAME`, as import takes it.
fn read_id(id: &str) -> (String, String) {
    let (site, name) = id.split_once('/').unwrap_or((DEFAULT, id));
    (site.to_owned(), name.to_owned())
}

/// What import found.
pub(crate) struct Imported {
    pub(crate) site: String,
    pub(crate) name: String,
    pub(crate) observed: Observed,
}

/// What import finds, or why there is nothing.
pub(crate) async fn find<R: Deployed>(cx: &Context<Streamverse>, id: &str) -> Result<Imported> {
    let (site, name) = read_id(id);
    match look_for(cx, R::KIND, &name, &site).await? {
        Look::Found(observed) => {
            cx.set_private(APPLIED, &observed.revision)?;
            cx.set_private(SETTINGS, &Some(&observed.bundle.labels))?;
            Ok(Imported { site, name, observed: *observed })
        }
        Look::Gone => Err(Error::invalid(format!("there is no {} {name:?} on site {site}", R::KIND))
            .next(format!("Give NAME, or SITE/NAME. {}", lists(cx, R::KIND, &site)))),
        // Why was warned of.
        Look::Unknown => Err(Error::new(
            Class::Retry,
            format!("site {site} was not looked at, so whether it has the {} {name:?} is not known", R::KIND),
        )
        .next("Repair what the warning says of the site, then import again.")),
    }
}

/// What lists the things of a kind on a site.
fn lists(cx: &Context<Streamverse>, kind: &str, site: &str) -> String {
    let is = cx.provider().configured(site).ok().and_then(|it| it.kind());
    match (is, cx.provider().deployment()) {
        (Some(SiteKind::Kubernetes), Some(deployment)) => format!(
            "`kubectl get configmaps -l streamverse.io/deployment={deployment},streamverse.io/kind={kind}` lists what a cluster holds of them."
        ),
        _ => "`streamverse node status` lists what a node holds.".to_owned(),
    }
}

/// The secret of what was found: its version, for its value is never answered.
pub(crate) fn found_secret(observed: &Observed) -> Option<Secret<String>> {
    let version = observed.bundle.objects.iter().find_map(|object| match object {
        Object::Secret(it) => i64::try_from(it.version).ok().filter(|version| *version > 0),
        _ => None,
    })?;
    let mut secret = Secret::default();
    secret.version = Some(version);
    Some(secret)
}

/// The spec of what was found: of its service, job or engine, or as a file.
pub(crate) fn found_spec<T: serde::de::DeserializeOwned>(observed: &Observed) -> Result<T> {
    let spec = observed.bundle.objects.iter().find_map(|object| match object {
        Object::Service(it) => Some(it.spec.clone()),
        Object::Job(it) => Some(it.spec.clone()),
        Object::Engine(it) => Some(it.spec.clone()),
        Object::Scaler(it) => Some(it.spec.clone()),
        Object::Files(it) => serde_json::from_str(it.files.get("spec.json")?).ok(),
        _ => None,
    });
    let spec = spec.ok_or_else(|| Error::invalid("what is on the site has no spec"))?;
    serde_json::from_value(spec)
        .map_err(|error| Error::permanent("what is on the site is of another version").because(error))
}
