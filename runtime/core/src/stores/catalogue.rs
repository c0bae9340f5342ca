//! Catalogues: SQLite on one machine, PostgreSQL (or YugabyteDB's YSQL) in a cluster. Both keep an asset as one row, so
//! that what is shown changes at once.

#[cfg(feature = "postgres")]
pub(super) mod postgres;
pub(super) mod sqlite;
