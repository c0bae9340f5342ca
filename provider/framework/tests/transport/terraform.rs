//! The transport under the real CLI: `hello_raw` is loaded, answers, and ends when it is told to.

use crate::kit::{PATIENCE, hello};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// `None`, said aloud, where there is no CLI. On the build machines there must be one.
fn terraform() -> Option<PathBuf> {
    let named = std::env::var_os("TFPLUGIN_TERRAFORM").map(PathBuf::from);
    let found = named.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|directory| directory.join("terraform")).find(|file| file.is_file())
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "no terraform on PATH, and TFPLUGIN_TERRAFORM is not set");
        eprintln!("SKIPPED: no terraform on PATH, and TFPLUGIN_TERRAFORM is not set");
    }
    found
}

/// A directory with a configuration that needs the provider, and a CLI configuration that finds it.
fn workplace() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let binaries = directory.path().join("bin");
    std::fs::create_dir(&binaries).unwrap();
    std::os::unix::fs::symlink(hello(), binaries.join("terraform-provider-hello")).unwrap();
    let write = |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
    let source = r#"hello = { source = "streamverse/hello" }"#;
    write("main.tf", format!("terraform {{\n  required_providers {{\n    {source}\n  }}\n}}\n"));
    write(
        "cli.tfrc",
        format!(
            "provider_installation {{\n  dev_overrides {{ \"streamverse/hello\" = \"{}\" }}\n  direct {{}}\n}}\n",
            binaries.display()
        ),
    );
    write("empty.tfrc", String::new());
    directory
}

async fn schema(cli: &Path, directory: &Path, configuration: &str, variables: &[(&str, &str)]) -> String {
    let begin = Instant::now();
    let run = Command::new(cli)
        .args(["providers", "schema", "-json"])
        .current_dir(directory)
        .env("TF_CLI_CONFIG_FILE", directory.join(configuration))
        .env("CHECKPOINT_DISABLE", "1")
        .env_remove("TF_LOG")
        .envs(variables.iter().copied())
        .kill_on_drop(true)
        .output();
    let run = timeout(PATIENCE, run).await.expect("the CLI does not end").unwrap();
    eprintln!("terraform providers schema {variables:?}: {:?}", begin.elapsed());
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let json: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let resources = &json["provider_schemas"]["registry.terraform.io/streamverse/hello"]["resource_schemas"];
    assert!(resources["hello_world"].is_object(), "{json}");
    String::from_utf8(run.stderr).unwrap()
}

#[tokio::test]
async fn terraform_reads_the_schema_with_and_without_encryption() {
    let Some(cli) = terraform() else { return };
    let directory = workplace();
    schema(&cli, directory.path(), "cli.tfrc", &[]).await;
    schema(&cli, directory.path(), "cli.tfrc", &[("TF_DISABLE_PLUGIN_TLS", "1")]).await;
}

#[tokio::test]
async fn terraform_ends_the_provider_without_force_and_reads_its_log() {
    let Some(cli) = terraform() else { return };
    let directory = workplace();
    let log = schema(&cli, directory.path(), "cli.tfrc", &[("TF_LOG", "TRACE")]).await;
    assert!(!log.contains("failed to exit gracefully"), "{log}");
    // Our line, taken for what it is: level, module and time were understood.
    assert!(log.contains("The host asked for shutdown."), "{log}");
    assert!(log.contains("@module=tfplugin_framework.transport.services"), "{log}");
    assert!(!log.contains("\"@level\""), "a line of ours was not parsed: {log}");
}

#[tokio::test]
async fn a_provider_in_debug_mode_serves_run_after_run() {
    let Some(cli) = terraform() else { return };
    let directory = workplace();
    let mut provider = Command::new(hello())
        .arg("--debug")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(provider.stdout.take().unwrap()).lines();
    let json = loop {
        let line =
            timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("no variable was printed");
        if let Some(value) = line.trim().strip_prefix("export TF_REATTACH_PROVIDERS='") {
            break value.trim_end_matches('\'').to_owned();
        }
    };
    for _ in 0..3 {
        schema(&cli, directory.path(), "empty.tfrc", &[("TF_REATTACH_PROVIDERS", &json)]).await;
    }
    assert!(provider.try_wait().unwrap().is_none(), "the provider outlives the runs");
    let pid = provider.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    let status = timeout(PATIENCE, provider.wait()).await.expect("Ctrl-C ends it").unwrap();
    assert!(status.success());
}
