//! Pictures for a player's time line: sheets of small pictures, told three times: to DASH players as an image adaptation
//! set, to HLS players as an image playlist, to all others as WebVTT.

use std::path::Path;

use streamverse_core::tool::Tool;
use streamverse_core::{Error, Result, ServiceContext, Stop};
use streamverse_model::media::{MediaFacts, ThumbnailSpec};

use crate::encode::{deinterlacing, scaling, words};
use crate::package::limits;
use crate::plan::width;
use crate::work::make;

/// Pictures side by side on a sheet, and rows of them.
const SIDE: u64 = 5;
const SHEET: u64 = SIDE * SIDE;

/// What is where on the sheets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiles {
    duration_ms: u64,
    /// Between two pictures.
    interval_ms: u64,
    /// Of one picture.
    width: u32,
    height: u32,
}

impl Tiles {
    pub(crate) fn of(spec: &ThumbnailSpec, facts: &MediaFacts) -> Tiles {
        let interval = u64::try_from(spec.interval.0.as_millis()).unwrap_or(u64::MAX / SHEET / 2);
        let height = spec.height / 2 * 2;
        Tiles {
            duration_ms: facts.duration_ms.max(1),
            interval_ms: interval.clamp(500, u64::MAX / SHEET / 2),
            width: width(facts, height),
            height,
        }
    }

    fn pictures(&self) -> u64 {
        self.duration_ms.div_ceil(self.interval_ms)
    }

    fn sheets(&self) -> u64 {
        self.pictures().div_ceil(SHEET)
    }

    fn sheet_ms(&self) -> u64 {
        self.interval_ms * SHEET
    }

    /// Draws the sheets into a package's folder and names them in its manifests, where it is asked to; the name of the WebVTT
    /// index.
    pub(crate) async fn write(
        &self,
        (cx, stop): (&ServiceContext, &Stop),
        facts: &MediaFacts,
        source: &Path,
        folder: &Path,
        in_manifests: bool,
    ) -> Result<String> {
        make(&folder.join("thumbnails")).await?;
        let mut args = words("-v error -nostdin -y -protocol_whitelist file,pipe -i");
        args.push(source.to_string_lossy().into_owned());
        args.extend(words("-map 0:V:0 -an -sn -vf"));
        args.push(self.filters(facts));
        args.extend(["-frames:v".to_owned(), self.sheets().to_string()]);
        args.extend(words("-c:v mjpeg -q:v 4 -pix_fmt yuvj420p -f image2 thumbnails/sprite-%03d.jpg"));
        let tool = Tool::of(cx, "ffmpeg").args(args).dir(folder);
        tool.until(stop).limits(limits()).run().await?;
        let mut largest = 0;
        for sheet in 1..=self.sheets() {
            let path = folder.join("thumbnails").join(name_of(sheet));
            let about = tokio::fs::metadata(&path).await.map_err(|error| failed("found", &path, error))?;
            largest = largest.max(about.len());
        }
        write(&folder.join("thumbnails/index.vtt"), self.web_vtt()).await?;
        write(&folder.join("thumbnails/index.m3u8"), self.playlist()).await?;
        if !in_manifests {
            return Ok("thumbnails/index.vtt".to_owned());
        }
        let bit_rate = (largest * 8000).div_ceil(self.sheet_ms().min(self.duration_ms)).max(1);
        edit(&folder.join("hls.m3u8"), |text| format!("{}\n{}", text.trim_end(), self.stream(bit_rate)))
            .await?;
        edit(&folder.join("dash.mpd"), |text| self.in_period(text, bit_rate)).await?;
        Ok("thumbnails/index.vtt".to_owned())
    }

    fn filters(&self, facts: &MediaFacts) -> String {
        let mut filters = deinterlacing(facts);
        filters.push(format!("fps=1000/{}:round=up", self.interval_ms));
        filters.extend(scaling(facts, self.width, self.height));
        // The last sheet is filled with its last picture, and there is one even where the picture ends before its time.
        filters.push(format!("tpad=stop={SHEET}:stop_mode=clone"));
        filters.push(format!("tile={SIDE}x{SIDE}"));
        filters.join(",")
    }

    fn web_vtt(&self) -> String {
        let mut index = "WEBVTT\n".to_owned();
        for number in 0..self.pictures() {
            let begin = number * self.interval_ms;
            let end = (begin + self.interval_ms).min(self.duration_ms);
            let (sheet, place) = (number / SHEET + 1, number % SHEET);
            let (x, y) = (place % SIDE * u64::from(self.width), place / SIDE * u64::from(self.height));
            index.push_str(&format!(
                "\n{} --> {}\n{}#xywh={x},{y},{},{}\n",
                clock(begin),
                clock(end),
                name_of(sheet),
                self.width,
                self.height
            ));
        }
        index
    }

    /// The image playlist, as the extension of HLS for thumbnails has it that Roku wrote and Shaka Player reads.
    fn playlist(&self) -> String {
        let longest = self.sheet_ms().min(self.duration_ms).div_ceil(1000);
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{longest}\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-IMAGES-ONLY\n"
        );
        for sheet in 0..self.sheets() {
            let span = (self.duration_ms - sheet * self.sheet_ms()).min(self.sheet_ms());
            text.push_str(&format!(
                "#EXTINF:{},\n#EXT-X-TILES:RESOLUTION={}x{},LAYOUT={SIDE}x{SIDE},DURATION={}\n{}\n",
                seconds(span),
                self.width,
                self.height,
                seconds(self.interval_ms),
                name_of(sheet + 1)
            ));
        }
        text.push_str("#EXT-X-ENDLIST\n");
        text
    }

    fn stream(&self, bit_rate: u64) -> String {
        format!(
            "\n#EXT-X-IMAGE-STREAM-INF:BANDWIDTH={bit_rate},RESOLUTION={}x{},CODECS=\"jpeg\",URI=\"thumbnails/index.m3u8\"\n",
            self.width, self.height
        )
    }

    /// The adaptation set of DASH-IF's guidelines (IOP 4.3 section 6.2.6, IOP 5 "thumbnail adaptation sets"), at the end of
    /// the period. The descriptor stands where the newer text wants it, width and height are those of a sheet.
    fn in_period(&self, mpd: &str, bit_rate: u64) -> String {
        let set = format!(
            r#"    <AdaptationSet id="{}" contentType="image" mimeType="image/jpeg">
      <EssentialProperty schemeIdUri="http://dashif.org/guidelines/thumbnail_tile" value="{SIDE}x{SIDE}"/>
      <SegmentTemplate media="thumbnails/sprite-$Number%03d$.jpg" timescale="1000" duration="{}" startNumber="1"/>
      <Representation id="thumbnails" bandwidth="{bit_rate}" width="{}" height="{}"/>
    </AdaptationSet>
"#,
            mpd.matches("<AdaptationSet").count(),
            self.sheet_ms(),
            u64::from(self.width) * SIDE,
            u64::from(self.height) * SIDE,
        );
        let end = mpd.rfind("</Period>").unwrap_or(mpd.len());
        let (before, after) = mpd.split_at(end);
        format!("{}\n{set}  {after}", before.trim_end())
    }
}

fn name_of(sheet: u64) -> String {
    format!("sprite-{sheet:03}.jpg")
}

async fn edit(path: &Path, change: impl FnOnce(&str) -> String) -> Result<()> {
    let text = tokio::fs::read_to_string(path).await.map_err(|error| failed("read", path, error))?;
    write(path, change(&text)).await
}

async fn write(path: &Path, text: String) -> Result<()> {
    tokio::fs::write(path, text).await.map_err(|error| failed("written", path, error))
}

fn failed(what: &str, path: &Path, error: std::io::Error) -> Error {
    crate::work::scratch_failed(format!("{} cannot be {what}", path.display()), error)
}

/// `00:01:02.500`.
fn clock(ms: u64) -> String {
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

/// `2.5`, as playlists write it.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_has_a_picture_and_no_sheet_is_named_that_is_not_drawn() {
        for (duration_ms, pictures, sheets) in
            [(1, 1, 1), (5000, 1, 1), (5001, 2, 1), (125_000, 25, 1), (125_001, 26, 2), (251_000, 51, 3)]
        {
            let tiles = Tiles { duration_ms, interval_ms: 5000, width: 160, height: 90 };
            assert_eq!((tiles.pictures(), tiles.sheets()), (pictures, sheets), "{duration_ms}");
            let (vtt, list) = (tiles.web_vtt(), tiles.playlist());
            assert_eq!(vtt.matches("#xywh").count() as u64, pictures);
            assert_eq!(list.matches("sprite-").count() as u64, sheets);
            assert!(vtt.contains(&format!("--> {}\n", clock(duration_ms))), "{vtt}");
            // DASH players count: the period's length by the sheet's, rounded up.
            assert_eq!(duration_ms.div_ceil(tiles.sheet_ms()), sheets);
            let times = list.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(','));
            let sum: f64 = times.map(|it| it.parse::<f64>().unwrap()).sum();
            assert!((sum - duration_ms as f64 / 1000.0).abs() < 1e-6, "{list}");
        }
    }

    #[test]
    fn the_image_set_is_the_last_of_the_period() {
        let tiles = Tiles { duration_ms: 9000, interval_ms: 5000, width: 160, height: 90 };
        let mpd = tiles.in_period(
            "<MPD>\n  <Period id=\"0\">\n    <AdaptationSet id=\"0\"/>\n  </Period>\n</MPD>\n",
            800,
        );
        assert!(mpd.contains("    <AdaptationSet id=\"1\" contentType=\"image\""), "{mpd}");
        assert!(
            mpd.contains("width=\"800\" height=\"450\"")
                && mpd.ends_with("    </AdaptationSet>\n  </Period>\n</MPD>\n"),
            "{mpd}"
        );
    }
}
