//! The page that plays.

use std::collections::{BTreeMap, BTreeSet};

use crate::platform::{
    self, CredentialUse, Isolation, Name, Object, Owner, Resources, SecretObject, ServiceObject, SpecError,
};
use serde::{Deserialize, Serialize};
use tfplugin_schema::{Diagnostics, Maybe, Schema};

/// The key, in the site's secret, that demo tokens are signed with.
pub const TOKEN_KEY: &str = "token-key";

/// A page that plays what the catalogue lists, and shows how well it plays.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlayerSpec {
    /// The TCP port.
    #[attribute(default = 8000, validate(range = 1..))]
    pub port: u16,
    /// What the page is called.
    #[attribute(default = "StreamVerse")]
    pub title: String,
    /// The catalogue: the `url` of a `streamverse_catalogue`.
    pub catalogue: String,
    /// Where browsers fetch from: the `url` of a `streamverse_ats_edge`, or the `address` of an origin.
    pub delivery: String,
    /// Which assets of the catalogue it lists, by name; all where it is not set. Spots and slates of a channel are no videos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assets: Option<Vec<String>>,
    /// Channels that it lists beside the videos. Browsers fetch them from `delivery`, below `/channel/NAME/`.
    #[attribute(validate(length = 1..=64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<PlayerChannel>>,
    /// Licences for what is encrypted, for accounts that are there to try it. Without it the page plays what is clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<PlayerLicence>,
    /// Services whose health the page shows, by the name that it shows: each an `address`.
    #[serde(default)]
    pub services: Option<BTreeMap<String, String>>,
}

/// A channel that the page lists.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlayerChannel {
    /// The `name` of the `streamverse_fast_channel`.
    #[attribute(validate(regex(
        "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
        says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
    )))]
    pub name: String,
    /// What viewers see; its name where none is given.
    #[serde(default)]
    pub title: Option<String>,
}

/// Where licences come from, and who may try it.
///
/// The page hands out tokens that are good for a minute to whoever opens it, for one of the accounts below: this shows
/// that licences work, and protects nothing. In production, tokens come from the operator's own sign-in, which knows
/// who is asking, and this block is left out.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlayerLicence {
    /// Where browsers ask for ClearKey licences: through a route of the edge, `https://video.example/licence/clearkey`.
    #[attribute(validate(regex(
        "^https?://[^/?#@\\s;,'\"]+/[^?#\\s;,'\"]*$",
        says = "must be http://HOST/PATH or https://HOST/PATH"
    )))]
    pub url: String,
    /// `iss` of the tokens (RFC 7519), as the licence service expects it.
    #[attribute(validate(length = 1..=200))]
    pub issuer: String,
    /// `aud` of the tokens, as the licence service expects it.
    #[attribute(validate(length = 1..=200))]
    pub audience: String,
    /// `kid` of the tokens: the name of the signing key at the licence service.
    #[attribute(validate(length = 1..=200))]
    pub key_id: String,
    /// The accounts to choose from; the first is taken where none is asked for (`?account=ID`).
    #[attribute(validate(length = 1..=16))]
    pub accounts: Vec<DemoAccount>,
    /// `country` of the tokens: two letters of ISO 3166-1, such as `DE`; none where none is given.
    #[attribute(validate(regex("^[A-Z]{2}$", says = "must be two letters of ISO 3166-1 such as DE")))]
    #[serde(default)]
    pub country: Option<String>,
}

/// An account to try licences with.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoAccount {
    /// `sub` of its tokens: the account at the licence service.
    #[attribute(validate(regex(
        "^[A-Za-z0-9._-]{1,64}$",
        says = "must be 1 to 64 characters of A-Z, a-z, 0-9, . _ and -"
    )))]
    pub id: String,
    /// What viewers see; its id where none is given.
    #[serde(default)]
    pub title: Option<String>,
}

impl PlayerSpec {
    /// The service, its address and, with `licence`, the secret that holds the key of its tokens.
    ///
    /// `key_version` changes when the key of the tokens does.
    ///
    /// # Errors
    /// A store's address that is none.
    pub fn objects(&self, owner: &Owner, key_version: Option<i64>) -> Result<Vec<Object>, SpecError> {
        let mut uses = platform::uses([self.catalogue.as_str()])?;
        let asked = self.services.iter().flat_map(|all| all.values()).map(String::as_str);
        uses.reach.extend(platform::reach(asked));
        let mut rest = vec![platform::public_http("service/web-player", true)];
        if self.licence.is_some() {
            uses.credentials.push(CredentialUse { kind: owner.kind.clone(), name: owner.name.clone() });
            rest.push(Object::Secret(SecretObject {
                name: Name::fixed("secret"),
                keys: vec![Name::fixed(TOKEN_KEY)],
                version: key_version.and_then(|it| u64::try_from(it).ok()).unwrap_or(0),
            }));
        }
        let service = ServiceObject {
            name: Name::fixed("web-player"),
            target: "player".to_owned(),
            spec: platform::spec_value(self)?,
            replicas: 1,
            ports: platform::http(self.port),
            credentials: uses.credentials,
            reach: uses.reach,
            resources: Resources::default(),
            isolation: Isolation::Process,
            drain_seconds: 5,
        };
        Ok(std::iter::once(Object::Service(service)).chain(rest).collect())
    }
}

/// Refuses what cannot work. What is not known yet is not judged.
pub fn check_player(view: &PlayerSpecView, out: &mut Diagnostics) {
    let channels = view.channels.known().map(Vec::as_slice).unwrap_or_default();
    let names = channels.iter().map(|it| it.known().map(|it| &it.name));
    for (at, name) in twice(names) {
        out.error_at(
            PlayerSpec::channels().at(at).name(),
            "A channel is listed twice",
            format!("{name} stands before already: leave one of them out."),
        );
    }
    let Some(licence) = view.licence.known() else { return };
    let accounts = licence.accounts.known().map(Vec::as_slice).unwrap_or_default();
    for (at, id) in twice(accounts.iter().map(|it| it.known().map(|it| &it.id))) {
        out.error_at(
            PlayerSpec::licence().accounts().at(at).id(),
            "An account is listed twice",
            format!("{id} stands before already: leave one of them out."),
        );
    }
}

/// Those that stand before already.
fn twice<'a>(all: impl Iterator<Item = Option<&'a Maybe<String>>>) -> Vec<(usize, &'a str)> {
    let mut seen = BTreeSet::new();
    let known = all.enumerate().filter_map(|(at, it)| Some((at, it?.known()?.as_str())));
    known.filter(|(_, name)| !seen.insert(*name)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tfplugin_schema::Field as _;

    use super::*;

    fn spec(change: &Value) -> PlayerSpec {
        let mut spec = json!({
            "port": 8000, "title": "t", "catalogue": "sqlite://default/main", "delivery": "http://127.0.0.1:8081", "services": null,
        });
        for (name, value) in change.as_object().unwrap() {
            spec[name] = value.clone();
        }
        serde_json::from_value(spec).unwrap()
    }

    fn licence(accounts: &[&str]) -> Value {
        let accounts: Vec<Value> = accounts.iter().map(|id| json!({ "id": id })).collect();
        json!({ "licence": {
            "url": "http://127.0.0.1:8081/licence/clearkey", "issuer": "i", "audience": "a", "key_id": "k", "accounts": accounts,
        }})
    }

    fn found(change: &Value) -> Vec<String> {
        let view = PlayerSpec::view(&PlayerSpec::write(&spec(change))).unwrap();
        let mut out = Diagnostics::new();
        check_player(view.known().unwrap(), &mut out);
        out.iter().map(|it| format!("{}: {}", it.path.clone().unwrap_or_default(), it.summary)).collect()
    }

    #[test]
    fn what_is_listed_twice_is_refused_at_its_place() {
        assert_eq!(found(&json!({ "channels": [{ "name": "a" }, { "name": "b" }] })), [""; 0]);
        assert_eq!(
            found(&json!({ "channels": [{ "name": "a" }, { "name": "b" }, { "name": "a" }] })),
            ["channels[2].name: A channel is listed twice"]
        );
        assert_eq!(found(&licence(&["x", "x"])), ["licence.accounts[1].id: An account is listed twice"]);
    }

    #[test]
    fn only_a_page_with_licences_has_a_secret_and_no_object_holds_its_value() {
        let owner = Owner::new("demo", "web-player", "main").unwrap();
        let plain = spec(&json!({})).objects(&owner, None).unwrap();
        assert!(!plain.iter().any(|it| matches!(it, Object::Secret(_))));
        let with = spec(&licence(&["x"])).objects(&owner, Some(7)).unwrap();
        let secret = with.iter().find_map(|it| match it {
            Object::Secret(secret) => Some(secret),
            _ => None,
        });
        assert_eq!(secret.map(|it| it.version), Some(7));
        let Object::Service(service) = &with[0] else { panic!("{:?}", with[0]) };
        assert!(service.credentials.iter().any(|it| it.kind.as_str() == "web-player"));
    }
}
