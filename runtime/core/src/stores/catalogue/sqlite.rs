//! A catalogue in a file, shared by several processes of one machine (write-ahead log).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::stores::records::first_version;
use crate::stores::{AssetRecord, Catalogue, Record, Records};

pub(in crate::stores) struct Sqlite {
    connection: Arc<Mutex<Connection>>,
    /// Sees what every other connection commits, that one of ours included (SQLite, "PRAGMA data_version").
    watch: Mutex<Connection>,
}

impl Sqlite {
    pub(in crate::stores) async fn open(file: PathBuf) -> Result<Sqlite> {
        let open = move || -> Result<(Connection, Connection)> {
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
                    "create table if not exists assets (name text primary key, record text not null) strict;
                     create table if not exists records (collection text not null, id text not null, \
                       version integer not null, record text not null, primary key (collection, id)) strict, without rowid;",
                )
                .map_err(failed)?;
            let watch = Connection::open(&file).map_err(failed)?;
            Ok((connection, watch))
        };
        let (connection, watch) = blocking(open).await?;
        Ok(Sqlite { connection: Arc::new(Mutex::new(connection)), watch: Mutex::new(watch) })
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

#[async_trait]
impl Records for Sqlite {
    async fn insert(&self, collection: &str, id: &str, value: &Value) -> Result<bool> {
        let values = (collection.to_owned(), id.to_owned(), first_version(), value.to_string());
        let sql = "insert into records (collection, id, version, record) values (?1, ?2, ?3, ?4) on conflict do nothing";
        self.with(move |db| db.prepare_cached(sql)?.execute(values).map(|count| count == 1)).await
    }

    async fn get(&self, collection: &str, id: &str) -> Result<Option<Record>> {
        let values = (collection.to_owned(), id.to_owned());
        let sql = "select id, version, record from records where collection = ?1 and id = ?2";
        let found = self.with(move |db| db.prepare_cached(sql)?.query_row(values, row).optional()).await?;
        found.map(|row| read(row).map(|(_, record)| record)).transpose()
    }

    async fn version(&self, collection: &str, id: &str) -> Result<Option<u64>> {
        let values = (collection.to_owned(), id.to_owned());
        let sql = "select version from records where collection = ?1 and id = ?2";
        let found = self
            .with(move |db| db.prepare_cached(sql)?.query_row(values, |row| row.get::<_, i64>(0)).optional())
            .await?;
        Ok(found.map(|version| u64::try_from(version).unwrap_or_default()))
    }

    fn stamp(&self) -> Option<i64> {
        // Nothing but this takes it, and it reads shared memory: microseconds. Whoever comes in between asks the long way.
        let watch = self.watch.try_lock().ok()?;
        let mut statement = watch.prepare_cached("pragma data_version").ok()?;
        statement.query_row([], |row| row.get(0)).ok()
    }

    async fn replace(&self, collection: &str, id: &str, version: u64, value: &Value) -> Result<bool> {
        let version = i64::try_from(version).unwrap_or(-1);
        let values = (collection.to_owned(), id.to_owned(), version, value.to_string());
        let sql = "update records set version = version + 1, record = ?4 where collection = ?1 and id = ?2 and version = ?3";
        self.with(move |db| db.prepare_cached(sql)?.execute(values).map(|count| count == 1)).await
    }

    async fn remove(&self, collection: &str, id: &str) -> Result<()> {
        let values = (collection.to_owned(), id.to_owned());
        let sql = "delete from records where collection = ?1 and id = ?2";
        self.with(move |db| db.execute(sql, values).map(|_| ())).await
    }

    async fn list(&self, collection: &str, after: &str, limit: u32) -> Result<Vec<(String, Record)>> {
        let values = (collection.to_owned(), after.to_owned(), limit);
        let sql =
            "select id, version, record from records where collection = ?1 and id > ?2 order by id limit ?3";
        let all = self.with(move |db| {
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.query_map(values, row)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        all.await?.into_iter().map(read).collect()
    }

    async fn ids(&self, collection: &str, after: &str, limit: u32) -> Result<Vec<String>> {
        let values = (collection.to_owned(), after.to_owned(), limit);
        let sql = "select id from records where collection = ?1 and id > ?2 order by id limit ?3";
        let all = self.with(move |db| {
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.query_map(values, |row| row.get::<_, String>(0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        all.await
    }

    async fn last(&self, collection: &str) -> Result<Option<(String, Record)>> {
        let values = (collection.to_owned(),);
        let sql = "select id, version, record from records where collection = ?1 order by id desc limit 1";
        let found = self.with(move |db| db.prepare_cached(sql)?.query_row(values, row).optional()).await?;
        found.map(read).transpose()
    }

    async fn remove_before(&self, collection: &str, id: &str) -> Result<()> {
        let values = (collection.to_owned(), id.to_owned());
        let sql = "delete from records where collection = ?1 and id < ?2";
        self.with(move |db| db.execute(sql, values).map(|_| ())).await
    }
}

type Row = (String, i64, String);

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn read((id, version, text): Row) -> Result<(String, Record)> {
    let value = serde_json::from_str(&text).map_err(|error| {
        Error::permanent("catalogue", format!("the record {id:?} is no JSON")).because(error)
    })?;
    Ok((id, Record { version: u64::try_from(version).unwrap_or_default(), value }))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::passing("catalogue", "the catalogue's thread ended early").because(error))?
}
