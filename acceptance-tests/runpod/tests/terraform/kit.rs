//! What the tests of the resources share.

use std::path::PathBuf;

use serde_json::Value;
use streamverse_runpod_stand_in::{KEY, StandIn};
use tfplugin_testing::cli::{Case, Cli};

/// The provider's address.
pub(crate) const ADDRESS: &str = "registry.terraform.io/streamverse/streamverse";

/// The provider's program, built once where it is not.
pub(crate) fn provider() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    BUILT.get_or_init(|| built("terraform-provider-streamverse")).clone()
}

/// A program of the workspace, named as its package is, built where it is not.
pub(crate) fn built(package: &str) -> PathBuf {
    streamverse_stand_in::built(package, package)
}

/// A provider block that leads to the stand-in.
pub(crate) fn block(it: &StandIn) -> String {
    block_of(it, "test")
}

/// … of a deployment.
pub(crate) fn block_of(it: &StandIn, deployment: &str) -> String {
    format!(
        "terraform {{\n  required_providers {{\n    streamverse = {{ source = \"{ADDRESS}\" }}\n  }}\n}}\nprovider \"streamverse\" {{\n  deployment = \"{deployment}\"\n  runpod = {{ endpoint = \"{}\" }}\n}}\n",
        it.endpoint
    )
}

/// A case whose provider has the key, which must be seen nowhere.
pub(crate) fn case<'a>(cli: &'a Cli) -> Case<'a> {
    Case::new(cli)
        .provider(ADDRESS, provider())
        .env("RUNPOD_API_KEY", KEY)
        .env("REGISTRY_PASSWORD", PASSWORD)
        .secrets_absent(&[KEY, PASSWORD])
}

/// What the registry asks for.
pub(crate) const PASSWORD: &str = "planted-registry-password-90ce";

/// The only thing of a kind.
pub(crate) fn only(it: &StandIn, kind: &str) -> Value {
    let all = it.things(kind);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.into_iter().next().unwrap()
}

/// The text of a member.
pub(crate) fn text(of: &Value, member: &str) -> String {
    of[member].as_str().unwrap_or_default().to_owned()
}
