//! What the four stores share: a place of the site where nothing else is configured, or a remote system with its URL and
//! its secret.

use streamverse_model::platform::{self as model, Name, Object, Owner, SecretValue, StoreUrl};
use streamverse_sites::SiteKind;
use tfplugin_framework::schema::{Path, Secret};
use tfplugin_framework::{Context, Draft, Error, Findings, Maybe, Resource, Result, Schema, State};

use crate::deploy::{self, Deployed, Imported};
use crate::provider::Streamverse;

/// A store: a place of its site, or a remote system.
pub(crate) trait Store: Resource<Provider = Streamverse> + Schema + Send + Sync {
    /// The owner's kind.
    const KIND: &'static str;
    /// The scheme of its address on a node.
    const SCHEME: &'static str;

    /// Its name and its site.
    fn place(&self) -> (&str, &str);
    /// The remote system, if one is configured, as this deployment uses it.
    fn remote(&self, deployment: &str) -> Option<Remote<'_>>;
    /// What a local one has on its site.
    fn local(&self) -> Vec<Object> {
        Vec::new()
    }
    /// The address that was planned, or stored.
    fn known_url(&self) -> Option<String>;
    /// It as it is stored.
    fn done(self, url: String, revision: String) -> State<Self>;
}

impl<S: Store> Deployed for S {
    const KIND: &'static str = S::KIND;

    fn name(&self) -> &str {
        self.place().0
    }

    fn site(&self) -> &str {
        self.place().1
    }

    fn objects(&self, owner: &Owner) -> Result<Vec<Object>> {
        let remote = self.remote(owner.deployment.as_str());
        Ok(remote.map_or_else(|| self.local(), |remote| remote.objects()))
    }

    async fn secrets(&self, cx: &Context<Streamverse>) -> Result<Vec<SecretValue>> {
        match self.remote(cx.provider().deployment().unwrap_or_default()) {
            Some(remote) => remote.secrets(cx).await,
            None => Ok(Vec::new()),
        }
    }

    fn stored(self, provider: &Streamverse, revision: String) -> Result<State<Self>> {
        // What was planned: a stored object does not have its write-only values, which the URL follows from.
        let made = || match self.remote(provider.deployment().unwrap_or_default()) {
            Some(remote) => remote.url,
            None => deploy::local_url(S::SCHEME, self.site(), self.name()),
        };
        let url = self.known_url().unwrap_or_else(made);
        Ok(self.done(url, revision))
    }
}

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
        // Each only ever grows, so their sum does.
        let versions = self.values.iter().filter_map(|(_, value)| match value {
            Value::Secret(secret) => secret.version,
            Value::Plain(_) => None,
        });
        // Certificates are in the secret, where those who use the store read them.
        let plain: Vec<(&'static str, &str)> = self
            .values
            .iter()
            .filter_map(|(key, value)| match value {
                Value::Plain(text) if *key == "access-key" => Some((*key, *text)),
                _ => None,
            })
            .collect();
        model::remote_store(&self.url, &keys, versions.reduce(i64::saturating_add), &plain)
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
pub(crate) fn secret_of<R: Store>(name: &str) -> String {
    format!("{}.{name}", <R as Store>::KIND)
}

/// Warns where nothing tells a deployment's things from those of others.
pub(crate) fn warn_shared(block: &str, attribute: &str, prefix: &Maybe<String>, findings: &mut Findings) {
    if prefix.known().is_some_and(String::is_empty) {
        findings.warn(
            Path::attribute(block).attr(attribute),
            "Nothing keeps deployments apart",
            format!(
                "Another deployment that uses it without a {attribute} too works on the same things, and removes them. Leave {attribute} out, and the deployment's name keeps them apart."
            ),
        );
    }
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
pub(crate) fn plan<R: Store>(
    cx: &Context<Streamverse>,
    draft: &mut Draft<R>,
    remote: Option<Option<String>>,
    block: &str,
) -> Result<Option<Option<String>>> {
    let Some(planned) = deploy::plan(cx, draft)? else { return Ok(None) };
    let url = match remote {
        None => None,
        Some(Some(url)) => Some(url),
        Some(None) => {
            let scheme = R::SCHEME;
            if <R as Store>::KIND != "cache" && planned.kind(cx) == Some(SiteKind::Kubernetes) {
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
