//! A cache in the process, bounded by bytes.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use moka::Expiry;

use crate::error::Result;
use crate::stores::Cache;

pub(in crate::stores) struct Memory {
    entries: moka::future::Cache<String, (Bytes, Duration)>,
}

struct EachItsOwn;

impl Expiry<String, (Bytes, Duration)> for EachItsOwn {
    fn expire_after_create(&self, _: &String, value: &(Bytes, Duration), _: Instant) -> Option<Duration> {
        Some(value.1)
    }

    fn expire_after_update(
        &self,
        _: &String,
        value: &(Bytes, Duration),
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(value.1)
    }
}

impl Memory {
    pub(in crate::stores) fn new(max_bytes: u64) -> Memory {
        let weigh = |key: &String, value: &(Bytes, Duration)| {
            u32::try_from(key.len() + value.0.len() + 64).unwrap_or(u32::MAX)
        };
        let entries =
            moka::future::Cache::builder().max_capacity(max_bytes).weigher(weigh).expire_after(EachItsOwn);
        Memory { entries: entries.build() }
    }
}

#[async_trait]
impl Cache for Memory {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.entries.get(key).await.map(|(value, _)| value))
    }

    async fn put(&self, key: &str, value: Bytes, lifetime: Duration) -> Result<()> {
        self.entries.insert(key.to_owned(), (value, lifetime)).await;
        Ok(())
    }

    async fn insert(&self, key: &str, value: Bytes, lifetime: Duration) -> Result<bool> {
        let fresh = std::future::ready((value, lifetime));
        Ok(self.entries.entry(key.to_owned()).or_insert_with(fresh).await.is_fresh())
    }

    async fn remove(&self, key: &str) -> Result<()> {
        self.entries.invalidate(key).await;
        Ok(())
    }

    async fn probe(&self) -> Result<()> {
        Ok(())
    }
}
