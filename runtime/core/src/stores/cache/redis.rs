//! A cache in a server that speaks the Redis protocol: `redis://HOST:PORT/0?secret=…`, password from the credential;
//! `rediss://` with TLS.
//!
//! All calls share one connection, on which they are pipelined. A cache that is away must not hold up what it only
//! speeds up: while it is, one caller at a time tries to reach it, ever less often, and the others fail at once.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue,
    IntoConnectionInfo as _, RedisConnectionInfo, RedisError, TlsCertificates,
};
use streamverse_model::platform::{Certificates, CredentialUse};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::debug;

use crate::context::ServiceContext;
use crate::error::{Error, Result};
use crate::stores::{Cache, tls};

const CONNECT: Duration = Duration::from_secs(1);
/// A request that takes longer than asking the store behind the cache is of no use.
const ANSWER: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(in crate::stores) struct Redis {
    client: Client,
    /// For messages: host, port and database.
    place: String,
    /// Deployments may share a server.
    prefix: String,
    link: Mutex<Link>,
}

/// The connection, or when to try again.
struct Link {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that a failure of an older one does not close a newer one.
    number: u64,
    pause: Duration,
    not_before: Option<Instant>,
}

impl Redis {
    /// Connects when it is first used: what only speeds up others does not keep them from starting.
    pub(in crate::stores) fn open(
        url: &url::Url,
        secret: Option<&CredentialUse>,
        certificates: &Certificates,
        cx: &ServiceContext,
    ) -> Result<Redis> {
        if let Some((key, _)) = url.query_pairs().next() {
            let text = format!(
                "a redis:// store has no parameter {key:?}: secret, ca and certificate are those that it has"
            );
            return Err(Error::permanent("store-url", text));
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port().unwrap_or(6379);
        let database = match url.path().trim_matches('/') {
            "" => 0,
            number => number.parse::<u16>().map_err(|_| {
                Error::permanent("store-url", "the path of a redis:// store is the number of a database")
            })?,
        };
        let place = format!("{host}:{port}/{database}");
        let mut settings = RedisConnectionInfo::default().set_db(i64::from(database)).set_skip_set_lib_name();
        if !url.username().is_empty() {
            settings = settings.set_username(url.username());
        }
        if let Some(secret) = secret {
            settings = settings.set_password(cx.credential(secret, "password")?);
        }
        let unusable = |error: RedisError| {
            Error::permanent("store-url", format!("redis://{place} cannot be used")).because(error)
        };
        let is_tls = url.scheme() == "rediss";
        let pems = tls::Pems::read(certificates, is_tls, cx)?;
        let address = if is_tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let info: ConnectionInfo = address.into_connection_info().map_err(unusable)?;
        let info = info.set_redis_settings(settings);
        let client = if is_tls {
            let text = "a certificate or the key of the store's `tls` cannot be used: they must be PEM";
            Client::build_with_tls(info, certificates_of(pems))
                .map_err(|_| Error::permanent("store-tls", text))?
        } else {
            Client::open(info).map_err(unusable)?
        };
        let link = Link { connection: None, number: 0, pause: FIRST_PAUSE, not_before: None };
        let prefix = format!("{}/", cx.owner.deployment);
        Ok(Redis { client, place, prefix, link: Mutex::new(link) })
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// A command that may be repeated. One whose connection turns out to be closed is sent once more on a new one.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let mut tried = 0;
        loop {
            let (mut connection, number) = self.connection().await?;
            let answer = tokio::time::timeout(ANSWER, command.query_async(&mut connection)).await;
            let error = match answer {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) if closes(&error) => error,
                Ok(Err(error)) => return Err(self.failed(error)),
                Err(_) => {
                    // Late answers would pile up on it.
                    self.close(number).await;
                    return Err(self.away(&format!("it did not answer within {} s", ANSWER.as_secs())));
                }
            };
            self.close(number).await;
            tried += 1;
            if tried == 2 {
                return Err(self.failed(error));
            }
        }
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64)> {
        let mut link = self.link.lock().await;
        if let Some(connection) = &link.connection {
            return Ok((connection.clone(), link.number));
        }
        if link.not_before.is_some_and(|then| Instant::now() < then) {
            return Err(self.away("it was away a moment ago"));
        }
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&settings);
        let error = match tokio::time::timeout(CONNECT, connecting).await {
            Ok(Ok(connection)) => {
                link.number += 1;
                link.pause = FIRST_PAUSE;
                link.connection = Some(connection.clone());
                debug!(place = self.place, "The cache is reached.");
                return Ok((connection, link.number));
            }
            Ok(Err(error)) => self.failed(error),
            Err(_) => self.away(&format!("it did not answer within {} s", CONNECT.as_secs())),
        };
        link.not_before = Some(Instant::now() + link.pause.mul_f64(rand::random_range(0.5..1.0)));
        link.pause = (link.pause * 2).min(LONGEST_PAUSE);
        Err(error)
    }

    async fn close(&self, number: u64) {
        let mut link = self.link.lock().await;
        if link.number == number {
            link.connection = None;
        }
    }

    fn away(&self, why: &str) -> Error {
        Error::passing("store-unreachable", format!("the cache at {} cannot be used: {why}", self.place))
    }

    fn failed(&self, error: RedisError) -> Error {
        let refused = error.kind() == redis::ErrorKind::AuthenticationFailed
            || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
        if refused {
            let place = &self.place;
            let text =
                format!("the cache at {place} refuses the login: set the password in the resource's secret");
            return Error::passing("store-credentials", text).because(error);
        }
        if tls::failed(&error) {
            return tls::distrust(&format!("the cache at {}", self.place)).because(error);
        }
        Error::passing("store-unreachable", format!("the cache at {} did not do it", self.place))
            .because(error)
    }
}

fn certificates_of(pems: tls::Pems) -> TlsCertificates {
    let own = |(chain, key): (String, String)| ClientTlsConfig {
        client_cert: chain.into_bytes(),
        client_key: key.into_bytes(),
    };
    TlsCertificates { client_tls: pems.own.map(own), root_cert: pems.ca.map(String::into_bytes) }
}

/// A lifetime of 0 is an error to the server, and so is one that its clock cannot hold: 34 years it can.
fn millis(lifetime: Duration) -> u64 {
    u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 40)
}

fn closes(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error()
}

#[async_trait]
impl Cache for Redis {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let mut command = redis::cmd("GET");
        command.arg(self.key(key));
        self.ask::<Option<Bytes>>(&command).await
    }

    async fn put(&self, key: &str, value: Bytes, lifetime: Duration) -> Result<()> {
        let mut command = redis::cmd("SET");
        command.arg(self.key(key)).arg(value.as_ref()).arg("PX").arg(millis(lifetime));
        self.ask::<()>(&command).await
    }

    async fn insert(&self, key: &str, value: Bytes, lifetime: Duration) -> Result<bool> {
        let mut command = redis::cmd("SET");
        command.arg(self.key(key)).arg(value.as_ref()).arg("NX").arg("PX").arg(millis(lifetime));
        // Sent twice where the connection broke under it, it may find its own value: then nobody is told `true`.
        Ok(self.ask::<Option<String>>(&command).await?.is_some())
    }

    async fn remove(&self, key: &str) -> Result<()> {
        let mut command = redis::cmd("DEL");
        command.arg(self.key(key));
        self.ask::<()>(&command).await
    }

    async fn probe(&self) -> Result<()> {
        self.ask::<()>(&redis::cmd("PING")).await
    }
}
