//! What templates, endpoints and fleets say of a container alike.

use std::collections::BTreeMap;

use tfplugin_schema::{Diagnostics, Maybe, Path};

/// The disk of a container where nothing is said, in GB.
pub const DISK_GB: u32 = 20;

/// Words in a variable's name that mean a secret.
const SECRET: &[&str] =
    &["password", "passwd", "secret", "token", "api_key", "apikey", "private_key", "credential"];

/// Refuses ports and variables that RunPod does not take, and warns of secrets: the API returns the environment to everybody
/// who has a key to the account, and Terraform keeps it in its state. `attribute` is what the environment is called.
///
/// Sources: RunPod's API description of 2026-08-18, `BaseContainerConfig` (ports are "port/protocol"), whose environment answers of the API repeat; POSIX.1-2017, "Environment
/// Variable Definition" (names of letters, digits and `_` that begin with no digit).
pub fn check_container(
    attribute: &str,
    env: &Maybe<BTreeMap<String, Maybe<String>>>,
    ports: &Maybe<Vec<Maybe<String>>>,
    out: &mut Diagnostics,
) {
    for name in env.known().into_iter().flat_map(BTreeMap::keys) {
        let at = Path::attribute(attribute).key(name.as_str());
        let legal = |it: char| it.is_ascii_alphanumeric() || it == '_';
        if name.is_empty() || !name.chars().all(legal) || name.starts_with(|it: char| it.is_ascii_digit()) {
            out.error_at(
                at,
                "No name of a variable",
                format!("{name:?} must be letters, digits and _, and begin with no digit."),
            );
            continue;
        }
        let small = name.to_lowercase();
        if SECRET.iter().any(|word| small.contains(word))
            && !small.ends_with("_file")
            && !small.ends_with("_url")
        {
            out.warning_at(
                at,
                "A secret in the environment?",
                format!(
                    "RunPod's API returns the environment in the clear, and Terraform keeps it in its state. If {name} is a secret, let the worker fetch it, as RunPod's secrets (`{{{{ RUNPOD_SECRET_name }}}}`) or by a single-use token."
                ),
            );
        }
    }
    for (index, port) in ports.known().into_iter().flatten().enumerate() {
        if port.known().is_some_and(|port| !is_port(port)) {
            out.error_at(
                Path::attribute("ports").index(index),
                "No port",
                "A port is NUMBER/http or NUMBER/tcp, such as 8080/http; 1 to 65535.",
            );
        }
    }
}

fn is_port(text: &str) -> bool {
    let Some((number, protocol)) = text.split_once('/') else { return false };
    let number: Option<u16> = number.parse().ok().filter(|it: &u16| it.to_string() == number);
    number.is_some_and(|it| it > 0) && matches!(protocol, "http" | "tcp")
}

/// Refuses versions that are not `MAJOR.MINOR`.
pub(super) fn is_cuda(text: &str) -> bool {
    let number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    text.split_once('.').is_some_and(|(major, minor)| number(major) && number(minor))
}
