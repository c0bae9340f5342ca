//! Functions about GPUs and prices. Pure: the tables are `model::compute`'s, dated.

use streamverse_model::compute::{self, CloudKind, GPUS_AS_OF, Lifecycle, Money};
use tfplugin_framework::{FunctionError, Parts, Schema, function};

use crate::provider::Streamverse;

pub(super) fn register(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    parts.function(gpu_encoder()).function(hourly_cost())
}

/// What a GPU encodes.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct GpuEncoder {
    /// The name that we use: `A100 SXM` for `NVIDIA A100-SXM4-80GB`.
    pub name: String,
    /// What its encoder makes, of `h264`, `hevc` and `av1`; empty where it has none.
    pub codecs: Vec<String>,
    /// How many encoders it has.
    pub engines: u32,
    /// Whether it has a hardware decoder.
    pub decoder: bool,
    /// Its memory in GiB.
    pub memory_gib: u32,
    /// The day of the table that says so.
    pub as_of: String,
}

/// What a GPU's hardware encoder makes.
///
/// A100, H100 and their kin compute and decode, but have no encoder: for video take an L4, L40S, A10G or T4. Names are ours,
/// RunPod's or other usual ones. It calls nobody: the answer is from the table that the provider brings along.
#[function]
fn gpu_encoder(
    /// The GPU: `L4`, `NVIDIA H100 80GB HBM3`.
    gpu: String,
) -> Result<GpuEncoder, FunctionError> {
    let found = compute::gpu(&gpu).ok_or_else(|| {
        let near = compute::nearest_gpu(&gpu).map(|it| format!(" Did you mean {it:?}?")).unwrap_or_default();
        let known = compute::gpu_names(|_| true).join(", ");
        FunctionError::at(
            0,
            format!("no GPU {gpu:?} is known.{near} Known are {known} (table of {GPUS_AS_OF})"),
        )
    })?;
    let codecs: &[&str] = match found.nvenc {
        None => &[],
        Some(encoder) if encoder.av1 => &["h264", "hevc", "av1"],
        Some(_) => &["h264", "hevc"],
    };
    Ok(GpuEncoder {
        name: found.name.to_owned(),
        codecs: codecs.iter().map(|it| (*it).to_owned()).collect(),
        engines: found.nvenc.map_or(0, |it| it.engines.into()),
        decoder: found.nvdec,
        memory_gib: found.memory_gib,
        as_of: GPUS_AS_OF.to_owned(),
    })
}

/// What a shape costs per hour.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct HourlyCost {
    /// Of so many of them, in US dollars.
    pub hourly: Money,
    /// Which region's price it is: another one than was asked for where the table lacks that; empty where all have the same.
    pub region: String,
    /// Who published the price.
    pub source: String,
    /// When.
    pub date: String,
}

/// The cost per hour of a shape, from the dated table that the provider brings along.
///
/// Not today's price: that is what `streamverse_gpu_offers` asks for. It calls nobody.
#[function]
fn hourly_cost(
    /// `aws`, `gcp`, `azure` or `runpod`.
    cloud: String,
    /// The region; empty on RunPod.
    region: String,
    /// The instance type, machine type or size, or a GPU of which one is rented: `g6.xlarge`, `L4`.
    shape: String,
    /// `spot` or `on_demand`.
    lifecycle: String,
    /// How many of them.
    count: u32,
) -> Result<HourlyCost, FunctionError> {
    let kind = [CloudKind::Aws, CloudKind::Gcp, CloudKind::Azure, CloudKind::Runpod];
    let kind = kind.into_iter().find(|it| it.as_str() == cloud);
    let kind =
        kind.ok_or_else(|| FunctionError::at(0, format!("{cloud:?} is none of aws, gcp, azure, runpod")))?;
    let how = [Lifecycle::Spot, Lifecycle::OnDemand].into_iter().find(|it| it.as_str() == lifecycle);
    let how = how.ok_or_else(|| FunctionError::at(3, format!("{lifecycle:?} is none of spot, on_demand")))?;
    let found = compute::price(kind, &region, &shape, how).ok_or_else(|| {
        let rows =
            compute::prices().iter().filter(|it| it.cloud == kind && it.lifecycle == how && !it.serverless);
        let mut known: Vec<&str> = rows.map(|it| it.shape.name).collect();
        known.dedup();
        let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
        FunctionError::at(
            2,
            format!(
                "the table of {} has no {how} price of {shape:?} on {cloud}: it has {known}",
                compute::PRICES_VERSION
            ),
        )
    })?;
    Ok(HourlyCost {
        hourly: found.hourly.times(count.into()),
        region: found.region.to_owned(),
        source: found.source.to_owned(),
        date: found.date.to_owned(),
    })
}
