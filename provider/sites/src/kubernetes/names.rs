//! Names and labels of objects. They are computed from the owner alone, so that plans know addresses.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use streamverse_model::platform::{CredentialUse, Owner};

/// Where our own labels and annotations live.
pub(crate) const PREFIX: &str = "streamverse.io";
/// The label that says which owner's it is, of those that Kubernetes recommends.
pub(crate) const INSTANCE: &str = "app.kubernetes.io/instance";
/// DNS labels (RFC 1123), and so names of Services and values of labels.
const LONGEST: usize = 63;

/// `DEPLOYMENT-KIND-NAME[-PART]`, and where that is too long, cut and told apart by a digest.
pub(crate) fn name(owner: &Owner, part: &str) -> String {
    let mut full = format!("{}-{}-{}", owner.deployment, owner.kind, owner.name);
    if !part.is_empty() {
        full.push('-');
        full.push_str(part);
    }
    if full.len() <= LONGEST {
        return full;
    }
    let digest = short(&full);
    let kept: String = full.chars().take(LONGEST - digest.len() - 1).collect();
    format!("{}-{digest}", kept.trim_end_matches('-'))
}

/// The host of an endpoint, from anywhere in the cluster.
pub fn host(owner: &Owner, endpoint: &str, namespace: &str) -> String {
    format!("{}.{namespace}.svc", name(owner, endpoint))
}

/// The one who applies (server-side apply's field manager), one for each owner; at most 128 characters.
pub(crate) fn manager(owner: &Owner) -> String {
    format!("streamverse-{}", name(owner, ""))
}

/// Eight hexadecimal digits that stand for a text.
pub(crate) fn short(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..4])
}

/// The labels that select what an owner has.
pub(crate) fn owned(owner: &Owner) -> BTreeMap<String, String> {
    let label = |name: &str, value: &str| (format!("{PREFIX}/{name}"), value.to_owned());
    BTreeMap::from([
        label("deployment", owner.deployment.as_str()),
        label("kind", owner.kind.as_str()),
        label("name", owner.name.as_str()),
    ])
}

/// … and one of its objects: `service/origin` becomes `service.origin`, for a label's value has no `/`.
pub(crate) fn selected(owner: &Owner, object: &str) -> BTreeMap<String, String> {
    let mut labels = owned(owner);
    labels.insert(format!("{PREFIX}/object"), object.replace('/', "."));
    labels
}

/// The labels that Kubernetes recommends, with ours and the user's. Ours win.
pub(crate) fn labels(
    owner: &Owner,
    object: &str,
    users: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut labels = users.clone();
    let part = object.split_once('/').map_or(object, |(_, name)| name);
    let common = |name: &str, value: String| (format!("app.kubernetes.io/{name}"), value);
    labels.extend([
        common("name", part.to_owned()),
        (INSTANCE.to_owned(), name(owner, "")),
        common("part-of", owner.deployment.to_string()),
        common("managed-by", "streamverse".to_owned()),
    ]);
    labels.extend(selected(owner, object));
    labels
}

/// The label of pods that read somebody's secret. The part after the slash has 63 characters at most.
pub(crate) fn reads(of: &CredentialUse) -> String {
    let full = format!("reads-{}.{}", of.kind, of.name);
    match full.len() <= LONGEST {
        true => format!("{PREFIX}/{full}"),
        false => format!("{PREFIX}/reads-{}", short(&full)),
    }
}

/// `a=b,c=d`.
pub(crate) fn selector(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_too_long_stay_apart() {
        let long = |last: char| {
            Owner::new(&"d".repeat(40), "object-store", &format!("{}{last}", "n".repeat(39))).unwrap()
        };
        let (one, two) = (name(&long('a'), "http"), name(&long('b'), "http"));
        assert!(one.len() <= 63 && two.len() <= 63, "{one} {two}");
        assert_ne!(one, two);
        let plain = Owner::new("demo", "origin", "main").unwrap();
        assert_eq!(name(&plain, ""), "demo-origin-main");
        assert_eq!(host(&plain, "http", "video"), "demo-origin-main-http.video.svc");
        assert!(manager(&long('a')).len() <= 128);
    }
}
