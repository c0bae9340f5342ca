//! The last step of an asset's job: from encoded segments to a package in the store.
//!
//! A clear asset is one run of the packager, which writes its manifests too. An encrypted one is a run for each crypto
//! period, each with its own keys, init segments and times from zero; its manifests are written here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use streamverse_core::stores::AssetRecord;
use streamverse_core::{Error, Result, Stop};
use streamverse_model::media::{MediaFacts, PACKAGE_INDEX, PackageIndex, Part, TrackKind};
use tracing::info;

use super::{VodJob, Work};
use crate::index;
use crate::manifest::{self, KeyFrame, Manifests, key_frames};
use crate::package::{
    AudioTrack, Package, TextTrack, VideoTrack, cut_audio, renditions, text_folder, write_json,
};
use crate::plan::width;
use crate::protect::{PeriodKeys, Protect};
use crate::tiles::Tiles;
use crate::work::{self, audio_name, make, rate_of, scratch_failed, store_failed};

/// Segments of one crypto period, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    first: u64,
    end: u64,
    /// Whether the asset ends with it.
    last: bool,
}

/// A package that is being put together from its parts.
#[derive(Default)]
struct Parts {
    parts: Vec<Part>,
    key_frames: BTreeMap<String, Vec<KeyFrame>>,
    bytes: BTreeMap<String, u64>,
}

impl VodJob {
    pub(super) async fn package(
        &self,
        work: &Work,
        facts: &MediaFacts,
        scratch: &Path,
        stop: &Stop,
    ) -> Result<AssetRecord> {
        info!(asset = %self.spec.name, "Packaging.");
        let folder = scratch.join("package");
        make(&folder).await?;
        let index = match &self.spec.drm {
            None => self.clear(work, facts, (scratch, &folder), stop).await?,
            Some(drm) => {
                let (owner, name) = (&self.cx.owner, self.spec.name.as_str());
                let protect = Protect::of(drm, owner.deployment.as_str(), name, &self.generation);
                let period = drm.spec.period_segments(&self.spec.ladder);
                let period = period.map_err(|error| Error::permanent("spec-invalid", error.to_string()))?;
                self.encrypted(work, facts, (scratch, &folder), (&protect, period), stop).await?
            }
        };
        write_json(&folder.join(PACKAGE_INDEX), &index).await?;
        let mut thumbnails = None;
        if let (Some(spec), true) = (&self.spec.asset.thumbnails, facts.video.is_some()) {
            let source = scratch.join("source");
            work::download(&*self.stores.objects, &self.place().source(), &source).await?;
            let tiles = Tiles::of(spec, facts);
            // A list of pictures over several periods is in no manifest: the page reads the WebVTT.
            let in_manifests = index.parts.len() == 1;
            thumbnails = Some(tiles.write((&self.cx, stop), facts, &source, &folder, in_manifests).await?);
        }
        let sizes = self.upload(&folder).await?;
        let bytes_of = |prefix: &str| {
            sizes.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, size)| size).sum()
        };
        let kids = index.parts.iter().flat_map(Manifests::kids).collect();
        Ok(AssetRecord {
            name: self.spec.name.to_string(),
            generation: self.generation.clone(),
            title: self.title(),
            duration_ms: facts.duration_ms,
            renditions: renditions(&index, bytes_of),
            subtitles: self.spec.asset.subtitles.iter().flatten().map(|it| it.language.clone()).collect(),
            bytes: sizes.iter().map(|(_, size)| size).sum(),
            hls: "hls.m3u8".to_owned(),
            dash: "dash.mpd".to_owned(),
            thumbnails,
            scheme: index.protection.map(|it| it.scheme),
            kids,
            usage: self.usage(),
        })
    }

    async fn clear(
        &self,
        work: &Work,
        facts: &MediaFacts,
        (scratch, folder): (&Path, &Path),
        stop: &Stop,
    ) -> Result<PackageIndex> {
        let whole = Span { first: 0, end: segments(work, facts), last: true };
        let (video, audio) = self.tracks(work, facts, whole, (scratch, scratch), stop).await?;
        let text = self.subtitles(scratch).await?;
        let texts = index::text(&text);
        let package =
            Package { cx: &self.cx, stop, segment_ms: work.segment_ms, video, audio, text, keys: None };
        let part = package.write(scratch, folder).await?;
        Ok(PackageIndex {
            version: 1,
            duration_ms: part.duration_ms,
            segment_ms: work.segment_ms,
            parts: vec![part],
            text: texts,
            protection: None,
        })
    }

    async fn encrypted(
        &self,
        work: &Work,
        facts: &MediaFacts,
        (scratch, folder): (&Path, &Path),
        (protect, period): (&Protect, Option<u64>),
        stop: &Stop,
    ) -> Result<PackageIndex> {
        let spans = spans(segments(work, facts), period);
        let video = work.video.iter().map(|(it, _)| protect.label(TrackKind::Video, it.height / 2 * 2));
        let audio = work.audio.iter().map(|_| protect.label(TrackKind::Audio, 0));
        let labels: BTreeSet<&'static str> = video.chain(audio).collect();
        let Some(source) = &self.keys else {
            return Err(Error::permanent("key-missing", "there is no key service to ask for keys"));
        };
        // All of them are kept before the first is used.
        let keys = protect.obtain(&**source, &labels, spans.len() as u64).await?;
        let mut parts = Parts::default();
        for (number, (span, keys)) in spans.iter().zip(&keys).enumerate() {
            let prefix = if period.is_some() { format!("p{number:04}/") } else { String::new() };
            let beside = scratch.join("part");
            let _ = tokio::fs::remove_dir_all(&beside).await;
            make(&beside).await?;
            let at = (scratch, beside.as_path(), folder, prefix.as_str());
            parts
                .add(self.part(work, facts, at, (*span, protect, keys), stop).await?, folder, &prefix)
                .await?;
            let _ = tokio::fs::remove_dir_all(&beside).await;
        }
        let text = self.subtitles(scratch).await?;
        let package = Package {
            cx: &self.cx,
            stop,
            segment_ms: work.segment_ms,
            video: Vec::new(),
            audio: Vec::new(),
            text: Vec::new(),
            keys: None,
        };
        let mut files = Vec::new();
        for (number, track) in text.iter().enumerate() {
            files.push(subtitle_files(&package, &parts.parts, (number, track), (scratch, folder)).await?);
        }
        let nominal = |part: &Part| part.tracks.iter().map(|it| it.segments.len() as u64).max().unwrap_or(0);
        let before =
            parts.parts.iter().rev().skip(1).map(|part| nominal(part) * work.segment_ms).sum::<u64>();
        let last = parts.parts.last().map_or(0, |part| part.duration_ms);
        let index = PackageIndex {
            version: 1,
            duration_ms: before.saturating_add(last),
            segment_ms: work.segment_ms,
            parts: parts.parts,
            text: index::text(&text),
            protection: Some(protect.protection()),
        };
        let manifests = Manifests {
            index: &index,
            scheme: protect.scheme,
            systems: &protect.systems,
            key_frames: parts.key_frames,
            bytes: parts.bytes,
            text: files,
        };
        manifests.write(folder).await?;
        Ok(index)
    }

    /// One run of the packager, below a folder of its own.
    async fn part(
        &self,
        work: &Work,
        facts: &MediaFacts,
        (whole, scratch, folder, prefix): (&Path, &Path, &Path, &str),
        (span, protect, keys): (Span, &Protect, &PeriodKeys),
        stop: &Stop,
    ) -> Result<Part> {
        let (video, audio) = self.tracks(work, facts, span, (whole, scratch), stop).await?;
        let keys = Some((protect, keys));
        let segment_ms = work.segment_ms;
        let package = Package { cx: &self.cx, stop, segment_ms, video, audio, text: Vec::new(), keys };
        package.write(scratch, &folder.join(prefix)).await
    }

    /// What was encoded, from one segment to another, as files in `scratch`. Sound, which is whole in the store, is fetched once
    /// and stays in `whole`.
    async fn tracks(
        &self,
        work: &Work,
        facts: &MediaFacts,
        span: Span,
        (whole, scratch): (&Path, &Path),
        stop: &Stop,
    ) -> Result<(Vec<VideoTrack>, Vec<AudioTrack>)> {
        let (objects, place) = (&*self.stores.objects, self.place());
        let begin_ms = span.first * work.segment_ms;
        let (mut video, mut audio) = (Vec::new(), Vec::new());
        for (rendition, _) in &work.video {
            let file = scratch.join(format!("{}.ts", rendition.name));
            self.join(&rendition.name, span, &file).await?;
            let height = rendition.height / 2 * 2;
            let rate = rate_of(rendition, facts)?;
            video.push(VideoTrack {
                name: rendition.name.clone(),
                file,
                shift_ms: rate.shift() * 1000 + begin_ms,
                width: width(facts, height),
                height,
                frame_rate: rate.to_string(),
                codec: rendition.codec,
            });
        }
        for (rendition, stream, language) in &work.audio {
            let name = audio_name(rendition, *stream);
            let whole = whole.join(format!("{name}.mp4"));
            if !tokio::fs::try_exists(&whole).await.unwrap_or(false) {
                work::download(objects, &place.audio(&name), &whole).await?;
            }
            // Sound that goes on after the last picture's segment would be a segment of its own.
            let end_ms = span.end * work.segment_ms;
            let file = if span.first == 0 && span.last && facts.duration_ms <= end_ms {
                whole
            } else {
                let file = scratch.join(format!("{name}-cut.mp4"));
                let track = (rendition.codec, rendition.sample_rate);
                cut_audio((&self.cx, stop), (&whole, &file), track, (begin_ms, end_ms)).await?;
                file
            };
            audio.push(AudioTrack {
                name: name.trim_start_matches("audio-").to_owned(),
                file,
                language: language.clone(),
                channels: rendition.layout.channels(),
                sample_rate: rendition.sample_rate,
            });
        }
        Ok((video, audio))
    }

    async fn subtitles(&self, scratch: &Path) -> Result<Vec<TextTrack>> {
        let mut text = Vec::new();
        for (number, subtitle) in self.spec.asset.subtitles.iter().flatten().enumerate() {
            let file = scratch.join(format!("subtitle-{number}"));
            work::download(&*self.stores.objects, &self.subtitle(number), &file).await?;
            let label = subtitle.label.clone().unwrap_or_else(|| subtitle.language.clone());
            text.push(TextTrack { file, language: subtitle.language.clone(), label });
        }
        Ok(text)
    }

    /// Segments of a rendition, one after another, in one file.
    async fn join(&self, rendition: &str, span: Span, file: &Path) -> Result<()> {
        let unwritable = |error: std::io::Error| {
            work::scratch_failed(format!("{} cannot be written", file.display()), error)
        };
        let mut target = tokio::fs::File::create(file).await.map_err(unwritable)?;
        for k in span.first..span.end {
            let path = self.place().segment(rendition, k);
            let found = object_store::ObjectStoreExt::get(&*self.stores.objects, &path)
                .await
                .map_err(store_failed)?;
            let mut stream = found.into_stream();
            while let Some(bytes) = stream.try_next().await.map_err(store_failed)? {
                tokio::io::AsyncWriteExt::write_all(&mut target, &bytes).await.map_err(unwritable)?;
            }
        }
        tokio::io::AsyncWriteExt::flush(&mut target).await.map_err(unwritable)
    }

    /// Puts the package into the store; manifests last, so that a manifest never names what is not there.
    async fn upload(&self, folder: &Path) -> Result<Vec<(String, u64)>> {
        let mut files = files_below(folder).await?;
        let is_manifest = |name: &str| [".m3u8", ".mpd", ".json"].iter().any(|end| name.ends_with(end));
        files.sort_by_key(|name| (is_manifest(name), name.clone()));
        let mut sizes = Vec::new();
        for name in files {
            let path = object_store::path::Path::from(format!("{}/{name}", self.place().packages()));
            let size = work::upload(&*self.stores.objects, &folder.join(&name), &path).await?;
            sizes.push((name, size));
        }
        Ok(sizes)
    }
}

impl Parts {
    /// Takes in what the packager wrote below a prefix of the folder. Its own manifests go: they would offer the bare key.
    async fn add(&mut self, mut part: Part, folder: &Path, prefix: &str) -> Result<()> {
        let below = folder.join(prefix);
        for track in &mut part.tracks {
            let place = track.init.trim_end_matches("init.mp4").to_owned();
            let mut bytes = 0;
            for number in 0..track.segments.len() as u64 {
                let file = below.join(track.segment(number));
                bytes += tokio::fs::metadata(&file).await.map_err(|error| lost(&file, error))?.len();
            }
            track.init = format!("{prefix}{}", track.init);
            track.media = format!("{prefix}{}", track.media);
            if track.kind == TrackKind::Video {
                let file = below.join(format!("{place}iframes.m3u8"));
                let text = tokio::fs::read_to_string(&file).await.map_err(|error| lost(&file, error))?;
                self.key_frames.insert(track.init.clone(), key_frames(&text));
            }
            self.bytes.insert(track.init.clone(), bytes);
        }
        for name in files_below(&below).await? {
            if name.ends_with(".m3u8") || name.ends_with(".mpd") {
                let file = below.join(&name);
                tokio::fs::remove_file(&file).await.map_err(|error| lost(&file, error))?;
            }
        }
        self.parts.push(part);
        Ok(())
    }
}

fn lost(file: &Path, error: std::io::Error) -> Error {
    Error::passing("scratch", format!("{} is lost", file.display())).because(error)
}

/// Segments of the whole asset: of its pictures, or of its sound where it has none.
fn segments(work: &Work, facts: &MediaFacts) -> u64 {
    let sound = facts.duration_ms.div_ceil(work.segment_ms.max(1));
    work.video.iter().map(|(_, count)| *count).min().unwrap_or(sound)
}

fn spans(count: u64, period: Option<u64>) -> Vec<Span> {
    let length = period.unwrap_or(count).max(1);
    let begins = (0..count.div_ceil(length)).map(|number| number * length);
    begins
        .map(|first| Span { first, end: (first + length).min(count), last: first + length >= count })
        .collect()
}

/// Writes a subtitle of an encrypted package, which is not encrypted itself: whole, and cut for each part where there are
/// several. The files for the parts.
async fn subtitle_files(
    package: &Package<'_>,
    parts: &[Part],
    (number, track): (usize, &TextTrack),
    (scratch, folder): (&Path, &Path),
) -> Result<Vec<String>> {
    let vtt = scratch.join(format!("text-{number}.vtt"));
    package.web_vtt(&track.file, &vtt).await?;
    let text = tokio::fs::read_to_string(&vtt).await.map_err(|error| lost(&vtt, error))?;
    let place = text_folder(number, track);
    let mut wanted = vec![(format!("{place}/00001.vtt"), text.clone())];
    let mut begin = 0;
    if parts.len() > 1 {
        for (at, part) in parts.iter().enumerate() {
            let segments = part.tracks.iter().map(|it| it.segments.len() as u64).max().unwrap_or_default();
            // The last one has what is left.
            let end = if at + 1 == parts.len() { u64::MAX } else { begin + segments * package.segment_ms };
            wanted.push((format!("p{at:04}/{place}/00001.vtt"), manifest::cut(&text, begin, end)));
            begin = end;
        }
    }
    for (name, text) in &wanted {
        let file = folder.join(name);
        if let Some(parent) = file.parent() {
            make(parent).await?;
        }
        let unwritable = |error| scratch_failed(format!("{} cannot be written", file.display()), error);
        tokio::fs::write(&file, text).await.map_err(unwritable)?;
    }
    let skip = usize::from(parts.len() > 1);
    Ok(wanted.into_iter().skip(skip).map(|(name, _)| name).collect())
}

/// Names relative to the folder, with `/`.
async fn files_below(folder: &Path) -> Result<Vec<String>> {
    let unreadable =
        |error: std::io::Error| Error::passing("scratch", "the package cannot be listed").because(error);
    let (mut todo, mut files): (Vec<PathBuf>, Vec<String>) = (vec![folder.to_owned()], Vec::new());
    while let Some(next) = todo.pop() {
        let mut entries = tokio::fs::read_dir(&next).await.map_err(unreadable)?;
        while let Some(entry) = entries.next_entry().await.map_err(unreadable)? {
            if entry.file_type().await.map_err(unreadable)?.is_dir() {
                todo.push(entry.path());
            } else if let Ok(name) = entry.path().strip_prefix(folder) {
                files.push(name.to_string_lossy().into_owned());
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_segment_is_in_one_crypto_period() {
        for (count, period) in [(1, None), (7, None), (7, Some(1)), (7, Some(3)), (6, Some(3)), (2, Some(9))]
        {
            let spans = spans(count, period);
            assert_eq!(spans.first().map(|it| it.first), Some(0));
            assert!(spans.windows(2).all(|pair| pair[0].end == pair[1].first && !pair[0].last), "{spans:?}");
            assert!(spans.last().is_some_and(|it| it.end == count && it.last), "{spans:?}");
            assert_eq!(spans.len() as u64, period.map_or(1, |period| count.div_ceil(period)));
        }
    }
}
