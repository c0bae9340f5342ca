//! Time zones: names of the IANA database, and the local clock at an instant.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::platform::SpecError;

/// A time zone.
#[derive(Clone, Debug)]
pub struct Zone(pub(super) TimeZone);

impl Zone {
    /// The one of a name.
    ///
    /// # Errors
    /// A name that the IANA database does not have; it says which one was probably meant.
    pub fn named(name: &str) -> Result<Zone, SpecError> {
        let database = jiff::tz::db();
        match database.get(name) {
            Ok(zone) if name.len() <= 100 => Ok(Zone(zone)),
            _ => {
                let names: Vec<String> = database.available().map(|it| it.to_string()).collect();
                let near = tfplugin_schema::validate::nearest(name, names.iter().map(String::as_str));
                let near = near.map(|it| format!(" Did you mean {it:?}?")).unwrap_or_default();
                let name: String = name.chars().take(100).collect();
                Err(SpecError::new(format!(
                    "there is no time zone {name:?}: give a name of the IANA database, such as Europe/Berlin.{near}"
                )))
            }
        }
    }

    /// The local clock is this much ahead of UTC, in milliseconds.
    pub(super) fn offset_ms(&self, ms: u64) -> i64 {
        let instant = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        instant.map_or(0, |it| i64::from(self.0.to_offset(it).seconds()) * 1000)
    }

    /// The local hour at an instant, counted from the epoch, and how many milliseconds of it are left.
    pub fn hour(&self, ms: u64) -> (i64, u64) {
        let local = i64::try_from(ms).unwrap_or(i64::MAX).saturating_add(self.offset_ms(ms));
        let passed = u64::try_from(local.rem_euclid(3_600_000)).unwrap_or(0);
        (local.div_euclid(3_600_000), 3_600_000 - passed)
    }
}
