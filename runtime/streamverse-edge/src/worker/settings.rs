//! What a rented worker is told by its environment, which its cloud shows to whoever may list instances.

use std::ffi::OsString;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use streamverse_core::{Error, Result};
use streamverse_model::compute::{InstanceName, Notices, enrol_variables as variables};
use zeroize::Zeroizing;

/// The environment of a worker. It does not print its token.
pub(super) struct Settings {
    /// `https://HOST:PORT`.
    pub(super) controller: String,
    /// The instance's name.
    pub(super) worker: String,
    /// The controller's authority, PEM.
    pub(super) authority: String,
    /// Of use once; not needed by a worker that has its certificate.
    pub(super) token: Option<Zeroizing<String>>,
    /// Where notices come from.
    pub(super) notices: Notices,
    /// The cloud's id of the instance, where the cloud puts it into the environment.
    pub(super) instance: Option<String>,
}

/// RunPod's own variable: the id of the pod.
const POD: &str = "RUNPOD_POD_ID";

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("worker", &self.worker).finish_non_exhaustive()
    }
}

fn unusable(name: &str, what: &str) -> Error {
    let text = format!("the variable {name} {what}: the controller sets it where it launches a worker");
    Error::permanent("environment", text)
}

impl Settings {
    /// # Errors
    /// What is missing or is not what it should be, without its value where that is secret.
    pub(super) fn read(get: impl Fn(&str) -> Option<OsString>) -> Result<Settings> {
        let optional = |name: &'static str| match get(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) if text.is_empty() => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(unusable(name, "is no text")),
        };
        let needed = |name| optional(name)?.ok_or_else(|| unusable(name, "is missing"));
        let worker = needed(variables::WORKER)?;
        if InstanceName::parse(&worker).is_none() {
            return Err(unusable(variables::WORKER, "is no name of an instance"));
        }
        let controller = needed(variables::CONTROLLER)?;
        let url: Option<url::Url> = controller.parse().ok();
        if !url.is_some_and(|it| it.scheme() == "https" && it.has_host() && it.query().is_none()) {
            return Err(unusable(variables::CONTROLLER, "is no https://HOST:PORT"));
        }
        let authority = needed(variables::AUTHORITY)?;
        let der = STANDARD.decode(authority.trim());
        if !der.is_ok_and(|it| !it.is_empty()) {
            return Err(unusable(variables::AUTHORITY, "is no certificate in base64"));
        }
        let authority = pem("CERTIFICATE", authority.trim());
        let token = optional(variables::TOKEN)?.map(Zeroizing::new);
        let notices = match optional(variables::NOTICES)? {
            None => Notices::Signal,
            Some(text) => notices(&text).ok_or_else(|| {
                unusable(
                    variables::NOTICES,
                    "is none of signal, aws, gcp, azure, runpod, nor JSON of one of them",
                )
            })?,
        };
        let pod = matches!(notices, Notices::Runpod { .. }).then(|| get(POD)?.into_string().ok()).flatten();
        let instance = pod.filter(|it| !it.is_empty());
        Ok(Settings { controller, worker, authority, token, notices, instance })
    }
}

/// A word, or as the spec of a drain agent has it: `{"gcp":{"notice_seconds":120}}`.
fn notices(text: &str) -> Option<Notices> {
    let text = match text {
        "signal" => return Some(Notices::Signal),
        "aws" | "gcp" | "azure" | "runpod" => format!("{{\"{text}\":{{}}}}"),
        other => other.to_owned(),
    };
    serde_json::from_str(&text).ok()
}

/// A block of PEM from base64.
pub(super) fn pem(kind: &str, base64: &str) -> String {
    let mut text = format!("-----BEGIN {kind}-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + &format!("-----END {kind}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use streamverse_model::compute::CloudKind;

    fn read(changes: &[(&str, Option<&str>)]) -> Result<Settings> {
        let mut all: BTreeMap<&str, &str> = BTreeMap::from([
            ("STREAMVERSE_CONTROLLER", "https://127.0.0.1:9443"),
            ("STREAMVERSE_WORKER", "sv--prod--encode--a--1"),
            ("STREAMVERSE_AUTHORITY", "AAEC"),
            ("STREAMVERSE_TOKEN", "planted-token"),
        ]);
        for (name, value) in changes {
            match value {
                Some(value) => all.insert(name, value),
                None => all.remove(name),
            };
        }
        Settings::read(|name| all.get(name).map(OsString::from))
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_and_the_token_is_not_printed() {
        let good = read(&[]).unwrap();
        assert_eq!(good.notices, Notices::Signal);
        assert!(!format!("{good:?}").contains("planted"));
        assert!(good.authority.starts_with("-----BEGIN CERTIFICATE-----\nAAEC\n-----END"));
        assert!(read(&[("STREAMVERSE_TOKEN", None)]).unwrap().token.is_none(), "it may be used up");
        for (name, value) in [
            ("STREAMVERSE_CONTROLLER", None),
            ("STREAMVERSE_CONTROLLER", Some("http://127.0.0.1:1")),
            ("STREAMVERSE_CONTROLLER", Some("nonsense")),
            ("STREAMVERSE_WORKER", Some("")),
            ("STREAMVERSE_WORKER", Some("../../etc")),
            ("STREAMVERSE_AUTHORITY", Some("!")),
            ("STREAMVERSE_NOTICES", Some("dec")),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.message.contains(name) && !error.message.contains("planted"), "{error}");
        }
        for cloud in [CloudKind::Aws, CloudKind::Gcp, CloudKind::Azure, CloudKind::Runpod] {
            let word = cloud.as_str();
            assert!(read(&[("STREAMVERSE_NOTICES", Some(word))]).is_ok(), "the controller says {word}");
        }
        let pod =
            |cloud| read(&[("STREAMVERSE_NOTICES", Some(cloud)), (POD, Some("9x4m2p7v"))]).unwrap().instance;
        assert_eq!((pod("runpod").as_deref(), pod("aws")), (Some("9x4m2p7v"), None));
        let gcp = read(&[("STREAMVERSE_NOTICES", Some("gcp"))]).unwrap().notices;
        assert!(matches!(gcp, Notices::Gcp { notice_seconds: 30, .. }));
        let gcp = read(&[("STREAMVERSE_NOTICES", Some(r#"{"gcp":{"notice_seconds":120}}"#))]).unwrap();
        assert!(matches!(gcp.notices, Notices::Gcp { notice_seconds: 120, .. }));
    }
}
