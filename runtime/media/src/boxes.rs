//! The boxes of ISO BMFF (ISO/IEC 14496-12) that an index needs: time scales of init segments, times and lengths of media
//! segments, and the key that an init segment names. Only the packager's own output is read, and nothing is trusted.

use std::path::Path;

use streamverse_core::{Error, Result};
use streamverse_model::drm::KeyId;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// A `moov` or `moof` is far smaller: one entry of a few bytes for each sample.
const LARGEST: u64 = 64 << 20;

/// What an init segment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Init {
    pub(crate) timescale: u32,
    /// Of a sample that does not say its own length.
    pub(crate) sample_duration: u32,
    /// Units of its samples before what is shown first: what the edit list leaves out (ISO/IEC 14496-12 section 8.6.6).
    pub(crate) lead: u64,
    /// `tenc`'s default KID, where samples are encrypted, and the scheme that `schm` names.
    pub(crate) key: Option<(KeyId, String)>,
}

/// What a media segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// When what it shows begins, in units.
    pub(crate) begins: u64,
    /// Of what it shows, in units.
    pub(crate) duration: u64,
}

/// Reads an init segment of one track.
pub(crate) async fn read_init(file: &Path) -> Result<Init> {
    let moov = find(file, *b"moov").await?;
    init(&moov).ok_or_else(|| broken(file, "its init segment has no track"))
}

/// Reads a media segment of one track and one fragment.
pub(crate) async fn read_segment(file: &Path, init: &Init) -> Result<Segment> {
    let moof = find(file, *b"moof").await?;
    segment(&moof, init).ok_or_else(|| broken(file, "a segment has no samples"))
}

fn init(moov: &[u8]) -> Option<Init> {
    let trak = child(moov, *b"trak")?;
    let mdia = child(trak, *b"mdia")?;
    let mdhd = child(mdia, *b"mdhd")?;
    let timescale = u32_at(mdhd, if *mdhd.first()? == 1 { 20 } else { 12 })?;
    let trex = child(child(moov, *b"mvex")?, *b"trex")?;
    let stsd = child(child(child(mdia, *b"minf")?, *b"stbl")?, *b"stsd")?;
    // Version, flags and the number of entries come first.
    let (kind, entry) = Boxes(stsd.get(8..)?).next()?;
    let fields = match &kind {
        b"encv" => Some(78),
        b"enca" => Some(28),
        _ => None,
    };
    let key = match fields {
        None => None,
        Some(fields) => {
            let sinf = child(entry.get(fields..)?, *b"sinf")?;
            let scheme = child(sinf, *b"schm")?.get(4..8)?;
            let tenc = child(child(sinf, *b"schi")?, *b"tenc")?;
            let kid = <[u8; 16]>::try_from(tenc.get(8..24)?).ok()?;
            Some((KeyId(kid), String::from_utf8_lossy(scheme).into_owned()))
        }
    };
    Some(Init { timescale, sample_duration: u32_at(trex, 12)?, lead: lead(trak), key })
}

/// The first media time that an edit list shows; 0 without one.
fn lead(trak: &[u8]) -> u64 {
    let found = || {
        let elst = child(child(trak, *b"edts")?, *b"elst")?;
        // Version, flags, number of entries, then a length before the media time.
        let time = if *elst.first()? == 1 { u64_at(elst, 16)? } else { u32_at(elst, 12)?.into() };
        // All ones is an empty edit.
        (time < u64::from(u32::MAX)).then_some(time)
    };
    found().unwrap_or_default()
}

fn segment(moof: &[u8], init: &Init) -> Option<Segment> {
    let traf = child(moof, *b"traf")?;
    let tfdt = child(traf, *b"tfdt")?;
    let decoded = if *tfdt.first()? == 1 { u64_at(tfdt, 4)? } else { u32_at(tfdt, 4)?.into() };
    let tfhd = child(traf, *b"tfhd")?;
    let flags = u32_at(tfhd, 0)?;
    // Fields that are there in this order: base data offset, sample description, duration (ISO/IEC 14496-12 section 8.8.7).
    let at = 8 + if flags & 1 != 0 { 8 } else { 0 } + if flags & 2 != 0 { 4 } else { 0 };
    let usual = if flags & 8 != 0 { u32_at(tfhd, at)? } else { init.sample_duration };
    let (mut duration, mut earliest) = (0_u64, None::<i64>);
    for (_, trun) in Boxes(traf).filter(|(kind, _)| kind == b"trun") {
        let (flags, count) = (u32_at(trun, 0)?, u32_at(trun, 4)?);
        let has = |flag: u32| usize::from(flags & flag != 0);
        let first = 8 + 4 * (has(1) + has(4));
        let width = 4 * (has(0x100) + has(0x200) + has(0x400) + has(0x800));
        // Without fields there is nothing in the box that bounds the count.
        if width == 0 {
            duration = duration.checked_add(u64::from(usual) * u64::from(count))?;
            earliest = earliest.or(Some(0));
            continue;
        }
        for sample in 0..usize::try_from(count).ok()? {
            let at = sample.checked_mul(width)?.checked_add(first)?;
            trun.get(at..at.checked_add(width)?)?;
            // Its time of composition: signed in version 1, and small in version 0.
            let offset = if has(0x800) == 1 { u32_at(trun, at + width - 4)?.cast_signed() } else { 0 };
            let shown = i64::try_from(duration).ok()?.checked_add(offset.into())?;
            earliest = Some(earliest.map_or(shown, |it| it.min(shown)));
            let length = if has(0x100) == 1 { u32_at(trun, at)? } else { usual };
            duration = duration.checked_add(length.into())?;
        }
    }
    let shown = decoded.checked_add_signed(earliest?)?;
    let left_out = init.lead.saturating_sub(shown);
    let duration = duration.checked_sub(left_out).filter(|it| *it > 0)?;
    Some(Segment { begins: shown.saturating_sub(init.lead), duration })
}

/// Boxes side by side: the kind, and what is in it.
struct Boxes<'a>(&'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let kind = <[u8; 4]>::try_from(self.0.get(4..8)?).ok()?;
        let (header, size) = match u32_at(self.0, 0)? {
            0 => (8, self.0.len()),
            1 => (16, usize::try_from(u64_at(self.0, 8)?).ok()?),
            size => (8, usize::try_from(size).ok()?),
        };
        let content = self.0.get(header..size)?;
        self.0 = self.0.get(size..)?;
        Some((kind, content))
    }
}

fn child(content: &[u8], kind: [u8; 4]) -> Option<&[u8]> {
    Boxes(content).find(|(found, _)| *found == kind).map(|(_, content)| content)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The content of a file's first box of a kind; media itself is stepped over.
async fn find(file: &Path, kind: [u8; 4]) -> Result<Vec<u8>> {
    let unreadable = |error: std::io::Error| {
        Error::passing("scratch", format!("{} cannot be read", file.display())).because(error)
    };
    let mut opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let missing = || broken(file, &format!("it has no {}", String::from_utf8_lossy(&kind)));
    let mut at = 0_u64;
    loop {
        let mut header = [0; 16];
        opened.seek(std::io::SeekFrom::Start(at)).await.map_err(unreadable)?;
        opened.read_exact(header.get_mut(..8).unwrap_or_default()).await.map_err(|_| missing())?;
        let size = match u32_at(&header, 0) {
            Some(1) => {
                opened.read_exact(header.get_mut(8..).unwrap_or_default()).await.map_err(|_| missing())?;
                u64_at(&header, 8).unwrap_or_default()
            }
            size => size.unwrap_or_default().into(),
        };
        let before = if u32_at(&header, 0) == Some(1) { 16 } else { 8 };
        let content = size.checked_sub(before).filter(|size| *size <= LARGEST);
        if header.get(4..8) == Some(&kind) {
            let mut bytes = vec![0; content.and_then(|it| usize::try_from(it).ok()).ok_or_else(missing)?];
            opened.read_exact(&mut bytes).await.map_err(|_| missing())?;
            return Ok(bytes);
        }
        at = at.checked_add(size.max(8)).ok_or_else(missing)?;
    }
}

fn broken(file: &Path, what: &str) -> Error {
    Error::permanent("package-broken", format!("the packager wrote {}: {what}", file.display()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes(), kind.as_slice(), content].concat()
    }

    #[test]
    fn a_segments_length_is_the_sum_of_its_samples() {
        let usual = Init { sample_duration: 7, ..Init::default() };
        let tfdt = boxed(b"tfdt", &[&[1, 0, 0, 0], 288_768_u64.to_be_bytes().as_slice()].concat());
        // Durations and sizes of two samples, after a data offset.
        let numbers = [0x301_u32, 2, 504, 1024, 176, 896, 180].map(u32::to_be_bytes).concat();
        let tfhd = boxed(b"tfhd", &[0x20002_u32, 1, 1].map(u32::to_be_bytes).concat());
        let traf = boxed(b"traf", &[tfhd.clone(), tfdt.clone(), boxed(b"trun", &numbers)].concat());
        assert_eq!(segment(&traf, &usual), Some(Segment { begins: 288_768, duration: 1920 }));
        // No durations: the track's own.
        let plain = boxed(b"trun", &[0_u32, 3].map(u32::to_be_bytes).concat());
        let traf = boxed(b"traf", &[tfhd, tfdt, plain].concat());
        assert_eq!(segment(&traf, &usual), Some(Segment { begins: 288_768, duration: 21 }));
        // An edit list that leaves out the beginning of this one.
        let late = Init { lead: 288_768 + 14, ..usual };
        assert_eq!(segment(&traf, &late), Some(Segment { begins: 0, duration: 7 }));
    }

    proptest! {
        #[test]
        fn whatever_bytes_are_read_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in prop::sample::select(vec![*b"moov", *b"traf", *b"trun"])) {
            let _ = init(&bytes);
            let _ = segment(&boxed(b"traf", &boxed(&kind, &bytes)), &Init::default());
            let _ = segment(&bytes, &Init::default());
        }
    }
}
