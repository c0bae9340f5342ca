//! Files shaped as our packages: one asset with manifests of some 2 KiB and segments of 1 MiB.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Outcome;

/// Of each kind. All segments together fit into every cache that is measured.
const FILES: usize = 64;
const SEGMENT: usize = 1 << 20;

/// What is asked for: paths that begin with `/vod`.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Media playlists.
    pub manifests: Vec<String>,
    /// Media segments.
    pub segments: Vec<String>,
}

/// Writes them below a folder.
///
/// # Errors
/// A full disk.
pub fn write(folder: &Path) -> Outcome<Paths> {
    let base = folder.join("vod/film/0123456789abcdef");
    let mut paths = Paths { manifests: Vec::new(), segments: Vec::new() };
    for number in 0..FILES {
        let rendition = base.join(format!("v{number}"));
        fs::create_dir_all(&rendition)?;
        let address = format!("/vod/film/0123456789abcdef/v{number}");
        fs::write(rendition.join("playlist.m3u8"), playlist())?;
        paths.manifests.push(format!("{address}/playlist.m3u8"));
        fs::write(rendition.join("1.m4s"), segment(number as u64 + 1))?;
        paths.segments.push(format!("{address}/1.m4s"));
    }
    Ok(paths)
}

/// As Shaka Packager writes one of five minutes in segments of four seconds.
fn playlist() -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n\
                    #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"init.mp4\"\n"
        .to_owned();
    for number in 1..=75 {
        let _ = writeln!(text, "#EXTINF:4.000,\n{number}.m4s");
    }
    text + "#EXT-X-ENDLIST\n"
}

/// Bytes that do not compress (xorshift64, Marsaglia 2003).
fn segment(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(SEGMENT / 8).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_the_size_of_what_viewers_ask_for() {
        assert!((1_600..2_400).contains(&playlist().len()), "{}", playlist().len());
        assert_eq!(segment(1).len(), SEGMENT);
    }
}
