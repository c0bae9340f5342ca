//! A catalogue in PostgreSQL or YugabyteDB: `postgres://USER@HOST:PORT/DATABASE?secret=…`, password from the credential.
//!
//! TLS to the server is not built in yet: use it inside of a private network.

use std::time::Duration;

use async_trait::async_trait;
use streamverse_model::platform::CredentialUse;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};
use tracing::debug;

use crate::context::ServiceContext;
use crate::error::{Error, Result};
use crate::stores::{AssetRecord, Catalogue};

const CONNECT: Duration = Duration::from_secs(10);
const QUERY: Duration = Duration::from_secs(20);

pub(in crate::stores) struct Postgres {
    config: Config,
    // Reconnected when it is closed: services live longer than connections.
    client: Mutex<Option<Client>>,
}

impl Postgres {
    pub(in crate::stores) async fn open(
        url: &url::Url,
        secret: Option<&CredentialUse>,
        cx: &ServiceContext,
    ) -> Result<Postgres> {
        let mut config = Config::new();
        config
            .host(url.host_str().unwrap_or_default())
            .port(url.port().unwrap_or(5432))
            .connect_timeout(CONNECT);
        config.application_name(format!("streamverse-{}", cx.owner.key()));
        if !url.username().is_empty() {
            config.user(url.username());
        }
        let database = url.path().trim_matches('/');
        if !database.is_empty() {
            config.dbname(database);
        }
        if let Some(secret) = secret {
            config.password(cx.credential(secret, "password")?);
        }
        let postgres = Postgres { config, client: Mutex::new(None) };
        // Two services that begin at once may both try to make the table; the second finds it.
        let sql =
            "create table if not exists streamverse_assets (name text primary key, record text not null)";
        for attempt in 0_u64.. {
            match postgres.execute(sql, &[]).await {
                Err(error) if attempt < 3 => {
                    debug!(error = %error.chain(), "The table was not made; trying again.");
                    tokio::time::sleep(Duration::from_millis(
                        100 * (attempt + 1) + rand::random_range(0..100),
                    ))
                    .await;
                }
                settled => {
                    settled?;
                    break;
                }
            }
        }
        Ok(postgres)
    }

    async fn execute(&self, sql: &str, values: &[&(dyn tokio_postgres::types::ToSql + Sync)]) -> Result<()> {
        self.query(sql, values).await.map(|_| ())
    }

    async fn query(
        &self,
        sql: &str,
        values: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>> {
        let mut client = self.client.lock().await;
        let connected = match client.take().filter(|client| !client.is_closed()) {
            Some(connected) => connected,
            None => self.connect().await?,
        };
        let answer = tokio::time::timeout(QUERY, connected.query(sql, values)).await;
        let failed = |text: &str| Error::passing("catalogue", text);
        match answer {
            Ok(Ok(rows)) => {
                *client = Some(connected);
                Ok(rows)
            }
            Ok(Err(error)) => {
                if !connected.is_closed() {
                    *client = Some(connected);
                }
                Err(failed("the catalogue did not do it").because(error))
            }
            Err(_) => Err(failed("the catalogue did not answer within 20 s")),
        }
    }

    async fn connect(&self) -> Result<Client> {
        let unreachable =
            || Error::passing("store-unreachable", "the catalogue's PostgreSQL does not answer");
        let connecting = tokio::time::timeout(CONNECT, self.config.connect(NoTls)).await;
        let (client, connection) =
            connecting.map_err(|_| unreachable())?.map_err(|error| unreachable().because(error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "The connection to PostgreSQL ended.");
            }
        });
        Ok(client)
    }
}

#[async_trait]
impl Catalogue for Postgres {
    async fn publish(&self, asset: &AssetRecord) -> Result<()> {
        let record = super::super::encode(asset)?;
        let sql = "insert into streamverse_assets (name, record) values ($1, $2) \
                   on conflict (name) do update set record = excluded.record";
        self.execute(sql, &[&asset.name, &record]).await
    }

    async fn asset(&self, name: &str) -> Result<Option<AssetRecord>> {
        let rows = self.query("select record from streamverse_assets where name = $1", &[&name]).await?;
        rows.first().map(|row| super::super::decode(row.get(0))).transpose()
    }

    async fn assets(&self) -> Result<Vec<AssetRecord>> {
        let rows = self.query("select record from streamverse_assets order by name", &[]).await?;
        rows.iter().map(|row| super::super::decode(row.get(0))).collect()
    }

    async fn withdraw(&self, name: &str) -> Result<()> {
        self.execute("delete from streamverse_assets where name = $1", &[&name]).await
    }

    async fn probe(&self) -> Result<()> {
        self.query("select 1 from streamverse_assets limit 1", &[]).await.map(|_| ())
    }
}
