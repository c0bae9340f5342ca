//! Values that are strings in HCL and more than strings in Rust: durations and sizes with units, JSON,
//! address ranges, points in time. Each keeps the spelling that the configuration chose.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Scalar;
use crate::validate::Validator;
use crate::{Type, Value};

/// A span of time such as `"90s"`, `"1h30m"`, `"250ms"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Duration(pub std::time::Duration);

impl Duration {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Duration {
        Duration(std::time::Duration::from_secs(seconds))
    }
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Duration {
        Duration(duration)
    }
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Duration, String> {
        let refuse =
            || "must be a span of time with units, such as \"90s\", \"1h30m\" or \"250ms\"".to_owned();
        humantime::parse_duration(text).map(Duration).map_err(|_| refuse())
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spaced = humantime::format_duration(self.0).to_string();
        f.write_str(&spaced.replace(' ', ""))
    }
}

#[derive(Debug)]
pub(crate) struct IsDuration;

impl Validator for IsDuration {
    fn describe(&self) -> String {
        "must be a span of time with units, such as `\"90s\"`".to_owned()
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        Duration::parse(value).map(|_| ())
    }
}

/// A number of bytes such as `"64MiB"`, `"1.5GB"`, `"512B"`. Units: B, kB, MB, GB, TB, PB (powers of 1000)
/// and KiB, MiB, GiB, TiB, PiB (powers of 1024).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 12] = [
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let refuse = || "must be a number of bytes with a unit, such as \"64MiB\" or \"1.5GB\"".to_owned();
        let text = text.trim();
        let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(refuse)?;
        let number = text.strip_suffix(unit.0).unwrap_or_default().trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty()
            || !digits(whole)
            || !digits(fraction)
            || number.ends_with('.')
            || fraction.len() > 15
        {
            return Err(refuse());
        }
        let too_large = || "is more bytes than 64 bits can count".to_owned();
        let whole: u128 = whole.parse().map_err(|_| too_large())?;
        let scale = 10_u128.pow(fraction.len() as u32);
        let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| refuse())? };
        let scaled = whole.checked_mul(scale).and_then(|n| n.checked_add(part)).ok_or_else(too_large)?;
        let bytes = scaled.checked_mul(u128::from(unit.1)).ok_or_else(too_large)?;
        if bytes % scale != 0 {
            return Err("must be a whole number of bytes".to_owned());
        }
        u64::try_from(bytes / scale).map(Size).map_err(|_| too_large())
    }
}

/// The largest binary unit that divides it.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS[..5].iter().find(|(_, bytes)| self.0 != 0 && self.0.is_multiple_of(*bytes));
        match binary {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// A JSON document in a string. White space and the order of keys mean nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(pub serde_json::Value);

impl FromStr for Json {
    type Err = String;

    fn from_str(text: &str) -> Result<Json, String> {
        serde_json::from_str(text)
            .map(Json)
            .map_err(|error| format!("must be JSON (line {}, column {})", error.line(), error.column()))
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A range of IP addresses such as `"10.0.0.0/8"`. Bits beyond the prefix must be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr(pub ipnet::IpNet);

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Cidr, String> {
        let refuse =
            || "must be a range of addresses, such as \"10.0.0.0/8\" or \"2001:db8::/32\"".to_owned();
        let net: ipnet::IpNet = text.parse().map_err(|_| refuse())?;
        // ipnet also reads leading zeros, which are octal elsewhere: 010.0.0.0 is not one address to all.
        let (address, prefix) = text.split_once('/').ok_or_else(refuse)?;
        if address.parse::<std::net::IpAddr>().is_err() || prefix != net.prefix_len().to_string() {
            return Err(refuse());
        }
        if net.trunc() != net {
            return Err(format!(
                "must be a network address: its bits beyond /{} must be zero",
                net.prefix_len()
            ));
        }
        Ok(Cidr(net))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A point in time as RFC 3339 spells it: `"2026-11-22T18:00:00Z"`. The same instant in another zone means
/// the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub jiff::Timestamp);

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Timestamp, String> {
        let refuse = || "must be a time as RFC 3339 spells it, such as \"2026-11-22T18:00:00Z\"".to_owned();
        // jiff also reads shapes that RFC 3339 does not have: a space, a comma, other offsets, annotations.
        if !is_rfc_3339(text) {
            return Err(refuse());
        }
        text.parse().map(Timestamp).map_err(|_| refuse())
    }
}

// The shape alone, `0` for any digit; jiff judges the numbers.
fn is_rfc_3339(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let Some(zone) =
        shape.strip_prefix("0000-00-00T00:00:00").or_else(|| shape.strip_prefix("0000-00-00t00:00:00"))
    else {
        return false;
    };
    let zone = match zone.strip_prefix(".0") {
        Some(fraction) => fraction.trim_start_matches('0'),
        None => zone,
    };
    matches!(zone, "Z" | "z" | "+00:00" | "-00:00")
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! spelled {
    ($($name:ident),*) => { $(
        impl Scalar for $name {
            const TYPE: Type = Type::String;

            fn parse(value: &Value) -> Result<$name, String> {
                match value.as_str() {
                    Some(text) => text.parse(),
                    None => Err(format!("must be a string, not {}", value.kind())),
                }
            }

            fn spell(&self) -> Value {
                Value::String(self.to_string())
            }
        }
    )* };
}
spelled!(Duration, Size, Json, Cidr, Timestamp);

macro_rules! serde_as_text {
    ($($name:ident),*) => { $(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|why: String| serde::de::Error::custom(format!("the value {why}")))
            }
        }
    )* };
}
serde_as_text!(Duration, Size, Cidr, Timestamp);
