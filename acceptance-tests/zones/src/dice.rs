//! Chance that is the same for the same seed.

/// SplitMix64: small, and the same everywhere for ever.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// One that begins with a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (it ^ (it >> 31)) % limit.max(1)
    }

    /// Whether something happens that does so many times in a thousand.
    pub fn chance(&mut self, thousandths: u64) -> bool {
        thousandths > 0 && self.below(1000) < thousandths
    }
}
