//! A catalogue in PostgreSQL or YugabyteDB: `postgres://USER@HOST:PORT/DATABASE?secret=…`, password from the credential;
//! with `sslmode=verify-full`, which has libpq's meaning, by TLS.
//!
//! One connection carries all calls, pipelined, and is made anew when it ended: services live longer than connections.
//! Every statement may be repeated, so one that met a server on its way down is sent again until [`PATIENCE`] is over.
//!
//! Deployments may share a database: each row belongs to one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use serde_json::Value;
use streamverse_model::platform::{Certificates, CredentialUse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::debug;

use crate::context::ServiceContext;
use crate::error::{Error, Result};
use crate::stores::records::first_version;
use crate::stores::{AssetRecord, Catalogue, Record, Records, tls};

const CONNECT: Duration = Duration::from_secs(5);
const QUERY: Duration = Duration::from_secs(20);
/// How long the server may be away before a call fails: it is being started again, or another takes over.
const PATIENCE: Duration = Duration::from_secs(30);

/// Before 0.1 had a first release, rows belonged to nobody: they become those of whoever finds them so first.
const MAKE_TABLE: &str = "
do $$ begin
  if to_regclass('streamverse_assets') is null then
    create table streamverse_assets (
      deployment text not null, name text not null, record text not null, primary key (deployment, name));
  end if;
  if not exists (select from pg_attribute where attrelid = to_regclass('streamverse_assets')
      and attname = 'deployment' and not attisdropped) then
    lock table streamverse_assets in access exclusive mode;
    if not exists (select from pg_attribute where attrelid = to_regclass('streamverse_assets')
        and attname = 'deployment' and not attisdropped) then
      alter table streamverse_assets add column deployment text not null default 'DEPLOYMENT';
      alter table streamverse_assets alter column deployment drop default;
      alter table streamverse_assets drop constraint streamverse_assets_pkey;
      alter table streamverse_assets add primary key (deployment, name);
    end if;
  end if;
  if to_regclass('streamverse_records') is null then
    create table streamverse_records (
      deployment text not null, collection text not null, id text collate \"C\" not null, version bigint not null,
      record text not null, primary key (deployment, collection, id));
  end if;
end $$";

type Values<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

pub(in crate::stores) struct Postgres {
    config: Config,
    /// For messages: user, host, port and database.
    place: String,
    /// Whose rows are ours.
    deployment: String,
    tls: Option<MakeRustlsConnect>,
    client: Mutex<Option<Arc<Client>>>,
}

impl Postgres {
    pub(in crate::stores) async fn open(
        url: &url::Url,
        secret: Option<&CredentialUse>,
        certificates: &Certificates,
        cx: &ServiceContext,
    ) -> Result<Postgres> {
        let mut config = Config::new();
        config.ssl_mode(SslMode::Disable);
        for (key, value) in url.query_pairs() {
            if key != "sslmode" || value != "verify-full" {
                let text = format!(
                    "a postgres:// store has no parameter {key:?} with this value: sslmode=verify-full, secret, ca \
                     and certificate are those that it has"
                );
                return Err(Error::permanent("store-url", text));
            }
            config.ssl_mode(SslMode::Require);
        }
        let is_tls = config.get_ssl_mode() == SslMode::Require;
        let pems = tls::Pems::read(certificates, is_tls, cx)?;
        let tls = is_tls.then(|| pems.client().map(MakeRustlsConnect::new)).transpose()?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port().unwrap_or(5432);
        let database = url.path().trim_matches('/');
        config.host(host).port(port).connect_timeout(CONNECT);
        config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(QUERY);
        config.application_name(format!("streamverse-{}", cx.owner.key()));
        if !url.username().is_empty() {
            config.user(url.username());
        }
        if !database.is_empty() {
            config.dbname(database);
        }
        if let Some(secret) = secret {
            config.password(cx.credential(secret, "password")?);
        }
        let place = format!("{}@{host}:{port}/{database}", url.username());
        let deployment = cx.owner.deployment.to_string();
        let postgres = Postgres { config, place, deployment, tls, client: Mutex::new(None) };
        postgres.make_table().await?;
        Ok(postgres)
    }

    /// Two services that begin at once may both try to make the table: `if not exists` looks before it makes, so the
    /// second may fail on the first one's rows in the system's tables, and finds the table when it looks again.
    async fn make_table(&self) -> Result<()> {
        // A name has a-z, 0-9 and `-` only, so it may stand in a statement.
        let sql = MAKE_TABLE.replace("DEPLOYMENT", &self.deployment);
        match self.query(&sql, &[]).await {
            Err(error) if error.retry && error.code == "catalogue" => self.query(&sql, &[]).await?,
            settled => settled?,
        };
        Ok(())
    }

    async fn query(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>> {
        let until = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(50);
        loop {
            let failure = match self.once(sql, values).await {
                Err(error) if error.retry && error.code == "store-unreachable" => error,
                settled => return settled,
            };
            if Instant::now() + pause >= until {
                return Err(failure);
            }
            debug!(error = %failure.chain(), "The catalogue is away; trying again.");
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    async fn once(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>> {
        let client = self.client().await?;
        match tokio::time::timeout(QUERY, client.query_typed(sql, values)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(self.failed(error, client.is_closed())),
            Err(_) => {
                // Whatever it waits for, others must not wait behind it: they get another connection.
                let mut current = self.client.lock().await;
                if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &client)) {
                    *current = None;
                }
                let text =
                    format!("the catalogue {} did not answer within {} s", self.place, QUERY.as_secs());
                Err(Error::passing("catalogue", text))
            }
        }
    }

    async fn client(&self) -> Result<Arc<Client>> {
        let mut current = self.client.lock().await;
        if let Some(client) = current.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let connecting = async {
            match &self.tls {
                Some(tls) => {
                    self.config.connect(tls.clone()).await.map(|(client, it)| (client, serve(it).boxed()))
                }
                None => self.config.connect(NoTls).await.map(|(client, it)| (client, serve(it).boxed())),
            }
        };
        let connected = tokio::time::timeout(CONNECT, connecting).await;
        let (client, connection) =
            connected.map_err(|_| self.away())?.map_err(|error| self.failed(error, true))?;
        tokio::spawn(connection);
        let client = Arc::new(client);
        *current = Some(Arc::clone(&client));
        Ok(client)
    }

    fn away(&self) -> Error {
        Error::passing(
            "store-unreachable",
            format!("the catalogue's PostgreSQL {} does not answer", self.place),
        )
    }

    fn failed(&self, error: tokio_postgres::Error, closed: bool) -> Error {
        let place = &self.place;
        // Only its text tells a server that has no TLS from other failures.
        if tls::failed(&error) || error.to_string().starts_with("error performing TLS handshake") {
            return tls::distrust(&format!("PostgreSQL {place}")).because(error);
        }
        let Some(code) = error.code() else {
            // Not in the server's words: the connection broke, or the login failed on this side (no password was given
            // where one is asked for).
            let source = std::error::Error::source(&error);
            let broken =
                error.is_closed() || source.is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
            return if broken { self.away() } else { self.refusal(place) }.because(error);
        };
        let text = match *code {
            SqlState::INVALID_PASSWORD
            | SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            | SqlState::INSUFFICIENT_PRIVILEGE => return self.refusal(place).because(error),
            SqlState::INVALID_CATALOG_NAME => {
                let text = format!("PostgreSQL has no such database ({place}): make it, or name another one");
                return Error::permanent("store-missing", text).because(error);
            }
            SqlState::CANNOT_CONNECT_NOW
            | SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::TOO_MANY_CONNECTIONS => return self.away().because(error),
            SqlState::DISK_FULL => {
                return Error::passing("disk-full", "the catalogue's disk is full").because(error);
            }
            _ => format!("the catalogue {place} did not do it"),
        };
        if closed { self.away().because(error) } else { Error::passing("catalogue", text).because(error) }
    }

    fn refusal(&self, place: &str) -> Error {
        let text = format!("PostgreSQL refuses the login {place}: set the password in the resource's secret");
        Error::passing("store-credentials", text)
    }
}

#[async_trait]
impl Catalogue for Postgres {
    async fn publish(&self, asset: &AssetRecord) -> Result<()> {
        let record = super::super::encode(asset)?;
        let sql = "insert into streamverse_assets (deployment, name, record) values ($1, $2, $3) \
                   on conflict (deployment, name) do update set record = excluded.record";
        let values =
            [&self.deployment, &asset.name, &record].map(|it| (it as &(dyn ToSql + Sync), Type::TEXT));
        self.query(sql, &values).await.map(|_| ())
    }

    async fn asset(&self, name: &str) -> Result<Option<AssetRecord>> {
        let sql = "select record from streamverse_assets where deployment = $1 and name = $2";
        let values: Values<'_> = &[(&self.deployment, Type::TEXT), (&name, Type::TEXT)];
        self.query(sql, values).await?.first().map(decode).transpose()
    }

    async fn assets(&self) -> Result<Vec<AssetRecord>> {
        // Bytes decide the order, as in SQLite, whatever the database's language is.
        let sql = "select record from streamverse_assets where deployment = $1 order by name collate \"C\"";
        self.query(sql, &[(&self.deployment, Type::TEXT)]).await?.iter().map(decode).collect()
    }

    async fn withdraw(&self, name: &str) -> Result<()> {
        let sql = "delete from streamverse_assets where deployment = $1 and name = $2";
        self.query(sql, &[(&self.deployment, Type::TEXT), (&name, Type::TEXT)]).await.map(|_| ())
    }

    async fn probe(&self) -> Result<()> {
        self.once("select 1 from streamverse_assets limit 1", &[]).await.map(|_| ())
    }
}

#[async_trait]
impl Records for Postgres {
    async fn insert(&self, collection: &str, id: &str, value: &Value) -> Result<bool> {
        // One that is sent again because the connection broke finds its own document: that is then the one that was kept.
        let (version, text) = (first_version(), value.to_string());
        let sql = "insert into streamverse_records (deployment, collection, id, version, record) \
                   values ($1, $2, $3, $4, $5) on conflict do nothing returning id";
        let values: Values<'_> = &[
            (&self.deployment, Type::TEXT),
            (&collection, Type::TEXT),
            (&id, Type::TEXT),
            (&version, Type::INT8),
            (&text, Type::TEXT),
        ];
        Ok(!self.query(sql, values).await?.is_empty())
    }

    async fn get(&self, collection: &str, id: &str) -> Result<Option<Record>> {
        let sql = "select id, version, record from streamverse_records \
                   where deployment = $1 and collection = $2 and id = $3";
        let values: Values<'_> =
            &[(&self.deployment, Type::TEXT), (&collection, Type::TEXT), (&id, Type::TEXT)];
        let found = self.query(sql, values).await?;
        found.first().map(|row| record(row).map(|(_, record)| record)).transpose()
    }

    async fn version(&self, collection: &str, id: &str) -> Result<Option<u64>> {
        let sql =
            "select version from streamverse_records where deployment = $1 and collection = $2 and id = $3";
        let values: Values<'_> =
            &[(&self.deployment, Type::TEXT), (&collection, Type::TEXT), (&id, Type::TEXT)];
        let found = self.query(sql, values).await?;
        let number = |row: &Row| row.try_get::<_, i64>(0).map(|it| u64::try_from(it).unwrap_or_default());
        found.first().map(number).transpose().map_err(|error| {
            Error::permanent("catalogue", "the catalogue has a record of another version").because(error)
        })
    }

    async fn replace(&self, collection: &str, id: &str, version: u64, value: &Value) -> Result<bool> {
        let (version, text) = (i64::try_from(version).unwrap_or(-1), value.to_string());
        let sql = "update streamverse_records set version = version + 1, record = $5 \
                   where deployment = $1 and collection = $2 and id = $3 and version = $4 returning id";
        let values: Values<'_> = &[
            (&self.deployment, Type::TEXT),
            (&collection, Type::TEXT),
            (&id, Type::TEXT),
            (&version, Type::INT8),
            (&text, Type::TEXT),
        ];
        Ok(!self.query(sql, values).await?.is_empty())
    }

    async fn remove(&self, collection: &str, id: &str) -> Result<()> {
        let sql = "delete from streamverse_records where deployment = $1 and collection = $2 and id = $3";
        let values: Values<'_> =
            &[(&self.deployment, Type::TEXT), (&collection, Type::TEXT), (&id, Type::TEXT)];
        self.query(sql, values).await.map(|_| ())
    }

    async fn list(&self, collection: &str, after: &str, limit: u32) -> Result<Vec<(String, Record)>> {
        let limit = i64::from(limit);
        let sql = "select id, version, record from streamverse_records \
                   where deployment = $1 and collection = $2 and id > $3 order by id limit $4";
        let values: Values<'_> = &[
            (&self.deployment, Type::TEXT),
            (&collection, Type::TEXT),
            (&after, Type::TEXT),
            (&limit, Type::INT8),
        ];
        self.query(sql, values).await?.iter().map(record).collect()
    }

    async fn ids(&self, collection: &str, after: &str, limit: u32) -> Result<Vec<String>> {
        let limit = i64::from(limit);
        let sql = "select id from streamverse_records \
                   where deployment = $1 and collection = $2 and id > $3 order by id limit $4";
        let values: Values<'_> = &[
            (&self.deployment, Type::TEXT),
            (&collection, Type::TEXT),
            (&after, Type::TEXT),
            (&limit, Type::INT8),
        ];
        let found = self.query(sql, values).await?;
        found.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>().map_err(|error| {
            Error::permanent("catalogue", "the table streamverse_records is not ours").because(error)
        })
    }

    async fn last(&self, collection: &str) -> Result<Option<(String, Record)>> {
        let sql = "select id, version, record from streamverse_records \
                   where deployment = $1 and collection = $2 order by id desc limit 1";
        let values: Values<'_> = &[(&self.deployment, Type::TEXT), (&collection, Type::TEXT)];
        self.query(sql, values).await?.first().map(record).transpose()
    }

    async fn remove_before(&self, collection: &str, id: &str) -> Result<()> {
        let sql = "delete from streamverse_records where deployment = $1 and collection = $2 and id < $3";
        let values: Values<'_> =
            &[(&self.deployment, Type::TEXT), (&collection, Type::TEXT), (&id, Type::TEXT)];
        self.query(sql, values).await.map(|_| ())
    }
}

fn record(row: &Row) -> Result<(String, Record)> {
    let odd = |error: &dyn std::error::Error| {
        Error::permanent("catalogue", format!("the table streamverse_records is not ours: {error}"))
    };
    let id: String = row.try_get(0).map_err(|error| odd(&error))?;
    let version: i64 = row.try_get(1).map_err(|error| odd(&error))?;
    let text: &str = row.try_get(2).map_err(|error| odd(&error))?;
    let value = serde_json::from_str(text).map_err(|error| {
        Error::permanent("catalogue", format!("the record {id:?} is no JSON")).because(error)
    })?;
    Ok((id, Record { version: u64::try_from(version).unwrap_or_default(), value }))
}

/// Serves a connection until it ends.
async fn serve<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    if let Err(error) = connection.await {
        debug!(%error, "The connection to PostgreSQL ended.");
    }
}

fn decode(row: &Row) -> Result<AssetRecord> {
    let text = row.try_get(0).map_err(|error| {
        Error::permanent("catalogue", "the table streamverse_assets is not ours").because(error)
    })?;
    super::super::decode(text)
}
