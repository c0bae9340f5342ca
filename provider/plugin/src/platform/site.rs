//! `streamverse_site`: what a site is and can do, now.

use std::collections::BTreeMap;

use tfplugin_framework::schema::Computed;
use tfplugin_framework::{Context, DataSource, Result, Schema, State, data_source};

use crate::deploy;
use crate::provider::Streamverse;

/// What a site is and can do, now.
#[derive(Clone, Schema)]
pub struct SiteInfo {
    /// Its name in the provider block.
    #[attribute(default = "default")]
    pub name: String,
    /// `node` or `kubernetes`.
    pub kind: Computed<String>,
    /// The node agent's or the API server's version.
    pub version: Computed<String>,
    /// Whether it can be worked with.
    pub healthy: Computed<bool>,
    /// What is wrong, in words.
    pub problems: Computed<Vec<String>>,
    /// What it can do, each with its version: `engine/traffic_server`, `tool/ffmpeg`, `kind/kafkas.kafka.strimzi.io`.
    pub capabilities: Computed<BTreeMap<String, String>>,
}

#[data_source(name = "site")]
impl DataSource for SiteInfo {
    type Provider = Streamverse;

    async fn read(cx: &Context<Streamverse>, config: Self) -> Result<State<Self>> {
        let site = cx.provider().site(&config.name).map_err(|error| error.at(Self::name()))?;
        let told = |error| deploy::asked(error, format!("asking site {}", config.name)).at(Self::name());
        let info = site.describe().await.map_err(told)?;
        Ok(config.complete(SiteInfoComputed {
            kind: site.kind().as_str().to_owned(),
            version: info.version,
            healthy: info.healthy,
            problems: info.problems,
            capabilities: info.capabilities.into_iter().map(|it| (it.name, it.version)).collect(),
        }))
    }
}
