//! Markets that are made up: zones that come and go by themselves and with their region. The same seed gives the same market.

use streamverse_model::platform::SpecError;

use super::market::{Market, Zone};
use super::run::Setting;

/// What a made-up market is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Synthetic {
    /// How many regions, and how many zones in each.
    pub regions: u32,
    /// Zones of each region.
    pub zones: u32,
    /// How many minutes a zone has capacity, on average.
    pub up_minutes: f64,
    /// How many minutes it has none.
    pub down_minutes: f64,
    /// How unequal these times are: 1 for an exponential distribution, more for many short and few long ones.
    pub burstiness: f64,
    /// Which share of a region's time is lost for all of its zones at once.
    pub region_out: f64,
    /// How long the market lasts, in days.
    pub days: u32,
    /// The seed.
    pub seed: u64,
}

impl Default for Synthetic {
    /// Three regions with three zones, about as available as those of the recorded market: 60 of 100 ticks.
    fn default() -> Synthetic {
        Synthetic {
            regions: 3,
            zones: 3,
            up_minutes: 120.0,
            down_minutes: 60.0,
            burstiness: 2.0,
            region_out: 0.08,
            days: 45,
            seed: 1,
        }
    }
}

/// As long as those of the recorded ones.
const GAP_MS: u64 = 195_000;
/// How long a whole region is out, on average.
const REGION_OUT_MINUTES: f64 = 60.0;

impl Synthetic {
    /// Refuses a market that would take minutes to simulate, before it is made.
    ///
    /// # Errors
    /// As [`Setting::check`] has it.
    pub fn check(&self, setting: &Setting) -> Result<(), SpecError> {
        let zones = usize::try_from(u64::from(self.regions) * u64::from(self.zones)).unwrap_or(usize::MAX);
        setting.check(u64::from(self.days) * 86_400_000, GAP_MS, zones)
    }

    /// The market.
    pub fn market(&self) -> Market {
        let ticks = usize::try_from(u64::from(self.days) * 86_400_000 / GAP_MS).unwrap_or(usize::MAX);
        let mut zones = Vec::new();
        for region in 0..self.regions {
            let mut dice = Dice::new(self.seed ^ (u64::from(region) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let out = self.region_out.clamp(0.0, 0.95);
            let between = REGION_OUT_MINUTES * (1.0 - out) / out.max(1e-9);
            let shared = if out > 0.0 {
                self.runs(&mut dice, ticks, between, REGION_OUT_MINUTES)
            } else {
                vec![true; ticks]
            };
            for zone in 0..self.zones {
                let own = self.runs(&mut dice, ticks, self.up_minutes, self.down_minutes);
                let available = own.iter().zip(&shared).map(|(own, all)| u32::from(*own && *all)).collect();
                let letter = char::from(b'a' + u8::try_from(zone % 26).unwrap_or(0));
                let name = format!("region-{}{letter}", region + 1);
                zones.push(Zone { region: format!("region-{}", region + 1), name, available });
            }
        }
        Market { gap_ms: GAP_MS, zones }
    }

    /// Up and down in turns.
    fn runs(&self, dice: &mut Dice, ticks: usize, up: f64, down: f64) -> Vec<bool> {
        let mut runs = Vec::with_capacity(ticks);
        let mut is_up = dice.unit() < up / (up + down).max(1e-9);
        while runs.len() < ticks {
            let mean = if is_up { up } else { down } * 60_000.0 / GAP_MS as f64;
            // Half of the runs are shorter by the burstiness, the others longer, so that the average stays.
            let burst = self.burstiness.max(1.0);
            let mean = if dice.unit() < 0.5 { mean / burst } else { mean * (2.0 - 1.0 / burst) };
            let length = (-mean * dice.unit().max(1e-12).ln()).round().max(1.0);
            let end = runs.len().saturating_add(length.min(1e9) as usize).min(ticks);
            runs.resize(end, is_up);
            is_up = !is_up;
        }
        runs
    }
}

/// SplitMix64: small, and the same everywhere for ever.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        it ^ (it >> 31)
    }

    /// From 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}
