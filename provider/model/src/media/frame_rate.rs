//! Frames per second, as a fraction: 29.97 is 30000/1001 and nothing else.

use std::fmt;
use std::time::Duration;

/// More than this no display shows (Rec. ITU-R BT.2020 ends at 120), and no level of H.264 allows more than 172 (ITU-T
/// H.264 A.3.4).
const MOST: u32 = 120;

/// Frames per second as a fraction: whole, or thousands over 1001.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate {
    /// Frames …
    pub numerator: u32,
    /// … in so many seconds: 1 or 1001.
    pub denominator: u32,
}

impl FrameRate {
    /// So many whole frames per second.
    pub const fn whole(frames: u32) -> FrameRate {
        FrameRate { numerator: frames, denominator: 1 }
    }

    /// Reads `25` or `30000/1001`; `None` for what no picture has.
    pub fn parse(text: &str) -> Option<FrameRate> {
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
        let (numerator, denominator) = (numerator.trim().parse().ok()?, denominator.trim().parse().ok()?);
        let fits = match denominator {
            1 => (1..=MOST).contains(&numerator),
            // 1001 slows a whole rate down a little: 24, 30, 60, 120.
            1001 => numerator.is_multiple_of(1000) && (1..=MOST).contains(&(numerator / 1000)),
            _ => false,
        };
        fits.then_some(FrameRate { numerator, denominator })
    }

    /// How many frames begin in a span of time, as a number for messages.
    pub fn frames_in(self, span: Duration) -> f64 {
        span.as_secs_f64() * f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// Whether a span of time is a whole number of frames, and one at least.
    pub fn divides(self, span: Duration) -> bool {
        let frames = span.as_nanos().saturating_mul(u128::from(self.numerator));
        let frame = u128::from(self.denominator) * 1_000_000_000;
        frames >= frame && frames.is_multiple_of(frame)
    }

    /// The span nearest to this one that is whole frames and whole milliseconds: 4.004 s for 4 s at 30000/1001.
    pub fn nearest(self, span: Duration) -> Duration {
        // So many milliseconds hold the fewest frames that take whole ones.
        let unit = u64::from(self.denominator) * 1000
            / gcd(u64::from(self.denominator) * 1000, u64::from(self.numerator));
        let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX / 2);
        Duration::from_millis(ms.saturating_add(unit / 2) / unit * unit).max(Duration::from_millis(unit))
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            denominator => write!(f, "{}/{denominator}", self.numerator),
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_measured_in_whole_frames() {
        let ms = Duration::from_millis;
        for (rate, span, nearest) in
            [("30000/1001", 4000, 4004), ("24000/1001", 2000, 2002), ("25", 2100, 2120), ("24", 4100, 4125)]
        {
            let rate = FrameRate::parse(rate).unwrap();
            assert!(!rate.divides(ms(span)), "{rate}");
            assert_eq!(rate.nearest(ms(span)), ms(nearest), "{rate}");
            assert!(rate.divides(ms(nearest)), "{rate}");
        }
        assert!(FrameRate::whole(25).divides(ms(4000)));
        assert!(!FrameRate::whole(25).divides(ms(0)));
        assert_eq!(FrameRate::parse("60000/1001").unwrap().to_string(), "60000/1001");
    }
}
