//! The manifests of an encrypted package, written from its index. The packager's own would offer the bare key in HLS
//! (`KEYFORMAT="identity"`), and it does not know of crypto periods.

mod dash;
mod hls;
mod subtitles;

use std::collections::BTreeMap;
use std::path::Path;

use streamverse_core::Result;
use streamverse_model::drm::{DrmSystem, KeyId, Scheme};
use streamverse_model::media::{IndexTrack, PackageIndex, Part};

use crate::work::{make, scratch_failed};

pub(crate) use hls::{KeyFrame, key_frames};
pub(crate) use subtitles::cut;

/// What manifests are written from.
pub(crate) struct Manifests<'a> {
    pub(crate) index: &'a PackageIndex,
    pub(crate) scheme: Scheme,
    pub(crate) systems: &'a [DrmSystem],
    /// The key frames of a picture, by the path of its init segment.
    pub(crate) key_frames: BTreeMap<String, Vec<KeyFrame>>,
    /// Bytes of a track's segments, by the path of its init segment.
    pub(crate) bytes: BTreeMap<String, u64>,
    /// For each subtitle, its files: one for each part.
    pub(crate) text: Vec<Vec<String>>,
}

impl Manifests<'_> {
    /// Writes all of them into the package.
    pub(crate) async fn write(&self, folder: &Path) -> Result<()> {
        for (path, text) in self.hls().into_iter().chain([("dash.mpd".to_owned(), self.dash())]) {
            let file = folder.join(&path);
            if let Some(parent) = file.parent() {
                make(parent).await?;
            }
            let unwritable = |error| scratch_failed(format!("{} cannot be written", file.display()), error);
            tokio::fs::write(&file, text).await.map_err(unwritable)?;
        }
        Ok(())
    }

    /// The tracks of the first part, which stand for those of all.
    fn tracks(&self) -> &[IndexTrack] {
        self.index.parts.first().map(|part| part.tracks.as_slice()).unwrap_or_default()
    }

    /// A track in every part.
    fn through(&self, number: usize) -> impl Iterator<Item = (&Part, &IndexTrack)> {
        self.index.parts.iter().filter_map(move |part| Some((part, part.tracks.get(number)?)))
    }

    /// The identifiers that the init segments of a part name.
    pub(crate) fn kids(part: &Part) -> Vec<KeyId> {
        let mut kids = Vec::new();
        for kid in part.tracks.iter().filter_map(|track| track.kid) {
            if !kids.contains(&kid) {
                kids.push(kid);
            }
        }
        kids
    }
}

/// `2.002`, from units.
fn seconds(units: u64, timescale: u32) -> String {
    let micros = (u128::from(units) * 1_000_000 + u128::from(timescale / 2)) / u128::from(timescale.max(1));
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() { "0".to_owned() } else { text.to_owned() }
}

/// From one file of a package to another: `../../p0001/video/720p/init.mp4`.
fn relative(from: &str, to: &str) -> String {
    let (mut from, mut to): (Vec<&str>, Vec<&str>) = (from.split('/').collect(), to.split('/').collect());
    from.pop();
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count().min(to.len() - 1);
    from.drain(..same);
    to.drain(..same);
    format!("{}{}", "../".repeat(from.len()), to.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_times_are_as_manifests_write_them() {
        assert_eq!(relative("video/720p/index.m3u8", "video/720p/init.mp4"), "init.mp4");
        assert_eq!(
            relative("video/720p/index.m3u8", "p0001/video/720p/1.m4s"),
            "../../p0001/video/720p/1.m4s"
        );
        assert_eq!(relative("hls.m3u8", "video/720p/index.m3u8"), "video/720p/index.m3u8");
        assert_eq!(seconds(180_180, 90_000), "2.002");
        assert_eq!(seconds(96_256, 48_000), "2.005333");
        assert_eq!(seconds(0, 1), "0");
        assert_eq!(seconds(20, 2), "10");
    }
}
