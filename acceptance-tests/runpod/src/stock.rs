//! What the catalogue has: GPU types, data centres, and how many GPUs are free where. Prices as RunPod listed them in November 2026
//! (shared facts, "Price and capacity data"), or near them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cuda::Cuda;
use crate::world::{Answer, refuse};

/// A GPU type: id, short name, pool, GB, dollars per hour secure, community and serverless, most on one machine.
type Gpu = (&'static str, &'static str, &'static str, u32, f64, f64, f64, u32);

pub(crate) const GPUS: [Gpu; 7] = [
    ("NVIDIA L40S", "L40S", "ADA_48_PRO", 48, 0.86, 0.79, 1.91, 8),
    ("NVIDIA L4", "L4", "AMPERE_24", 24, 0.43, 0.39, 0.69, 8),
    ("NVIDIA RTX A5000", "RTX A5000", "AMPERE_24", 24, 0.29, 0.16, 0.69, 8),
    ("NVIDIA GeForce RTX 4090", "RTX 4090", "ADA_24", 24, 0.69, 0.34, 1.10, 8),
    ("NVIDIA A100 80GB PCIe", "A100 PCIe", "AMPERE_80", 80, 1.39, 1.19, 2.74, 8),
    ("NVIDIA A100-SXM4-80GB", "A100 SXM", "AMPERE_80", 80, 1.49, 1.39, 2.74, 8),
    ("NVIDIA H100 80GB HBM3", "H100 SXM", "ADA_80_PRO", 80, 2.99, 2.69, 4.18, 8),
];

/// A data centre: id, name, region, tiers of storage with its own first, and the version of CUDA that its hosts have. One has fast storage.
type Centre = (&'static str, &'static str, &'static str, &'static [&'static str], &'static str);

const CENTRES: [Centre; 4] = [
    ("EU-RO-1", "Romania", "EUROPE", &["STANDARD"], "12.8"),
    ("EU-CZ-1", "Czechia", "EUROPE", &["HIGH_PERFORMANCE", "STANDARD"], "12.8"),
    ("US-KS-2", "Kansas", "NORTH_AMERICA", &["STANDARD"], "12.4"),
    ("CA-MTL-1", "Montreal", "NORTH_AMERICA", &["STANDARD"], "12.11"),
];

/// Free GPUs by type, data centre and cloud.
pub(crate) struct Stock {
    free: BTreeMap<(String, String, String), u32>,
    /// Prices that a test changed, by type and `secure`, `community` or `serverless`.
    prices: BTreeMap<(String, String), f64>,
}

impl Stock {
    /// Plenty everywhere; community in two places.
    pub(crate) fn usual() -> Stock {
        let mut free = BTreeMap::new();
        for (gpu, ..) in GPUS {
            for (index, (centre, ..)) in CENTRES.into_iter().enumerate() {
                free.insert((gpu.to_owned(), centre.to_owned(), "SECURE".to_owned()), 16);
                if index < 2 {
                    free.insert((gpu.to_owned(), centre.to_owned(), "COMMUNITY".to_owned()), 4);
                }
            }
        }
        Stock { free, prices: BTreeMap::new() }
    }

    pub(crate) fn is_centre(id: &str) -> bool {
        CENTRES.iter().any(|(centre, ..)| *centre == id)
    }

    /// The tiers of storage that a data centre has, its own first; none where there is no such data centre.
    pub(crate) fn tiers(id: &str) -> &'static [&'static str] {
        CENTRES.iter().find(|it| it.0 == id).map_or(&[], |it| it.3)
    }

    /// The version of CUDA that the hosts of a data centre have.
    pub(crate) fn cuda(id: &str) -> Option<&'static str> {
        CENTRES.iter().find(|it| it.0 == id).map(|it| it.4)
    }

    /// Sets how many are free: `{gpu?, data_center?, cloud?, free}`; what is left out means all.
    pub(crate) fn set(&mut self, wish: &Value) {
        let fits = |member: &str, it: &str| wish[member].as_str().is_none_or(|wanted| wanted == it);
        let free = u32::try_from(wish["free"].as_u64().unwrap_or(0)).unwrap_or(u32::MAX);
        for ((gpu, centre, cloud), count) in &mut self.free {
            if fits("gpu", gpu) && fits("data_center", centre) && fits("cloud", cloud) {
                *count = free;
            }
        }
    }

    /// Sets what is paid from now on: `{gpu?, of?, dollars}`, `of` being `secure`, `community` or `serverless`; what is left out
    /// means all. Pods that run keep their price.
    pub(crate) fn price(&mut self, wish: &Value) {
        let fits = |member: &str, it: &str| wish[member].as_str().is_none_or(|wanted| wanted == it);
        let dollars = wish["dollars"].as_f64().unwrap_or(0.0);
        for (gpu, ..) in GPUS.into_iter().filter(|gpu| fits("gpu", gpu.0)) {
            for of in ["secure", "community", "serverless"].into_iter().filter(|of| fits("of", of)) {
                self.prices.insert((gpu.to_owned(), of.to_owned()), dollars);
            }
        }
    }

    /// What a GPU costs now.
    pub(crate) fn price_of(&self, gpu: &str, of: &str) -> f64 {
        if let Some(changed) = self.prices.get(&(gpu.to_owned(), of.to_owned())) {
            return *changed;
        }
        let Some(about) = GPUS.iter().find(|it| it.0 == gpu) else { return 0.0 };
        match of {
            "secure" => about.4,
            "community" => about.5,
            _ => about.6,
        }
    }

    /// Takes GPUs of one data centre, the first of those allowed that has enough on hosts that will do.
    pub(crate) fn take(
        &mut self,
        gpu: &str,
        cloud: &str,
        centres: &[String],
        cuda: &Cuda,
        count: u32,
    ) -> Option<String> {
        let allowed = |centre: &str| {
            let here = centres.is_empty() || centres.iter().any(|it| it == centre);
            here && Stock::cuda(centre).is_some_and(|it| cuda.allows(it))
        };
        let order: Vec<String> = if centres.is_empty() {
            CENTRES.iter().map(|(id, ..)| (*id).to_owned()).collect()
        } else {
            centres.to_vec()
        };
        for centre in order.into_iter().filter(|centre| allowed(centre)) {
            if let Some(free) = self.free.get_mut(&(gpu.to_owned(), centre.clone(), cloud.to_owned()))
                && *free >= count
            {
                *free -= count;
                return Some(centre);
            }
        }
        None
    }

    pub(crate) fn give_back(&mut self, gpu: &str, cloud: &str, centre: &str, count: u32) {
        if let Some(free) = self.free.get_mut(&(gpu.to_owned(), centre.to_owned(), cloud.to_owned())) {
            *free += count;
        }
    }

    fn level(&self, gpu: &str, centre: &str, cloud: &str, count: u32) -> Option<&'static str> {
        let free = *self.free.get(&(gpu.to_owned(), centre.to_owned(), cloud.to_owned()))?;
        Some(match free / count.max(1) {
            0 => "NONE",
            1..=2 => "LOW",
            3..=8 => "MEDIUM",
            _ => "HIGH",
        })
    }

    /// `GET /v2/catalog/gpus`.
    pub(crate) fn gpus(&self, query: &[(String, String)]) -> Answer {
        let of = |name: &str| query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let include = of("include").is_some_and(|it| it.split(',').any(|part| part == "AVAILABILITY"));
        if include != of("product").is_some() {
            return refuse(400, "include=AVAILABILITY and product are given together or not at all");
        }
        if !include
            && ["count", "cloud", "countryCodes", "cudaVersions", "minCudaVersion"]
                .iter()
                .any(|name| of(name).is_some())
        {
            return refuse(
                400,
                "count, cloud, countryCodes and CUDA versions are valid only with include=AVAILABILITY",
            );
        }
        let count = of("count").and_then(|it| it.parse().ok()).unwrap_or(1);
        let cloud = of("cloud").unwrap_or("SECURE");
        let allowed = of("cudaVersions").map(|it| it.split(',').map(str::to_owned).collect());
        let cuda = match Cuda::of(of("minCudaVersion"), allowed.unwrap_or_default()) {
            Ok(cuda) => cuda,
            Err(fault) => return fault,
        };
        let gpus: Vec<Value> =
            GPUS.into_iter().map(|gpu| self.gpu(gpu, include.then_some((count, cloud, &cuda)))).collect();
        (200, Some(json!({ "gpus": gpus })))
    }

    fn gpu(&self, (id, name, pool, memory, _, _, _, most): Gpu, asked: Option<(u32, &str, &Cuda)>) -> Value {
        let [secure, community, serverless] =
            ["secure", "community", "serverless"].map(|of| self.price_of(id, of));
        let mut told = json!({
            "id": id, "name": name, "pool": pool, "manufacturer": "NVIDIA", "memory": memory, "secure": true, "community": true,
            "price": { "secure": secure, "community": community, "serverless": serverless },
            "maxCount": { "secure": most, "community": most / 2 },
        });
        let Some((count, cloud, cuda)) = asked else { return told };
        let mut centres = Vec::new();
        let mut versions: BTreeMap<&str, bool> = BTreeMap::new();
        let mut best = "NONE";
        for (centre, place, _, _, version) in CENTRES.into_iter().filter(|it| cuda.allows(it.4)) {
            let Some(level) = self.level(id, centre, cloud, count) else { continue };
            let rank = |it: &str| ["NONE", "LOW", "MEDIUM", "HIGH"].iter().position(|level| *level == it);
            if rank(level) > rank(best) {
                best = level;
            }
            *versions.entry(version).or_default() |= level != "NONE";
            if level != "NONE" {
                centres.push(json!({ "id": centre, "name": place, "availability": level }));
            }
        }
        told["availability"] = json!(best);
        if !centres.is_empty() {
            told["dataCenters"] = Value::Array(centres);
        }
        let versions = versions.iter().map(|(it, free)| json!({ "version": it, "available": free }));
        told["cudaVersions"] = versions.collect();
        told
    }

    /// `GET /v2/catalog/datacenters`.
    pub(crate) fn centres() -> Answer {
        let all: Vec<Value> = CENTRES
            .into_iter()
            .map(|(id, name, region, tiers, _)| {
                json!({ "id": id, "name": name, "region": region, "globalNetwork": true,
                    "networkVolumeTypes": tiers, "compliance": [] })
            })
            .collect();
        (200, Some(json!({ "dataCenters": all })))
    }
}
