//! A catalogue in a file, shared by several processes of one machine (write-ahead log).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _};

use crate::error::{Error, Result};
use crate::stores::{AssetRecord, Catalogue};

pub(in crate::stores) struct Sqlite {
    connection: Arc<Mutex<Connection>>,
}

impl Sqlite {
    pub(in crate::stores) async fn open(file: PathBuf) -> Result<Sqlite> {
        let open = move || -> Result<Connection> {
            let failed = |error: rusqlite::Error| {
                Error::passing(
                    "store-unreachable",
                    format!("the catalogue {} cannot be opened", file.display()),
                )
                .because(error)
            };
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder).map_err(|error| {
                    Error::passing("store-unreachable", format!("{} cannot be made", folder.display()))
                        .because(error)
                })?;
            }
            let connection = Connection::open(&file).map_err(failed)?;
            connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
            connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
            connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
            connection
                .execute_batch(
                    "create table if not exists assets (name text primary key, record text not null) strict",
                )
                .map_err(failed)?;
            Ok(connection)
        };
        let connection = blocking(open).await?;
        Ok(Sqlite { connection: Arc::new(Mutex::new(connection)) })
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let connection = Arc::clone(&self.connection);
        blocking(move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&connection).map_err(|error| {
                let full = matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull));
                Error::passing(if full { "disk-full" } else { "catalogue" }, "the catalogue did not do it")
                    .because(error)
            })
        })
        .await
    }
}

#[async_trait]
impl Catalogue for Sqlite {
    async fn publish(&self, asset: &AssetRecord) -> Result<()> {
        let (name, record) = (asset.name.clone(), super::super::encode(asset)?);
        let sql =
            "insert into assets (name, record) values (?1, ?2) on conflict (name) do update set record = ?2";
        self.with(move |db| db.execute(sql, (name, record)).map(|_| ())).await
    }

    async fn asset(&self, name: &str) -> Result<Option<AssetRecord>> {
        let name = name.to_owned();
        let sql = "select record from assets where name = ?1";
        let found: Option<String> =
            self.with(move |db| db.query_row(sql, [name], |row| row.get(0)).optional()).await?;
        found.map(|text| super::super::decode(&text)).transpose()
    }

    async fn assets(&self) -> Result<Vec<AssetRecord>> {
        let all = self.with(|db| {
            let mut statement = db.prepare("select record from assets order by name")?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        all.await?.iter().map(|text| super::super::decode(text)).collect()
    }

    async fn withdraw(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.with(move |db| db.execute("delete from assets where name = ?1", [name]).map(|_| ())).await
    }

    async fn probe(&self) -> Result<()> {
        self.with(|db| db.query_row("select count(*) from assets", [], |_| Ok(()))).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::passing("catalogue", "the catalogue's thread ended early").because(error))?
}
