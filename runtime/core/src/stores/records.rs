//! Small JSON documents beside the assets of a catalogue: sealed keys, grants, what a channel has announced.

use async_trait::async_trait;
use serde_json::Value;

use crate::error::Result;

/// A document, and how often it was replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Grows by one with each replacement. Where it begins is left to chance, so that a document that was removed and made
    /// anew has no version that the old one had.
    pub version: u64,
    /// The document.
    pub value: Value,
}

/// Documents in collections, each by an id. All that changes anything is atomic and durable when it returns; nothing is
/// overwritten that the caller has not seen. Ids are ordered by their bytes.
#[async_trait]
pub trait Records: Send + Sync {
    /// Keeps a new document. `false` where there is one of this id: it stays as it is.
    async fn insert(&self, collection: &str, id: &str, value: &Value) -> Result<bool>;
    /// The document of an id.
    async fn get(&self, collection: &str, id: &str) -> Result<Option<Record>>;
    /// The version of an id's document: whoever holds a document of that version has the one that is there.
    async fn version(&self, collection: &str, id: &str) -> Result<Option<u64>> {
        Ok(self.get(collection, id).await?.map(|it| it.version))
    }
    /// A number that is another one whenever anything of the store may have changed since, whoever changed it: what was read
    /// after it was asked for holds as long as it stays the same. `None` where asking would cost as much as reading. It does
    /// not wait.
    fn stamp(&self) -> Option<i64> {
        None
    }
    /// Replaces the document of this version. `false` where it has another one, or is gone.
    async fn replace(&self, collection: &str, id: &str, version: u64, value: &Value) -> Result<bool>;
    /// Removes a document. One that is not there is a success.
    async fn remove(&self, collection: &str, id: &str) -> Result<()>;
    /// At most `limit` documents of a collection whose ids come after `after`, in order.
    async fn list(&self, collection: &str, after: &str, limit: u32) -> Result<Vec<(String, Record)>>;
    /// The ids of what [`Records::list`] lists, without the documents.
    async fn ids(&self, collection: &str, after: &str, limit: u32) -> Result<Vec<String>> {
        Ok(self.list(collection, after, limit).await?.into_iter().map(|(id, _)| id).collect())
    }
    /// The document with the last id of a collection.
    async fn last(&self, collection: &str) -> Result<Option<(String, Record)>>;
    /// Removes the documents of a collection whose ids come before `id`.
    async fn remove_before(&self, collection: &str, id: &str) -> Result<()>;
}

/// The version of a new document: of 2^52, so that two are the same by chance once in 10^15 times, with room above for all
/// replacements.
pub(super) fn first_version() -> i64 {
    rand::random_range(1..1 << 52)
}
