//! Subtitles of a part: the cues of a WebVTT file (W3C WebVTT) that are shown during a span of it, with times from its
//! beginning. A cue over a boundary is in both parts.

/// Cuts what is shown from `begin` to `end`, in milliseconds.
pub(crate) fn cut(vtt: &str, begin: u64, end: u64) -> String {
    let text = vtt.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::new();
    for block in text.split("\n\n") {
        let block = block.trim_matches('\n');
        let timing = block.lines().find_map(|line| Some((line, times(line)?)));
        match timing {
            Some((line, (from, to, settings))) => {
                if from >= end || to <= begin {
                    continue;
                }
                let (from, to) = (from.max(begin) - begin, to.min(end) - begin);
                let shown = format!("{} --> {}{settings}", clock(from), clock(to));
                out.push_str(&block.replacen(line, &shown, 1));
            }
            // The header, styles, regions, notes.
            None if block.is_empty() => continue,
            None => out.push_str(block),
        }
        out.push_str("\n\n");
    }
    if out.starts_with("WEBVTT") || out.starts_with("\u{feff}WEBVTT") {
        out
    } else {
        format!("WEBVTT\n\n{out}")
    }
}

/// The times of a cue's line, and what stands behind them.
fn times(line: &str) -> Option<(u64, u64, String)> {
    let (from, rest) = line.split_once("-->")?;
    let rest = rest.trim();
    let (to, settings) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let settings = if settings.trim().is_empty() { String::new() } else { format!(" {}", settings.trim()) };
    Some((milliseconds(from.trim())?, milliseconds(to)?, settings))
}

/// `01:02:03.456` or `02:03.456`.
fn milliseconds(text: &str) -> Option<u64> {
    let (rest, fraction) = text.split_once('.')?;
    let fraction = (fraction.len() == 3).then_some(fraction)?.parse::<u64>().ok()?;
    let mut seconds = 0_u64;
    for part in rest.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    seconds.checked_mul(1000)?.checked_add(fraction)
}

fn clock(ms: u64) -> String {
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cue_over_a_boundary_is_in_both_parts_with_times_of_each() {
        let vtt = "WEBVTT\n\nSTYLE\n::cue { color: red }\n\n00:01.000 --> 00:02.500\nOne\n\nb\n00:00:03.500 --> 00:00:05.000 align:left\nTwo\nlines\n\n01:00:00.000 --> 01:00:01.000\nLate\n";
        let first = cut(vtt, 0, 4000);
        assert!(
            first
                .starts_with("WEBVTT\n\nSTYLE\n::cue { color: red }\n\n00:00:01.000 --> 00:00:02.500\nOne\n"),
            "{first}"
        );
        assert!(first.contains("b\n00:00:03.500 --> 00:00:04.000 align:left\nTwo\nlines\n"), "{first}");
        let second = cut(vtt, 4000, 8000);
        assert!(second.contains("00:00:00.000 --> 00:00:01.000 align:left\nTwo"), "{second}");
        assert!(!second.contains("One") && !second.contains("Late"), "{second}");
        assert_eq!(cut("", 0, 1), "WEBVTT\n\n");
    }
}
