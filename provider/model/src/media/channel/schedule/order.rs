//! One after the other, and again from the first.

use super::{Lengths, Scheduled, Slot, counted, slot_ms};
use crate::media::channel::spec::FastChannelSpec;
use crate::platform::SpecError;

#[derive(Clone, Debug)]
pub(super) struct Order {
    start_ms: u64,
    items: Vec<String>,
    /// When each begins, from the beginning of the round; then the length of the round.
    begins: Vec<u64>,
}

impl Order {
    pub(super) fn new(
        spec: &FastChannelSpec,
        lengths: &Lengths,
        items: &[String],
    ) -> Result<Order, SpecError> {
        counted(items.len())?;
        let mut begins = vec![0_u64];
        let mut sum = 0_u64;
        for item in items {
            sum = sum.saturating_add(slot_ms(spec, lengths, item));
            begins.push(sum);
        }
        if sum > super::LAST_INSTANT_MS {
            return Err(SpecError::new(
                "a round of this schedule never ends: give its sources their lengths",
            ));
        }
        Ok(Order { start_ms: spec.start_ms(), items: items.to_vec(), begins })
    }

    pub(super) fn at(&self, ms: u64) -> Scheduled {
        let Some(since) = ms.checked_sub(self.start_ms) else {
            return Scheduled::Nothing { until_ms: Some(self.start_ms) };
        };
        let round = self.begins.last().copied().unwrap_or(1).max(1);
        let began = ms - since % round;
        let place = self.begins.partition_point(|it| *it <= since % round).saturating_sub(1);
        match (self.items.get(place), self.begins.get(place), self.begins.get(place + 1)) {
            (Some(asset), Some(begin), Some(end)) => Scheduled::Slot(Slot {
                start_ms: began + begin,
                end_ms: began + end,
                limit_ms: began + end,
                asset: asset.clone(),
            }),
            _ => Scheduled::Nothing { until_ms: None },
        }
    }
}
