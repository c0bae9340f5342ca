//! Dated prices per hour of shapes with GPUs: facts, each row with its source and date. Live catalogues overrule them.
//!
//! Not a copy of any generated file: the rows that the project's notes on rented GPUs list (section 5), and GPUs of RunPod that
//! encode.

use super::Money;
use super::cloud::{CloudKind, Lifecycle, Tenancy};
use super::price::{Price, Shape};

/// The table's version: the day of its last change.
pub const PRICES_VERSION: &str = "2026-11-26";

const KARPENTER_AWS: (&str, &str) = ("karpenter-provider-aws price table", "2026-07-20");
const KARPENTER_GCP: (&str, &str) = ("karpenter-provider-gcp price table", "2026-08-03");
const KARPENTER_AZURE: (&str, &str) = ("karpenter-provider-azure price table", "2026-06-18");
const RUNPOD: (&str, &str) = ("skypilot-catalog, RunPod pods", "2026-11-21");
/// Prices of one GPU in the secure cloud; the date is that of the look at the commit, whose own was not seen. It has none of the
/// community cloud, and no other source with a date was found: those machines have no price here.
const RUNPOD_CATALOG: (&str, &str) = ("skypilot-catalog at 01acdfd4, RunPod pods", "2026-11-26");
const RUNPOD_SERVERLESS: (&str, &str) = ("RunPod serverless prices", "2026-11-21");

const fn shape(name: &'static str, gpu: &'static str, gpus: u32) -> Shape {
    Shape { name, gpu, gpus }
}

const fn row(
    cloud: CloudKind,
    region: &'static str,
    shape: Shape,
    lifecycle: Lifecycle,
    micros: u64,
    from: (&'static str, &'static str),
) -> Price {
    Price {
        cloud,
        region,
        shape,
        lifecycle,
        tenancy: Tenancy::Secure,
        serverless: false,
        hourly: Money::micros(micros),
        source: from.0,
        date: from.1,
    }
}

const fn aws(shape: Shape, micros: u64) -> Price {
    row(CloudKind::Aws, "us-east-1", shape, Lifecycle::OnDemand, micros, KARPENTER_AWS)
}

const fn gcp(shape: Shape, lifecycle: Lifecycle, micros: u64) -> Price {
    row(CloudKind::Gcp, "us-central1", shape, lifecycle, micros, KARPENTER_GCP)
}

const fn azure(region: &'static str, shape: Shape, micros: u64) -> Price {
    row(CloudKind::Azure, region, shape, Lifecycle::OnDemand, micros, KARPENTER_AZURE)
}

const fn serverless(gpu: &'static str, micros: u64) -> Price {
    let one = row(CloudKind::Runpod, "", shape(gpu, gpu, 1), Lifecycle::OnDemand, micros, RUNPOD_SERVERLESS);
    Price { serverless: true, ..one }
}

const SPOT: Lifecycle = Lifecycle::Spot;
const FULL: Lifecycle = Lifecycle::OnDemand;
const G2_4: Shape = shape("g2-standard-4", "L4", 1);
const G2_8: Shape = shape("g2-standard-8", "L4", 1);
const G4_48: Shape = shape("g4-standard-48", "RTX PRO 6000", 1);
const A2_1: Shape = shape("a2-highgpu-1g", "A100 40GB", 1);
const A2U_1: Shape = shape("a2-ultragpu-1g", "A100 SXM", 1);
const A3_1: Shape = shape("a3-highgpu-1g", "H100 SXM", 1);
const NC4_T4: Shape = shape("Standard_NC4as_T4_v3", "T4", 1);
const NV36_A10: Shape = shape("Standard_NV36ads_A10_v5", "A10", 1);
const NC24_A100: Shape = shape("Standard_NC24ads_A100_v4", "A100 PCIe", 1);
const NC40_H100: Shape = shape("Standard_NC40ads_H100_v5", "H100 NVL", 1);
const ND96_H100: Shape = shape("Standard_ND96isr_H100_v5", "H100 SXM", 8);

pub(super) const TABLE: &[Price] = &[
    aws(shape("g4dn.xlarge", "T4", 1), 526_000),
    aws(shape("g6.xlarge", "L4", 1), 805_000),
    aws(shape("g5.xlarge", "A10G", 1), 1_006_000),
    aws(shape("g6e.xlarge", "L40S", 1), 1_861_000),
    aws(shape("p4d.24xlarge", "A100 40GB", 8), 21_960_000),
    aws(shape("p5.4xlarge", "H100 SXM", 1), 6_880_000),
    aws(shape("p5.48xlarge", "H100 SXM", 8), 55_040_000),
    gcp(G2_4, FULL, 707_000),
    gcp(G2_4, SPOT, 397_000),
    gcp(G2_8, FULL, 854_000),
    gcp(G2_8, SPOT, 480_000),
    gcp(G4_48, FULL, 4_500_000),
    gcp(G4_48, SPOT, 1_800_000),
    gcp(A2_1, FULL, 3_670_000),
    gcp(A2_1, SPOT, 1_930_000),
    gcp(A2U_1, FULL, 5_070_000),
    gcp(A2U_1, SPOT, 2_760_000),
    gcp(A3_1, FULL, 11_060_000),
    gcp(A3_1, SPOT, 6_330_000),
    azure("eastus", NC4_T4, 526_000),
    azure("westus2", NC4_T4, 526_000),
    azure("eastus", NV36_A10, 3_200_000),
    azure("westus2", NV36_A10, 3_200_000),
    azure("eastus", NC24_A100, 3_673_000),
    azure("westus2", NC24_A100, 3_673_000),
    azure("eastus", NC40_H100, 6_980_000),
    azure("westus2", NC40_H100, 6_980_000),
    azure("eastus", ND96_H100, 98_320_000),
    azure("westus2", ND96_H100, 98_320_000),
    row(CloudKind::Runpod, "", shape("A100 PCIe", "A100 PCIe", 1), FULL, 1_390_000, RUNPOD),
    row(CloudKind::Runpod, "", shape("A40", "A40", 1), FULL, 440_000, RUNPOD_CATALOG),
    row(CloudKind::Runpod, "", shape("L4", "L4", 1), FULL, 490_000, RUNPOD_CATALOG),
    row(CloudKind::Runpod, "", shape("L40", "L40", 1), FULL, 820_000, RUNPOD_CATALOG),
    row(CloudKind::Runpod, "", shape("L40S", "L40S", 1), FULL, 990_000, RUNPOD_CATALOG),
    row(CloudKind::Runpod, "", shape("RTX 4090", "RTX 4090", 1), FULL, 740_000, RUNPOD_CATALOG),
    row(CloudKind::Runpod, "", shape("RTX A4000", "RTX A4000", 1), FULL, 250_000, RUNPOD_CATALOG),
    serverless("A100 PCIe", 2_740_000),
    serverless("L40", 1_910_000),
    serverless("L40S", 1_910_000),
    serverless("H100 SXM", 4_180_000),
];
