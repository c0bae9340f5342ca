//! Captions cut into segments. A package has one WebVTT file for the whole asset; a channel needs them in step with pictures.
//! A segment is a pure function of the file and of the times that the index has.

use std::fmt::Write as _;

/// A file of some hours has a few hundred KiB.
pub(super) const LARGEST: u64 = 8 << 20;
const MOST_CUES: usize = 100_000;

/// A WebVTT file as it was read.
#[derive(Debug, Default)]
pub(super) struct Captions {
    /// Styles and regions, which every segment needs.
    head: String,
    cues: Vec<Cue>,
}

#[derive(Debug)]
struct Cue {
    start_ms: u64,
    end_ms: u64,
    settings: String,
    text: String,
}

/// Which stretch is wanted. All times are milliseconds of the asset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) from_ms: u64,
    pub(super) to_ms: u64,
    /// What its times are counted from.
    pub(super) base_ms: u64,
    /// The media time of that, in units of 90 kHz, for HLS (RFC 8216 section 3.5).
    pub(super) map: Option<u64>,
}

impl Captions {
    /// Reads WebVTT. What is no cue is passed over.
    pub(super) fn parse(text: &str) -> Captions {
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
        let mut found = Captions::default();
        for block in text.split("\n\n").map(|it| it.trim_matches('\n')).filter(|it| !it.is_empty()) {
            if block.starts_with("STYLE") || block.starts_with("REGION") {
                found.head.push_str(block);
                found.head.push_str("\n\n");
                continue;
            }
            if let Some(cue) = cue(block)
                && found.cues.len() < MOST_CUES
            {
                found.cues.push(cue);
            }
        }
        found
    }

    /// Bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        self.head.len() + self.cues.iter().map(|it| 96 + it.settings.len() + it.text.len()).sum::<usize>()
    }

    /// A segment: all cues that are shown in a stretch, each with all of its time.
    pub(super) fn cut(&self, stretch: Stretch) -> String {
        let mut text = String::from("WEBVTT\n");
        if let Some(ticks) = stretch.map {
            let _ = writeln!(text, "X-TIMESTAMP-MAP=MPEGTS:{},LOCAL:00:00:00.000", ticks & 0x1_ffff_ffff);
        }
        text.push('\n');
        text.push_str(&self.head);
        let shown = |cue: &&Cue| cue.start_ms < stretch.to_ms && cue.end_ms > stretch.from_ms;
        for cue in self.cues.iter().filter(shown) {
            let from = clock(cue.start_ms.saturating_sub(stretch.base_ms));
            let to = clock(cue.end_ms.saturating_sub(stretch.base_ms));
            let space = if cue.settings.is_empty() { "" } else { " " };
            let _ = write!(text, "{from} --> {to}{space}{}\n{}\n\n", cue.settings, cue.text);
        }
        text
    }
}

fn cue(block: &str) -> Option<Cue> {
    let (times, text) = match block.split_once('\n') {
        Some((first, rest)) if first.contains("-->") => (first, rest),
        Some((_, rest)) => rest.split_once('\n').unwrap_or((rest, "")),
        None => (block, ""),
    };
    let (from, rest) = times.split_once("-->")?;
    let rest = rest.trim();
    let (to, settings) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let (start_ms, end_ms) = (milliseconds(from.trim())?, milliseconds(to)?);
    let settings = settings.trim().to_owned();
    (start_ms < end_ms && !text.is_empty()).then(|| Cue { start_ms, end_ms, settings, text: text.to_owned() })
}

/// `01:02:03.004` or `02:03.004`.
fn milliseconds(text: &str) -> Option<u64> {
    let (clock, fraction) = text.split_once('.')?;
    let digits = |text: &str, most: usize| {
        let good = !text.is_empty() && text.len() <= most && text.bytes().all(|it| it.is_ascii_digit());
        if good { text.parse::<u64>().ok() } else { None }
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes, seconds] => (digits(hours, 6)?, digits(minutes, 2)?, digits(seconds, 2)?),
        [minutes, seconds] => (0, digits(minutes, 2)?, digits(seconds, 2)?),
        _ => return None,
    };
    let fraction = (fraction.len() == 3).then(|| digits(fraction, 3)).flatten()?;
    Some(hours * 3_600_000 + minutes * 60_000 + seconds * 1000 + fraction)
}

fn clock(ms: u64) -> String {
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\u{feff}WEBVTT\r\n\r\nNOTE nothing\r\n\r\nSTYLE\r\n::cue { color: lime }\r\n\r\n1\r\n00:01.000 --> 00:02.500 align:left\r\nHello\r\n\r\n00:00:03.900 --> 00:00:04.100\nover the edge\nin two lines\n\n00:00:09.000 --> 00:00:01.000\nnever\n\nbroken --> lines\nx\n";

    proptest::proptest! {
        #[test]
        fn no_file_makes_it_panic_and_no_segment_is_larger_than_all_of_it(
            text in "(WEBVTT|STYLE|\\PC|[0-9:. \n]|-->|[\r\n]){0,200}",
            from_ms in proptest::num::u64::ANY,
            base_ms in proptest::num::u64::ANY,
        ) {
            let captions = Captions::parse(&text);
            let cut = captions.cut(Stretch { from_ms, to_ms: u64::MAX, base_ms, map: Some(from_ms) });
            proptest::prop_assert!(cut.starts_with("WEBVTT\n") && cut.len() < text.len() * 20 + 200);
        }
    }

    #[test]
    fn a_cue_over_a_boundary_is_in_both_segments_with_all_of_its_time() {
        let captions = Captions::parse(FILE);
        let cut = |from_ms, to_ms, base_ms, map| captions.cut(Stretch { from_ms, to_ms, base_ms, map });
        let first = cut(0, 4000, 0, Some(900));
        assert_eq!(
            first,
            "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900,LOCAL:00:00:00.000\n\nSTYLE\n::cue { color: lime }\n\n\
             00:00:01.000 --> 00:00:02.500 align:left\nHello\n\n\
             00:00:03.900 --> 00:00:04.100\nover the edge\nin two lines\n\n"
        );
        let second = cut(4000, 8000, 4000, None);
        assert!(
            second.contains("00:00:00.000 --> 00:00:00.100\nover the edge") && !second.contains("Hello"),
            "{second}"
        );
        assert!(!cut(8000, 12_000, 0, None).contains("-->"));
    }
}
