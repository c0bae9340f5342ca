//! What a request asks for, whole: its address, and what stands behind the question mark.

use super::answers::Resource;
use super::query::Query;

/// What a request below `/channel/NAME/` asks for, read without knowing what plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub(super) resource: Resource,
    pub(super) query: Query,
}

/// Why a request asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoQuestion {
    /// There is no such address.
    Missing,
    /// What stands behind the question mark is refused.
    Refused {
        /// For programs. It never changes.
        code: &'static str,
        /// For people.
        message: &'static str,
    },
}

impl Question {
    /// Reads what follows the channel's name in an address, and what follows its question mark.
    ///
    /// # Errors
    /// What is no address of a channel, and what a playlist cannot be asked.
    pub fn read(path: &str, query: Option<&str>) -> Result<Question, NoQuestion> {
        let resource = Resource::parse(path).ok_or(NoQuestion::Missing)?;
        let query =
            Query::parse(query).map_err(|it| NoQuestion::Refused { code: it.code, message: it.message })?;
        Ok(Question { resource, query })
    }

    /// What the addresses in its playlists carry on: the stretch of time alone.
    pub fn carried(&self) -> String {
        self.query.carried()
    }

    /// The stretch of time, in milliseconds since the epoch.
    pub fn stretch(&self) -> (Option<u64>, Option<u64>) {
        (self.query.from, self.query.to)
    }
}
