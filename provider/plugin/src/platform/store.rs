//! What the four stores share: a place of the site where nothing else is configured, or a remote system with its URL and
//! its secret.

use streamverse_model::platform::{self as model, Name, Object, SecretValue, StoreUrl};
use streamverse_sites::SiteKind;
use tfplugin_framework::schema::{Path, Secret};
use tfplugin_framework::{Context, Draft, Error, Maybe, Result};

use crate::deploy::{self, Deployed, Imported};
use crate::provider::Streamverse;

/// A remote system as a resource configures it.
pub(crate) struct Remote<'a> {
    pub(crate) url: String,
    /// The secret's keys, and the plain or secret value of each.
    pub(crate) values: Vec<(&'static str, Value<'a>)>,
}

pub(crate) enum Value<'a> {
    Plain(&'a str),
    Secret(&'a Secret<String>),
}

impl Remote<'_> {
    /// What it has on its site.
    pub(crate) fn objects(&self) -> Vec<Object> {
        let keys: Vec<&'static str> = self.values.iter().map(|(key, _)| *key).collect();
        let version = self.values.iter().find_map(|(_, value)| match value {
            Value::Secret(secret) => secret.version,
            Value::Plain(_) => None,
        });
        model::remote_store(&self.url, &keys, version)
    }

    /// The values of its secret: those that the configuration gives, or that its references lead to.
    pub(crate) async fn secrets(&self, cx: &Context<Streamverse>) -> Result<Vec<SecretValue>> {
        let mut values = std::collections::BTreeMap::new();
        for (key, value) in &self.values {
            let text = match value {
                Value::Plain(text) => (*text).to_owned(),
                Value::Secret(secret) => cx.secret(*secret).await?.to_string(),
            };
            values.insert(Name::parse(key)?, text);
        }
        if values.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![SecretValue { name: Name::parse("secret")?, values }])
    }
}

/// `KIND.NAME`, as a store's URL names its secret.
pub(crate) fn secret_of<R: Deployed>(name: &str) -> String {
    format!("{}.{name}", R::KIND)
}

/// The value, or null, of something that is no longer unknown.
pub(crate) fn settled<T>(value: Maybe<T>) -> Option<Option<T>> {
    match value {
        Maybe::Unknown => None,
        Maybe::Null => Some(None),
        Maybe::Known(value) => Some(Some(value)),
    }
}

/// Plans the URL of a store, and refuses a place of a site that gives none.
///
/// `remote` is the URL of the remote system if one is configured: the outer `None` while that is unknown.
pub(crate) fn plan<R: Deployed>(
    cx: &Context<Streamverse>,
    draft: &mut Draft<R>,
    remote: Option<Option<String>>,
    block: &str,
    scheme: &str,
) -> Result<Option<Option<String>>> {
    let Some(planned) = deploy::plan(cx, draft)? else { return Ok(None) };
    let url = match remote {
        None => None,
        Some(Some(url)) => Some(url),
        Some(None) => {
            if R::KIND != "cache" && planned.kind(cx) == Some(SiteKind::Kubernetes) {
                let nodes = cx.provider().sites_of(SiteKind::Node).join(", ");
                return Err(Error::invalid(format!(
                    "a Kubernetes cluster keeps nothing by itself: `{scheme}://` stores exist on a node"
                ))
                .at(Path::attribute("site"))
                .next(format!("Give `{block}`, or a site that is a node: {nodes}.")));
            }
            planned.local_url(scheme)
        }
    };
    Ok(Some(url))
}

/// What import finds of a store: where it is, and its remote URL.
pub(crate) async fn find<R: Deployed>(
    cx: &Context<Streamverse>,
    id: &str,
) -> Result<(Imported, Option<url::Url>)> {
    let found = deploy::find::<R>(cx, id).await?;
    let url = match model::remote_store_url(&found.observed.bundle.objects).map(StoreUrl::parse) {
        Some(Ok(StoreUrl::Remote { url, .. })) => Some(url),
        Some(Err(error)) => return Err(error.into()),
        _ => None,
    };
    Ok((found, url))
}

/// A parameter of a remote URL.
pub(crate) fn parameter(url: &url::Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
