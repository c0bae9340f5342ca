//! What can be had, where, and for how much: the live catalogue.

use serde::{Deserialize, Serialize};

use crate::client::{Client, Limit};
use crate::error::Error;

/// Whose hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Cloud {
    /// RunPod's data centres.
    Secure,
    /// Other people's.
    Community,
}

impl Cloud {
    fn as_str(self) -> &'static str {
        match self {
            Cloud::Secure => "SECURE",
            Cloud::Community => "COMMUNITY",
        }
    }
}

/// What it is to be used for: stock differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Pods.
    Pod,
    /// Serverless workers.
    Serverless,
}

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Availability {
    /// Nothing.
    None,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

/// A type of GPU.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GpuType {
    /// What pods name it by: `NVIDIA L40S`.
    pub id: String,
    /// Its short name.
    pub name: String,
    /// The pool of serverless endpoints that has it.
    #[serde(default)]
    pub pool: Option<String>,
    /// GB.
    pub memory: u32,
    /// Whether the secure cloud has it.
    pub secure: bool,
    /// Whether the community cloud has it.
    pub community: bool,
    /// Dollars per hour and GPU.
    pub price: GpuPrice,
    /// How many one pod may have.
    pub max_count: PerCloud,
    /// How much there is, if that was asked.
    #[serde(default)]
    pub availability: Option<Availability>,
    /// How much there is in each data centre, if that was asked; those that have none of it at all are left out.
    #[serde(default)]
    pub data_centers: Vec<DataCenterStock>,
}

/// Dollars per hour and GPU.
#[derive(Clone, Debug, Deserialize)]
pub struct GpuPrice {
    /// Pods of the secure cloud.
    pub secure: f64,
    /// Pods of the community cloud.
    pub community: f64,
    /// Serverless workers, where there are any.
    #[serde(default)]
    pub serverless: Option<f64>,
}

/// How many one pod may have.
#[derive(Clone, Debug, Deserialize)]
pub struct PerCloud {
    /// In the secure cloud.
    pub secure: u32,
    /// In the community cloud.
    pub community: u32,
}

/// How much a data centre has.
#[derive(Clone, Debug, Deserialize)]
pub struct DataCenterStock {
    /// The data centre.
    pub id: String,
    /// How much.
    pub availability: Availability,
}

/// A data centre.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataCenter {
    /// `EU-RO-1`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its continent.
    pub region: String,
    /// The tiers of network volumes that it has; none when empty.
    #[serde(default)]
    pub network_volume_types: Vec<String>,
}

impl Client {
    /// Types of GPU with prices and stock.
    ///
    /// # Errors
    /// Calls that fail.
    pub async fn gpus(
        &self,
        product: Product,
        cloud: Cloud,
        count: u32,
        limit: Limit,
    ) -> Result<Vec<GpuType>, Error> {
        let product = match product {
            Product::Pod => "POD",
            Product::Serverless => "SERVERLESS",
        };
        let query = [
            ("include", "AVAILABILITY".to_owned()),
            ("product", product.to_owned()),
            ("cloud", cloud.as_str().to_owned()),
            ("count", count.max(1).to_string()),
        ];
        self.list_at("/v2/catalog/gpus", "gpus", &query, limit).await
    }

    /// Data centres.
    ///
    /// # Errors
    /// Calls that fail.
    pub async fn data_centers(&self, limit: Limit) -> Result<Vec<DataCenter>, Error> {
        self.list_at("/v2/catalog/datacenters", "dataCenters", &[], limit).await
    }
}
