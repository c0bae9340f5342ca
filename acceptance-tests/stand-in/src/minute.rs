//! So many calls a minute.

const MINUTE_MS: u64 = 60_000;

/// The calls of the minute that runs, which begins with its first call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Minute {
    from_ms: u64,
    calls: u32,
}

/// Whether a call is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// It is.
    pub yes: bool,
    /// How many more would be.
    pub left: u32,
    /// When the next minute begins, from now.
    pub wait_ms: u64,
}

impl Minute {
    /// Counts a call.
    pub fn admit(&mut self, now_ms: u64, limit: u32) -> Admitted {
        if self.calls == 0 || now_ms.saturating_sub(self.from_ms) >= MINUTE_MS {
            *self = Minute { from_ms: now_ms, calls: 0 };
        }
        self.calls = self.calls.saturating_add(1);
        Admitted {
            yes: self.calls <= limit,
            left: limit.saturating_sub(self.calls),
            wait_ms: (self.from_ms + MINUTE_MS).saturating_sub(now_ms),
        }
    }
}
