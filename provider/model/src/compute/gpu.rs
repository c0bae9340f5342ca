//! The GPUs that clouds rent, and whether they can encode video.
//!
//! A100, H100 and their kin (GA100, GH100 dies) decode video but have no encoder. Of the project's notes on rented GPUs
//! and of NVIDIA's "Video Encode and Decode GPU Support Matrix" as it is generally known; neither was looked up again.

use std::fmt;

use serde::{Deserialize, Serialize};
use tfplugin_schema::Schema;

/// When the table was made.
pub const GPUS_AS_OF: &str = "2026-11-21";

/// What jobs an instance is for: limits are kept per class.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Schema, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum GpuClass {
    /// No GPU.
    Cpu,
    /// One GPU or several.
    #[default]
    Gpu,
}

impl fmt::Display for GpuClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// NVIDIA's hardware encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nvenc {
    /// How many encoder engines one GPU has.
    pub engines: u8,
    /// Whether it makes AV1, beside H.264 and HEVC (Ada generation and later).
    pub av1: bool,
}

/// A model of GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// The name that we use: `L40S`.
    pub name: &'static str,
    /// Its memory in GiB.
    pub memory_gib: u32,
    /// Its encoder; `None` where it has none.
    pub nvenc: Option<Nvenc>,
    /// Whether it has a hardware decoder.
    pub nvdec: bool,
    /// What RunPod calls it (v2 API, `gpu.id`); `None` where it is not in its catalogue that we know.
    pub runpod: Option<&'static str>,
    /// Other spellings that mean it.
    also: &'static [&'static str],
}

impl Gpu {
    /// Why a name that the table lacks is refused, and what to write instead: the nearest name, or those that may be given.
    pub fn unknown(name: &str, near: Option<&str>, may: impl Fn(&Gpu) -> bool) -> String {
        let next = match near {
            Some(near) => format!("Did you mean {near:?}?"),
            None => format!("It has {}.", gpu_names(may).join(", ")),
        };
        format!(
            "There is no GPU {name:?} in the table of {GPUS_AS_OF}, and only those of the table are taken. {next}"
        )
    }
}

const fn encodes(engines: u8, av1: bool) -> Option<Nvenc> {
    Some(Nvenc { engines, av1 })
}

const fn row(
    name: &'static str,
    memory_gib: u32,
    nvenc: Option<Nvenc>,
    runpod: Option<&'static str>,
    also: &'static [&'static str],
) -> Gpu {
    Gpu { name, memory_gib, nvenc, nvdec: true, runpod, also }
}

const TABLE: &[Gpu] = &[
    row("T4", 16, encodes(1, false), None, &["Tesla T4", "NVIDIA T4"]),
    row("V100", 16, encodes(1, false), Some("Tesla V100-SXM2-16GB"), &["NVIDIA V100"]),
    row("A10", 24, encodes(1, false), None, &["NVIDIA A10"]),
    row("A10G", 24, encodes(1, false), None, &["NVIDIA A10G"]),
    row("L4", 24, encodes(2, true), Some("NVIDIA L4"), &[]),
    row("L40", 48, encodes(3, true), Some("NVIDIA L40"), &[]),
    row("L40S", 48, encodes(3, true), Some("NVIDIA L40S"), &[]),
    row("A40", 48, encodes(1, false), Some("NVIDIA A40"), &[]),
    row("RTX 4000 Ada", 20, encodes(2, true), Some("NVIDIA RTX 4000 Ada Generation"), &[]),
    row("RTX 6000 Ada", 48, encodes(3, true), Some("NVIDIA RTX 6000 Ada Generation"), &[]),
    row("RTX A4000", 16, encodes(1, false), Some("NVIDIA RTX A4000"), &[]),
    row("RTX A5000", 24, encodes(1, false), Some("NVIDIA RTX A5000"), &[]),
    row("RTX A6000", 48, encodes(1, false), Some("NVIDIA RTX A6000"), &[]),
    row("RTX 3090", 24, encodes(1, false), Some("NVIDIA GeForce RTX 3090"), &["GeForce RTX 3090"]),
    row("RTX 4090", 24, encodes(2, true), Some("NVIDIA GeForce RTX 4090"), &["GeForce RTX 4090"]),
    row("RTX 5090", 32, encodes(3, true), Some("NVIDIA GeForce RTX 5090"), &["GeForce RTX 5090"]),
    row("RTX PRO 6000", 96, encodes(4, true), Some("NVIDIA RTX PRO 6000 Blackwell Server Edition"), &[]),
    row("A30", 24, None, Some("NVIDIA A30"), &[]),
    row("A100 40GB", 40, None, None, &["A100-40GB", "NVIDIA A100 40GB"]),
    row(
        "A100 PCIe",
        80,
        None,
        Some("NVIDIA A100 80GB PCIe"),
        &["A100", "A100 80GB", "A100-80GB", "A100 80GB PCIe"],
    ),
    row("A100 SXM", 80, None, Some("NVIDIA A100-SXM4-80GB"), &["A100-SXM4-80GB"]),
    row("H100 SXM", 80, None, Some("NVIDIA H100 80GB HBM3"), &["H100", "H100 80GB", "H100 80GB HBM3"]),
    row("H100 PCIe", 80, None, Some("NVIDIA H100 PCIe"), &[]),
    row("H100 NVL", 94, None, Some("NVIDIA H100 NVL"), &[]),
    row("H200 SXM", 141, None, Some("NVIDIA H200"), &["H200"]),
    row("GH200", 96, None, None, &["NVIDIA GH200"]),
];

/// The whole table, those that encode first.
pub fn gpus() -> &'static [Gpu] {
    TABLE
}

/// The GPU of a name: ours, RunPod's or another usual one, whatever its case.
pub fn gpu(name: &str) -> Option<&'static Gpu> {
    let same = |other: &str| plain(other).eq(plain(name));
    TABLE
        .iter()
        .find(|it| same(it.name) || it.runpod.is_some_and(same) || it.also.iter().any(|one| same(one)))
}

/// The names of those that satisfy something, in the order of the table.
pub fn gpu_names(wanted: impl Fn(&Gpu) -> bool) -> Vec<&'static str> {
    TABLE.iter().filter(|it| wanted(it)).map(|it| it.name).collect()
}

/// What an unknown name probably means.
pub fn nearest_gpu(name: &str) -> Option<&'static str> {
    let all = TABLE.iter().flat_map(|it| [it.name].into_iter().chain(it.runpod));
    tfplugin_schema::validate::nearest(name, all)
}

/// Letters and digits alone, small: `NVIDIA A100-SXM4-80GB` and `nvidia a100 sxm4 80gb` are the same.
fn plain(name: &str) -> impl Iterator<Item = char> + '_ {
    name.chars().filter(char::is_ascii_alphanumeric).map(|it| it.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_computes_only_has_no_encoder_and_what_encodes_is_known() {
        for name in ["A100", "H100", "H200", "A30", "NVIDIA A100-SXM4-80GB", "nvidia h100 80gb hbm3"] {
            assert_eq!(gpu(name).unwrap().nvenc, None, "{name}");
        }
        for name in ["L4", "L40S", "A10G", "T4", "NVIDIA GeForce RTX 4090"] {
            assert!(gpu(name).unwrap().nvenc.is_some(), "{name}");
        }
        assert!(gpu("L4").unwrap().nvenc.unwrap().av1 && !gpu("T4").unwrap().nvenc.unwrap().av1);
    }

    #[test]
    fn a_misspelt_name_is_told_the_nearest() {
        assert!(gpu("L40X").is_none());
        let told = Gpu::unknown("L40X", nearest_gpu("L40X"), |_| true);
        assert!(told.contains(GPUS_AS_OF) && told.contains("Did you mean \"L40"), "{told}");
        let told = Gpu::unknown("AMD Instinct MI300X OAM", None, |it| it.runpod.is_some());
        assert!(told.contains("L40S, A40") && !told.contains("GH200"), "{told}");
        assert!(matches!(nearest_gpu("L40X"), Some("L40" | "L40S")));
        assert_eq!(nearest_gpu("NVIDIA GeForce RTX 4091"), Some("NVIDIA GeForce RTX 4090"));
    }

    #[test]
    fn no_spelling_means_two_gpus() {
        for one in TABLE {
            for name in [one.name].iter().chain(one.runpod.iter()).chain(one.also) {
                assert_eq!(gpu(name).unwrap().name, one.name, "{name}");
            }
        }
    }
}
