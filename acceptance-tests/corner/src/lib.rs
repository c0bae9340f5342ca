//! A provider of corner cases: one resource per tricky behaviour of the plugin protocol, named after it. The
//! framework's own test subject; the real command lines run every one (`acceptance-tests/tests/framework`).
//!
//! Objects are JSON files in a directory (see [`store`]), so that tests can change and remove them behind
//! Terraform's back.

mod functions;
mod kept;
mod lifecycle;
mod planning;
mod secrets;
pub mod store;
mod values;

use tfplugin_framework::{Maybe, Parts, Provider, Request, Result, Schema, provider};

use store::Store;

/// The source address.
pub const ADDRESS: &str = "registry.terraform.io/streamverse/corner";

/// The configured provider.
pub struct Corner {
    /// Where the objects lie.
    pub store: Store,
    /// What the configuration said; may have been unknown.
    pub label: Maybe<String>,
}

/// One resource per tricky behaviour of the plugin protocol.
#[derive(Clone, Schema)]
pub struct CornerConfig {
    /// Where the objects are kept: a directory. Default: the environment variable `CORNER_STORE`, else the
    /// working directory's `.corner`.
    directory: Option<String>,
    /// Anything; to see what an unknown provider configuration does.
    label: Option<String>,
    /// Refuses to be configured, with this message.
    refuse: Option<String>,
}

/// What modules may say in `provider_meta`.
#[derive(Clone, Schema)]
pub struct CornerMeta {
    /// The module's name.
    module: Option<String>,
}

#[provider(name = "corner")]
impl Provider for Corner {
    type Config = CornerConfig;
    const ISSUES: &'static str = "https://github.com/streamverse/streamverse/issues";

    async fn configure(_: &Request, config: CornerConfigView) -> Result<Corner> {
        if let Some(message) = config.refuse.known() {
            return Err(tfplugin_framework::Error::invalid(message.clone()).at(CornerConfig::refuse()));
        }
        Ok(Corner { store: Store::new(config.directory.into_known()), label: config.label })
    }

    fn meta() -> Option<tfplugin_framework::schema::ObjectSchema> {
        Some(<CornerMeta as tfplugin_framework::Schema>::object())
    }

    fn parts(parts: Parts<Corner>) -> Parts<Corner> {
        let parts = values::register(parts);
        let parts = planning::register(parts);
        let parts = lifecycle::register(parts);
        let parts = secrets::register(parts);
        functions::register(parts)
    }
}
