//! Credentials that a program prints (client-go credential plugins, Kubernetes documentation "Authentication", section
//! "client-go credential plugins"). We run it ourselves: under a deadline, once for each client instead of once for each
//! call, and without a word of what it was given or printed in an error, for either may be a secret.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use crate::error::{Class, Error, Result};

/// How long a program may take. Those of the clouds ask a service for a token, in a second or two.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// An `ExecCredential` has a token or a certificate in it.
const LONGEST: u64 = 1 << 20;

#[derive(Deserialize)]
struct Printed {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// A child that does not outlive us, nor do its own children.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let group =
            self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Runs the plugin of an identity, if it has one, and puts what it printed in its place.
pub(super) async fn fill(site: &str, who: &mut AuthInfo, limit: Duration) -> Result<()> {
    let Some(plugin) = who.exec.take() else { return Ok(()) };
    let command = plugin.command.clone().unwrap_or_default();
    // Its name alone: arguments and environment may be secrets.
    let failed = |what: String| {
        let hint = plugin.install_hint.as_deref().map(|hint| format!(" {hint}")).unwrap_or_default();
        Error::new(Class::Denied, format!("site {site}: the credential plugin {command:?} {what}")).next(
            format!("Run it by hand, with the same arguments and environment: it says what it lacks.{hint}"),
        )
    };
    let printed = tokio::time::timeout(limit, run(&plugin))
        .await
        .map_err(|_| failed(format!("printed nothing within {} seconds", limit.as_secs())))?
        .map_err(failed)?;
    // serde's errors quote what they read.
    let printed: Printed = serde_json::from_slice(&printed)
        .map_err(|_| failed("printed no ExecCredential in JSON".to_owned()))?;
    let status =
        printed.status.ok_or_else(|| failed("printed an ExecCredential without a status".to_owned()))?;
    let encode = |pem: String| base64::engine::general_purpose::STANDARD.encode(pem);
    let given: AuthInfo = serde_json::from_value(json!({
        "token": status.token,
        "client-certificate-data": status.client_certificate_data.map(encode),
        "client-key-data": status.client_key_data.map(encode),
    }))
    .map_err(|_| failed("printed credentials that cannot be used".to_owned()))?;
    if given.token.is_none() && given.client_key_data.is_none() {
        return Err(failed("printed neither a token nor a certificate".to_owned()));
    }
    who.token = given.token.or(who.token.take());
    who.client_certificate_data = given.client_certificate_data.or(who.client_certificate_data.take());
    who.client_key_data = given.client_key_data.or(who.client_key_data.take());
    Ok(())
}

/// What the program printed; what went wrong, as the rest of a sentence.
async fn run(plugin: &ExecConfig) -> Result<Vec<u8>, String> {
    let command =
        plugin.command.as_deref().filter(|command| !command.is_empty()).ok_or("has no `command`")?;
    if plugin.interactive_mode == Some(ExecInteractiveMode::Always) {
        return Err("wants to ask a person, and nobody is there: its interactiveMode is Always".to_owned());
    }
    let mut spec = json!({ "interactive": false });
    if plugin.provide_cluster_info {
        spec["cluster"] = serde_json::to_value(&plugin.cluster).map_err(|_| "cannot be told its cluster")?;
    }
    let info = json!({ "apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec });
    let mut child = Command::new(command);
    child.args(plugin.args.iter().flatten()).env("KUBERNETES_EXEC_INFO", info.to_string());
    for one in plugin.env.iter().flatten() {
        if let (Some(name), Some(value)) = (one.get("name"), one.get("value")) {
            child.env(name, value);
        }
    }
    child
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let child = child.spawn().map_err(|error| format!("cannot be started: {}", error.kind()))?;
    let mut running = Running(child);
    let mut printed = Vec::new();
    if let Some(out) = running.0.stdout.take() {
        let read = out.take(LONGEST).read_to_end(&mut printed).await;
        read.map_err(|error| format!("cannot be read: {}", error.kind()))?;
    }
    let ended = running.0.wait().await.map_err(|error| format!("cannot be waited for: {}", error.kind()))?;
    if ended.success() { Ok(printed) } else { Err(format!("failed: {ended}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An identity whose plugin is a shell's script, which gets a planted secret.
    fn plugin(script: &str) -> AuthInfo {
        serde_json::from_value(json!({ "exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
            "env": [{ "name": "GIVEN", "value": "planted-env" }], "interactiveMode": "Never",
        } }))
        .unwrap()
    }

    async fn refused(script: &str, limit: Duration) -> String {
        let error = fill("far", &mut plugin(script), limit).await.unwrap_err();
        assert_eq!(error.class, Class::Denied);
        format!("{error:?} {error} {}", error.next.clone().unwrap_or_default())
    }

    #[tokio::test]
    async fn what_a_plugin_prints_is_what_is_used() {
        let script = r#"echo "{\"status\":{\"token\":\"$GIVEN\"}}""#;
        let mut who = plugin(script);
        fill("far", &mut who, LIMIT).await.unwrap();
        assert!(who.exec.is_none(), "it would run again");
        assert_eq!(serde_json::to_value(&who).unwrap()["token"], "planted-env");
        let mut who = plugin(
            r#"test -n "$KUBERNETES_EXEC_INFO" && echo '{"status":{"clientCertificateData":"c","clientKeyData":"k"}}'"#,
        );
        fill("far", &mut who, LIMIT).await.unwrap();
        assert_eq!(who.client_certificate_data.as_deref(), Some("Yw=="));
    }

    #[tokio::test]
    async fn a_plugin_that_hangs_is_ended_with_its_children() {
        let file = std::env::temp_dir().join(format!("sv-plugin-{}", std::process::id()));
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let said = refused(&script, Duration::from_secs(2)).await;
        assert!(said.contains("within 2 seconds"), "{said}");
        let child = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let ended = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        for _ in 0..100 {
            if ended() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("its child {child} runs on");
    }

    #[tokio::test]
    async fn a_plugin_that_fails_tells_no_secret() {
        for script in [
            "echo planted-out; echo planted-err >&2; exit 3",
            "echo '{\"status\": \"planted-out\"}'",
            "echo planted-out",
            "echo '{\"status\": {}}'",
        ] {
            let said = refused(script, LIMIT).await;
            assert!(!said.contains("planted"), "{said}");
            assert!(said.contains("credential plugin \"sh\""), "{said}");
        }
    }

    #[tokio::test]
    async fn a_plugin_that_is_not_there_is_named() {
        let mut who: AuthInfo =
            serde_json::from_value(json!({ "exec": { "command": "/nowhere/plugin" } })).unwrap();
        let error = fill("far", &mut who, LIMIT).await.unwrap_err();
        assert!(error.message.contains("/nowhere/plugin"), "{error}");
    }
}
