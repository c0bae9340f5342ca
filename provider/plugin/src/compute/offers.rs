//! `streamverse_gpu_offers`: what GPUs cost at RunPod, and whether there are any.

use std::time::Duration;

use streamverse_compute_runpod::{Availability, Class, Cloud, GpuType, Limit, Product};
use streamverse_model::compute::{CloudKind, Gpu, Money, PRICES_VERSION, gpu, gpus, nearest_gpu, prices};
use tfplugin_framework::schema::{Computed, Path, Timeouts};
use tfplugin_framework::{Context, DataSource, Findings, Result, Schema, State, data_source};

use super::runpod::{limit, told};
use crate::provider::Streamverse;

/// Longer than this no plan should wait for a price.
const LIMIT: Duration = Duration::from_secs(20);

/// What GPUs cost at RunPod and whether there are any: live, each time that the data source is read. Where RunPod cannot be asked (no key,
/// no network, `offline`), the built-in table of dated prices answers, says so in a warning, and knows of no stock.
///
/// Calls: `GET /v2/catalog/gpus`; a key that may only read is enough.
///
/// Not proved live: it ran against a stand-in that is held to RunPod's API description of 2026-08-18, never against RunPod.
#[derive(Clone, Schema)]
pub struct GpuOffers {
    /// These GPUs alone, by any usual name: `L40S`, `NVIDIA L40S`. Those of the built-in table of GPUs can be asked for by name; without
    /// names all are told of that RunPod has.
    pub gpus: Option<Vec<String>>,
    /// What for: `POD`, or `SERVERLESS` workers, whose prices and stock are others.
    #[attribute(default = "POD", validate(one_of = ["POD", "SERVERLESS"]))]
    pub product: String,
    /// Whose machines: `SECURE` (RunPod's data centres) or `COMMUNITY`.
    #[attribute(default = "SECURE", validate(one_of = ["SECURE", "COMMUNITY"]))]
    pub cloud: String,
    /// GPUs of one pod or worker: the price is of all of them.
    #[attribute(default = 1, validate(range = 1..=16))]
    pub gpu_count: u32,
    /// Whether only the built-in table is asked.
    #[attribute(default = false)]
    pub offline: bool,
    /// Whether it is live.
    pub live: Computed<bool>,
    /// Of what day the built-in table is, where that answered.
    pub as_of: Computed<Option<String>>,
    /// What there is, the cheapest first.
    pub offers: Computed<Vec<GpuOffer>>,
    /// Deadlines. RunPod is waited for as long as `read` says, and never longer than 20 s; then the built-in table answers.
    pub timeouts: Timeouts,
}

/// A GPU, what it costs, and where it is.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct GpuOffer {
    /// RunPod's name.
    pub gpu: String,
    /// Our name: fleets and `excluded` of endpoints take those that have one. Null where the built-in table of GPUs lacks it: they refuse
    /// that one.
    pub model: Option<String>,
    /// Memory of one, in GB.
    pub memory_gb: u32,
    /// Whether it has a hardware encoder; null where the table lacks it.
    pub encodes: Option<bool>,
    /// The pool that serverless endpoints name it by.
    pub pool: Option<String>,
    /// Dollars per hour of all GPUs together.
    pub hourly: Money,
    /// How much there is: `none`, `low`, `medium`, `high`, or `unknown`.
    pub stock: String,
    /// Data centres that have some, with how much.
    pub data_centers: std::collections::BTreeMap<String, String>,
}

fn word(level: Option<Availability>) -> &'static str {
    match level {
        Some(Availability::None) => "none",
        Some(Availability::Low) => "low",
        Some(Availability::Medium) => "medium",
        Some(Availability::High) => "high",
        None => "unknown",
    }
}

impl GpuOffers {
    /// Whether this GPU was asked for.
    fn wants(&self, id: &str) -> bool {
        self.gpus.as_ref().is_none_or(|wanted| {
            wanted.iter().any(|name| name == id || gpu(name).is_some_and(|it| it.runpod == Some(id)))
        })
    }

    fn offer(&self, it: GpuType) -> Option<GpuOffer> {
        let community = self.cloud == "COMMUNITY";
        let price = match (self.product.as_str(), community) {
            ("SERVERLESS", _) => it.price.serverless?,
            (_, true) if it.community => it.price.community,
            (_, false) if it.secure => it.price.secure,
            _ => return None,
        };
        let known = gpu(&it.id);
        let most = if community { it.max_count.community } else { it.max_count.secure };
        let centres = it.data_centers.iter();
        (self.gpu_count <= most).then_some(())?;
        Some(GpuOffer {
            model: known.map(|it| it.name.to_owned()),
            memory_gb: it.memory,
            encodes: known.map(|it| it.nvenc.is_some()),
            pool: it.pool,
            hourly: Money::dollars(price)?.times(u64::from(self.gpu_count)),
            stock: word(it.availability).to_owned(),
            data_centers: centres.map(|it| (it.id.clone(), word(Some(it.availability)).to_owned())).collect(),
            gpu: it.id,
        })
    }

    /// What the built-in table knows.
    fn table(&self) -> Vec<GpuOffer> {
        let serverless = self.product == "SERVERLESS";
        let rows =
            prices().iter().filter(|row| row.cloud == CloudKind::Runpod && row.serverless == serverless);
        // The table has the secure cloud alone.
        let rows = rows.filter(|_| self.cloud == "SECURE");
        rows.filter_map(|row| {
            let known = gpus().iter().find(|it| it.name == row.shape.gpu)?;
            let id = known.runpod?;
            self.wants(id).then(|| GpuOffer {
                gpu: id.to_owned(),
                model: Some(known.name.to_owned()),
                memory_gb: known.memory_gib,
                encodes: Some(known.nvenc.is_some()),
                pool: None,
                hourly: row.hourly.times(u64::from(self.gpu_count)),
                stock: "unknown".to_owned(),
                data_centers: std::collections::BTreeMap::new(),
            })
        })
        .collect()
    }

    /// The live catalogue; `None` with the reason where RunPod cannot be asked.
    async fn catalogue(&self, cx: &Context<Streamverse>) -> Result<Result<Vec<GpuOffer>, String>> {
        if self.offline {
            return Ok(Err("`offline` is set".to_owned()));
        }
        if !cx.provider().runpod().has_key() {
            return Ok(Err(
                "there is no key: RUNPOD_API_KEY is not set, or what `api_key_ref` names".to_owned()
            ));
        }
        let client = cx.provider().runpod().client(cx).await?;
        let limit = Limit::within(limit(cx).left().min(LIMIT));
        let cloud = if self.cloud == "COMMUNITY" { Cloud::Community } else { Cloud::Secure };
        let product = if self.product == "SERVERLESS" { Product::Serverless } else { Product::Pod };
        match client.gpus(product, cloud, self.gpu_count, limit).await {
            Ok(all) => Ok(Ok(all
                .into_iter()
                .filter(|it| self.wants(&it.id))
                .filter_map(|it| self.offer(it))
                .collect())),
            Err(fault) if matches!(fault.class, Class::Unavailable | Class::Throttle(_)) => {
                Ok(Err(fault.to_string()))
            }
            Err(fault) => Err(told(&fault).context("reading RunPod's catalogue")),
        }
    }
}

#[data_source(name = "gpu_offers", timeout = "20s")]
impl DataSource for GpuOffers {
    type Provider = Streamverse;

    async fn read(cx: &Context<Streamverse>, config: Self) -> Result<State<Self>> {
        let (live, mut offers) = match config.catalogue(cx).await? {
            Ok(offers) => (true, offers),
            Err(why) => {
                let rows = config.table();
                cx.warn(
                    "Prices are not live",
                    format!(
                        "RunPod was not asked: {why}. These are {} prices of the built-in table of {PRICES_VERSION}; it knows of no stock.",
                        rows.len()
                    ),
                );
                (false, rows)
            }
        };
        offers.sort_by(|a, b| (a.hourly, &a.gpu).cmp(&(b.hourly, &b.gpu)));
        let as_of = (!live).then(|| PRICES_VERSION.to_owned());
        Ok(config.complete(GpuOffersComputed { live, as_of, offers }))
    }

    fn validate(config: &GpuOffersView, findings: &mut Findings) {
        for (index, name) in config.gpus.known().into_iter().flatten().enumerate() {
            let Some(name) = name.known() else { continue };
            if let Err(error) = known(name) {
                findings.refuse(Path::attribute("gpus").index(index), "Unknown GPU", error);
            }
        }
    }
}

/// Why a name is no GPU of RunPod's.
fn known(name: &str) -> Result<(), String> {
    match gpu(name) {
        Some(it) if it.runpod.is_some() => Ok(()),
        Some(it) => Err(format!("RunPod does not rent {}.", it.name)),
        None => Err(Gpu::unknown(name, nearest_gpu(name), |it| it.runpod.is_some())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_the_table_lacks_is_offered_without_our_name_and_cannot_be_asked_for() {
        let asked = GpuOffers {
            gpus: None,
            product: "POD".to_owned(),
            cloud: "SECURE".to_owned(),
            gpu_count: 2,
            offline: false,
            live: false.into(),
            as_of: None.into(),
            offers: Vec::new().into(),
            timeouts: Timeouts::default(),
        };
        let of = |id: &str| {
            let told = serde_json::json!({
                "id": id, "name": id, "memory": 192, "secure": true, "community": false,
                "price": { "secure": 2.5, "community": 0 }, "maxCount": { "secure": 8, "community": 0 },
            });
            asked.offer(serde_json::from_value(told).unwrap())
        };
        let strange = of("AMD Instinct MI300X OAM").unwrap();
        assert_eq!((strange.model, strange.encodes), (None, None));
        assert_eq!(strange.hourly, Money::dollars(5.0).unwrap());
        assert_eq!(of("NVIDIA L40S").unwrap().model.as_deref(), Some("L40S"));
        let why = known("AMD Instinct MI300X OAM").unwrap_err();
        assert!(why.contains("only those of the table are taken. It has V100"), "{why}");
    }
}
