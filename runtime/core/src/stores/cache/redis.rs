//! A cache in a server that speaks the Redis protocol: `redis://HOST:PORT/DATABASE?secret=…`.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands as _, Client, IntoConnectionInfo as _, RedisError};
use streamverse_model::platform::CredentialUse;

use crate::context::ServiceContext;
use crate::error::{Error, Result};
use crate::stores::Cache;

pub(in crate::stores) struct Redis {
    connection: ConnectionManager,
    prefix: String,
}

impl Redis {
    pub(in crate::stores) async fn open(
        url: &url::Url,
        secret: Option<&CredentialUse>,
        cx: &ServiceContext,
    ) -> Result<Redis> {
        let mut url = url.clone();
        url.set_query(None);
        // Only in memory: the URL with a password goes nowhere but into the client.
        if let Some(secret) = secret {
            let password = cx.credential(secret, "password")?;
            url.set_password(Some(&password)).map_err(|()| unreachable_server())?;
        }
        let info = url.as_str().into_connection_info();
        let info = info.map_err(|_| Error::permanent("store-url", "this is no redis:// address"))?;
        let client = Client::open(info).map_err(failed)?;
        let limits = ConnectionManagerConfig::new()
            .set_number_of_retries(3)
            .set_connection_timeout(Some(Duration::from_secs(5)))
            .set_response_timeout(Some(Duration::from_secs(2)));
        let connection = ConnectionManager::new_with_config(client, limits).await;
        let connection = connection.map_err(|error| unreachable_server().because(error))?;
        Ok(Redis { connection, prefix: format!("streamverse:{}:", cx.owner.deployment) })
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

fn unreachable_server() -> Error {
    Error::passing("store-unreachable", "the cache's server does not answer")
}

fn failed(error: RedisError) -> Error {
    Error::passing("cache", "the cache did not do it").because(error)
}

#[async_trait]
impl Cache for Redis {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let found: Option<Vec<u8>> = self.connection.clone().get(self.key(key)).await.map_err(failed)?;
        Ok(found.map(Bytes::from))
    }

    async fn put(&self, key: &str, value: Bytes, lifetime: Duration) -> Result<()> {
        let life = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX).max(1);
        let put: redis::Pipeline = {
            let mut pipe = redis::pipe();
            pipe.cmd("PSETEX").arg(self.key(key)).arg(life).arg(value.as_ref()).ignore();
            pipe
        };
        put.query_async::<()>(&mut self.connection.clone()).await.map_err(failed)
    }

    async fn remove(&self, key: &str) -> Result<()> {
        self.connection.clone().del::<_, ()>(self.key(key)).await.map_err(failed)
    }

    async fn probe(&self) -> Result<()> {
        redis::cmd("PING").query_async::<()>(&mut self.connection.clone()).await.map_err(failed)
    }
}
