//! What a `kafka:` URL says.

use std::time::Duration;

use crate::error::{Error, Result};

#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) brokers: String,
    pub(super) prefix: String,
    /// These three win over what a caller asks for: who runs the cluster knows its size.
    pub(super) partitions: Option<u32>,
    pub(super) replication: Option<u16>,
    pub(super) retention: Option<Duration>,
    pub(super) username: Option<String>,
    pub(super) sasl: Sasl,
    pub(super) tls: bool,
}

/// How one logs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sasl {
    #[default]
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Sasl {
    const ALL: [Sasl; 3] = [Sasl::Plain, Sasl::ScramSha256, Sasl::ScramSha512];

    /// As Kafka and the IANA name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Sasl::Plain => "PLAIN",
            Sasl::ScramSha256 => "SCRAM-SHA-256",
            Sasl::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Settings {
    pub(super) fn read(url: &url::Url) -> Result<Settings> {
        let mut settings = Settings::default();
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "brokers" => settings.brokers = value.into_owned(),
                "prefix" => settings.prefix = value.into_owned(),
                "partitions" => settings.partitions = Some(number(&key, &value)?),
                "replication" => settings.replication = Some(number(&key, &value)?),
                "retention_ms" => settings.retention = Some(Duration::from_millis(number(&key, &value)?)),
                "username" => settings.username = Some(value.into_owned()),
                "sasl" => {
                    let found = Sasl::ALL.into_iter().find(|it| it.name() == value);
                    settings.sasl = found.ok_or_else(|| {
                        let text = format!("`sasl` of a kafka:// store is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512: {value:?}");
                        Error::permanent("store-url", text)
                    })?;
                }
                "tls" if value == "true" => settings.tls = true,
                other => {
                    let text = format!(
                        "a kafka:// store has no parameter {other:?}: prefix, partitions, replication, \
                         retention_ms, username, sasl, tls=true, secret, ca and certificate are those that it has"
                    );
                    return Err(Error::permanent("store-url", text));
                }
            }
        }
        Ok(settings)
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| {
        Error::permanent("store-url", format!("`{key}` of a kafka:// store is no such number: {value:?}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Settings> {
        Settings::read(&url::Url::parse(&format!("kafka://a:1?{query}")).unwrap())
    }

    #[test]
    fn a_parameter_that_nobody_reads_is_named() {
        assert_eq!(read("partitions=12&prefix=x").unwrap().partitions, Some(12));
        assert!(read("tls=perhaps").unwrap_err().message.contains("\"tls\""));
        assert_eq!(read("sasl=SCRAM-SHA-512").unwrap().sasl, Sasl::ScramSha512);
        assert!(read("sasl=GSSAPI").unwrap_err().message.contains("SCRAM-SHA-256"));
        assert!(read("replication=70000").unwrap_err().message.contains("`replication`"));
    }
}
