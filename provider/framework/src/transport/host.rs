//! What go-plugin hosts say to a plugin: environment variables in, one line on standard output back.

use super::error::ServeError;
use std::io::{self, Write};
use std::path::PathBuf;

/// Fixed by Terraform for all time. No secret: it tells a start by a host from one by hand.
const COOKIE: (&str, &str) =
    ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2");

/// Version of go-plugin's own handshake.
const CORE_PROTOCOL: u32 = 1;

/// The one provider protocol that we speak.
pub(super) const PROTOCOL: u32 = 6;

/// The environment that a host gives to a plugin.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) cookie: Option<String>,
    pub(super) versions: Option<String>,
    /// The host's certificate, PEM; absent where TLS is switched off.
    pub(super) client_certificate: Option<String>,
    pub(super) ports: [Option<String>; 2],
    pub(super) socket_dir: Option<PathBuf>,
    pub(super) socket_group: Option<String>,
}

impl Host {
    pub(super) fn from_environment() -> Host {
        Host::read(|name| std::env::var(name).ok())
    }

    /// As go-plugin does, an empty variable counts as absent.
    fn read(get: impl Fn(&str) -> Option<String>) -> Host {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        Host {
            cookie: get(COOKIE.0),
            versions: get("PLUGIN_PROTOCOL_VERSIONS"),
            client_certificate: get("PLUGIN_CLIENT_CERT"),
            ports: [get("PLUGIN_MIN_PORT"), get("PLUGIN_MAX_PORT")],
            socket_dir: get("PLUGIN_UNIX_SOCKET_DIR").map(PathBuf::from),
            socket_group: get("PLUGIN_UNIX_SOCKET_GROUP"),
        }
    }

    pub(super) fn check_cookie(&self, address: &str) -> Result<(), ServeError> {
        if self.cookie.as_deref() == Some(COOKIE.1) {
            return Ok(());
        }
        Err(ServeError::NotStartedByHost(advice(address)))
    }

    /// A host that names no versions is taken at go-plugin's word: it gets ours.
    pub(super) fn check_version(&self) -> Result<(), ServeError> {
        let Some(offered) = &self.versions else { return Ok(()) };
        if offered.split(',').any(|version| version.trim().parse() == Ok(PROTOCOL)) {
            return Ok(());
        }
        Err(ServeError::ProtocolVersion(offered.clone()))
    }
}

/// Where a host finds us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) network: &'static str,
    pub(super) address: String,
}

/// Writes the line that the host waits for. `certificate` is DER.
pub(super) fn announce(out: &mut impl Write, at: &Address, certificate: Option<&[u8]>) -> io::Result<()> {
    use base64::Engine as _;
    let certificate = certificate.map(|der| base64::engine::general_purpose::STANDARD_NO_PAD.encode(der));
    let line = format!(
        "{CORE_PROTOCOL}|{PROTOCOL}|{}|{}|grpc|{}\n",
        at.network,
        at.address,
        certificate.unwrap_or_default()
    );
    out.write_all(line.as_bytes())?;
    out.flush()
}

/// For the person who ran the binary.
fn advice(address: &str) -> String {
    let source = address.strip_prefix("registry.terraform.io/").unwrap_or(address);
    let name = source.rsplit('/').next().unwrap_or(source);
    let directory = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.display().to_string()));
    let directory = directory.unwrap_or_else(|| "/the/directory/of/this/file".to_owned());
    format!(
        r#"This is the provider "{name}", a plugin of Terraform and OpenTofu. It does nothing when run by hand:
the CLI starts it when a configuration asks for it.

  terraform {{
    required_providers {{
      {name} = {{
        source = "{source}"
      }}
    }}
  }}

To try this very file instead of a released one, add to the CLI configuration (~/.terraformrc or ~/.tofurc):

  provider_installation {{
    dev_overrides {{
      "{source}" = "{directory}"
    }}
    direct {{}}
  }}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(versions: &str) -> Host {
        Host::read(|name| (name == "PLUGIN_PROTOCOL_VERSIONS").then(|| versions.to_owned()))
    }

    #[test]
    fn six_is_found_wherever_it_stands_in_the_offer() {
        for offer in ["6", "5,6", "6,5", "4, 6 ,5", "", "x,6"] {
            assert!(offering(offer).check_version().is_ok(), "{offer:?}");
        }
    }

    #[test]
    fn an_offer_without_six_is_refused_and_named() {
        let Err(error) = offering("4,5").check_version() else { panic!("accepted") };
        assert!(error.to_string().contains("offers only 4,5"), "{error}");
        assert!(offering("16,66,5").check_version().is_err());
    }

    #[test]
    fn another_cookie_is_no_cookie() {
        let host = Host::read(|name| (name == COOKIE.0).then(|| "BasicPlugin".to_owned()));
        let Err(error) = host.check_cookie("registry.terraform.io/streamverse/corner") else {
            panic!("accepted")
        };
        let text = error.to_string();
        assert!(
            text.contains(r#"source = "streamverse/corner""#) && text.contains("dev_overrides"),
            "{text}"
        );
    }

    #[test]
    fn the_line_has_six_parts_and_no_padding() {
        let at = Address { network: "unix", address: "/tmp/plugin1".to_owned() };
        let mut line = Vec::new();
        announce(&mut line, &at, Some(&[1, 2, 3, 4])).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), "1|6|unix|/tmp/plugin1|grpc|AQIDBA\n");
        let mut line = Vec::new();
        announce(&mut line, &at, None).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), "1|6|unix|/tmp/plugin1|grpc|\n");
    }
}
