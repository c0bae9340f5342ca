//! A catalogue in PostgreSQL or YugabyteDB: `postgres://USER@HOST:PORT/DATABASE?secret=…`, password from the credential.
//!
//! One connection carries all calls, pipelined, and is made anew when it ended: services live longer than connections.
//! Every statement may be repeated, so one that met a server on its way down is sent again until [`PATIENCE`] is over.
//! TLS to the server is not built in yet: use it inside of a private network.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamverse_model::platform::CredentialUse;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};
use tracing::debug;

use crate::context::ServiceContext;
use crate::error::{Error, Result};
use crate::stores::{AssetRecord, Catalogue};

const CONNECT: Duration = Duration::from_secs(5);
const QUERY: Duration = Duration::from_secs(20);
/// How long the server may be away before a call fails: it is being started again, or another takes over.
const PATIENCE: Duration = Duration::from_secs(30);

type Values<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

pub(in crate::stores) struct Postgres {
    config: Config,
    /// For messages: user, host, port and database.
    place: String,
    client: Mutex<Option<Arc<Client>>>,
}

impl Postgres {
    pub(in crate::stores) async fn open(
        url: &url::Url,
        secret: Option<&CredentialUse>,
        cx: &ServiceContext,
    ) -> Result<Postgres> {
        if let Some((key, _)) = url.query_pairs().next() {
            let text = format!("a postgres:// store has no parameter {key:?}: secret is the one that it has");
            return Err(Error::permanent("store-url", text));
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port().unwrap_or(5432);
        let database = url.path().trim_matches('/');
        let mut config = Config::new();
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
        let postgres = Postgres { config, place, client: Mutex::new(None) };
        postgres.make_table().await?;
        Ok(postgres)
    }

    /// Two services that begin at once may both try to make the table: `if not exists` looks before it makes, so the
    /// second may fail on the first one's rows in the system's tables, and finds the table when it looks again.
    async fn make_table(&self) -> Result<()> {
        let sql =
            "create table if not exists streamverse_assets (name text primary key, record text not null)";
        match self.query(sql, &[]).await {
            Err(error) if error.retry && error.code == "catalogue" => self.query(sql, &[]).await?,
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
        let connecting = tokio::time::timeout(CONNECT, self.config.connect(NoTls)).await;
        let (client, connection) =
            connecting.map_err(|_| self.away())?.map_err(|error| self.failed(error, true))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "The connection to PostgreSQL ended.");
            }
        });
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
        let sql = "insert into streamverse_assets (name, record) values ($1, $2) \
                   on conflict (name) do update set record = excluded.record";
        self.query(sql, &[(&asset.name, Type::TEXT), (&record, Type::TEXT)]).await.map(|_| ())
    }

    async fn asset(&self, name: &str) -> Result<Option<AssetRecord>> {
        let sql = "select record from streamverse_assets where name = $1";
        self.query(sql, &[(&name, Type::TEXT)]).await?.first().map(decode).transpose()
    }

    async fn assets(&self) -> Result<Vec<AssetRecord>> {
        // Bytes decide the order, as in SQLite, whatever the database's language is.
        let sql = "select record from streamverse_assets order by name collate \"C\"";
        self.query(sql, &[]).await?.iter().map(decode).collect()
    }

    async fn withdraw(&self, name: &str) -> Result<()> {
        let sql = "delete from streamverse_assets where name = $1";
        self.query(sql, &[(&name, Type::TEXT)]).await.map(|_| ())
    }

    async fn probe(&self) -> Result<()> {
        self.once("select 1 from streamverse_assets limit 1", &[]).await.map(|_| ())
    }
}

fn decode(row: &Row) -> Result<AssetRecord> {
    let text = row.try_get(0).map_err(|error| {
        Error::permanent("catalogue", "the table streamverse_assets is not ours").because(error)
    })?;
    super::super::decode(text)
}
