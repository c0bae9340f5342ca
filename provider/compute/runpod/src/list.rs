//! Lists, whole: with pages and without. The description of August 2026 has no pages; a port of September follows cursors.

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Kind;
use crate::client::{Client, Limit, Repeat};
use crate::error::{Class, Error};

/// No list has more pages than this.
const PAGES: usize = 1000;

impl Client {
    /// All things of a kind.
    ///
    /// # Errors
    /// Calls that fail, and lists without an end.
    pub async fn list<K: Kind + DeserializeOwned>(&self, limit: Limit) -> Result<Vec<K>, Error> {
        self.list_at(K::PATH, K::LIST, &[], limit).await
    }

    /// All things of a kind that have this name. More than one is possible: the API makes as many as it is asked for.
    ///
    /// # Errors
    /// As [`Client::list`].
    pub async fn named<K: Kind + DeserializeOwned>(&self, name: &str, limit: Limit) -> Result<Vec<K>, Error> {
        let all = self.list::<K>(limit).await?;
        Ok(all.into_iter().filter(|thing| is_named(thing.name(), name)).collect())
    }

    pub(crate) async fn list_at<T: DeserializeOwned>(
        &self,
        path: &str,
        member: &str,
        query: &[(&str, String)],
        limit: Limit,
    ) -> Result<Vec<T>, Error> {
        let call = format!("GET {path}");
        let mut all = Vec::new();
        let mut query = query.to_vec();
        let mut seen: Vec<String> = Vec::new();
        for _ in 0..PAGES {
            let mut page: Map<String, Value> =
                self.ask(Method::GET, path, &query, None::<&()>, Repeat::Safe, limit).await?;
            let Some(Value::Array(things)) = page.remove(member) else {
                return Err(Error::new(
                    Class::Permanent,
                    &call,
                    format!("the answer has no list `{member}`"),
                ));
            };
            for thing in things {
                all.push(read_as(&call, member, &thing)?);
            }
            let Some(cursor) = cursor(&page) else { return Ok(all) };
            if seen.contains(&cursor) {
                return Err(Error::new(Class::Permanent, &call, "the list's pages go in a circle"));
            }
            query.retain(|(name, _)| *name != "cursor");
            query.push(("cursor", cursor.clone()));
            seen.push(cursor);
        }
        Err(Error::new(Class::Permanent, &call, "the list has no end"))
    }
}

/// One of a list's things.
pub(crate) fn read_as<T: DeserializeOwned>(call: &str, member: &str, thing: &Value) -> Result<T, Error> {
    T::deserialize(thing).map_err(|error| {
        Error::new(Class::Permanent, call, format!("one of `{member}` cannot be read: {error}"))
    })
}

/// FlashBoot's mark at the end of an endpoint's name is RunPod's, not ours.
pub(crate) fn is_named(found: &str, name: &str) -> bool {
    found == name || found.strip_suffix(" -fb") == Some(name)
}

/// Where the next page begins, if there is one.
fn cursor(members: &Map<String, Value>) -> Option<String> {
    let of = |it: &Value| match it {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let named = |members: &Map<String, Value>| {
        ["nextCursor", "next_cursor", "nextPageToken"].iter().find_map(|name| of(members.get(*name)?))
    };
    named(members).or_else(|| named(members.get("pagination")?.as_object()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_found_where_there_is_one() {
        let of = |text: &str| cursor(serde_json::from_str::<Value>(text).unwrap().as_object().unwrap());
        assert_eq!(of(r#"{"nextCursor":"a"}"#).as_deref(), Some("a"));
        assert_eq!(of(r#"{"pagination":{"nextCursor":"b"}}"#).as_deref(), Some("b"));
        for none in ["{}", r#"{"nextCursor":null}"#, r#"{"nextCursor":""}"#, r#"{"pagination":null}"#] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
