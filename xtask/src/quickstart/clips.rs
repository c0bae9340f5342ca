//! The sample clips: moving pictures with a tone, subtitles in two languages, and in every frame its own number as a
//! block code (`docs/quickstart/block-code.md`).

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::process::Run;

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const FRAME_RATE: u32 = 25;
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// A clip to be drawn.
struct Recipe {
    name: &'static str,
    /// 1 to 7, in the block code.
    number: u32,
    seconds: u32,
    /// A source of ffmpeg's, without size and rate.
    picture: &'static str,
    /// In hertz.
    tone: u32,
    role: Role,
}

/// What a clip is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Encrypted, on demand and in the channel.
    Programme,
    /// On demand, for everybody.
    Trailer,
    /// In the channel's breaks.
    Spot,
    /// In the channel when nothing else can be.
    Slate,
}

const RECIPES: &[Recipe] = &[
    Recipe {
        name: "colours",
        number: 1,
        seconds: 32,
        picture: "gradients=n=5:seed=7:speed=0.03",
        tone: 330,
        role: Role::Programme,
    },
    Recipe {
        name: "test-card",
        number: 2,
        seconds: 24,
        picture: "testsrc2",
        tone: 440,
        role: Role::Programme,
    },
    Recipe {
        name: "trailer",
        number: 5,
        seconds: 8,
        picture: "mandelbrot=maxiter=500",
        tone: 550,
        role: Role::Trailer,
    },
];

/// What a channel needs besides its programmes.
const FURNITURE: &[Recipe] = &[
    Recipe {
        name: "channel-spot",
        number: 3,
        seconds: 8,
        picture: "yuvtestsrc",
        tone: 660,
        role: Role::Spot,
    },
    Recipe {
        name: "channel-slate",
        number: 4,
        seconds: 4,
        picture: "color=c=0x203050",
        tone: 220,
        role: Role::Slate,
    },
];

/// A clip that is there.
pub(crate) struct Clip {
    /// Its name: a name in the sense of the provider.
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// Language and file.
    pub(crate) subtitles: Vec<(&'static str, PathBuf)>,
    pub(crate) role: Role,
}

impl Clip {
    /// What viewers see.
    pub(crate) fn title(&self) -> String {
        let words = self.name.replace('-', " ");
        let mut letters = words.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }
}

/// Draws the clips that are not in the folder yet.
pub(crate) fn draw(ffmpeg: &Path, folder: &Path) -> Outcome<Vec<Clip>> {
    drawn(RECIPES, ffmpeg, folder)
}

/// Draws a channel's spot and slate.
pub(crate) fn furnish(ffmpeg: &Path, folder: &Path) -> Outcome<Vec<Clip>> {
    drawn(FURNITURE, ffmpeg, folder)
}

/// Whether a clip of ours has that name.
pub(crate) fn is_taken(name: &str) -> bool {
    FURNITURE.iter().any(|recipe| recipe.name == name)
}

fn drawn(recipes: &[Recipe], ffmpeg: &Path, folder: &Path) -> Outcome<Vec<Clip>> {
    fs::create_dir_all(folder).map_err(|error| Failure::io("create", folder, &error))?;
    recipes.iter().map(|recipe| recipe.ensure(ffmpeg, folder)).collect()
}

impl Recipe {
    fn ensure(&self, ffmpeg: &Path, folder: &Path) -> Outcome<Clip> {
        let file = folder.join(format!("{}.mp4", self.name));
        if !file.is_file() {
            self.draw(ffmpeg, folder, &file)?;
        }
        let mut subtitles = Vec::new();
        for (language, words) in [("en", ("second", "of")), ("de", ("Sekunde", "von"))] {
            let path = folder.join(format!("{}.{language}.vtt", self.name));
            fs::write(&path, self.subtitles(words)).map_err(|error| Failure::io("write", &path, &error))?;
            subtitles.push((language, path));
        }
        Ok(Clip { name: self.name.to_owned(), file, subtitles, role: self.role })
    }

    fn draw(&self, ffmpeg: &Path, folder: &Path, file: &Path) -> Outcome {
        println!("  drawing {} ({} s)", file.display(), self.seconds);
        let join = if self.picture.contains('=') { ':' } else { '=' };
        let picture = format!("{}{join}size={WIDTH}x{HEIGHT}:rate={FRAME_RATE}", self.picture);
        let tone = format!("sine=frequency={}:beep_factor=4:sample_rate=48000", self.tone);
        // Under another name first, so that an interrupted run leaves no half clip.
        let fresh = folder.join(format!("{}.drawing.mp4", self.name));
        Run::new("ffmpeg", ffmpeg)
            .args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i"])
            .args([picture.as_str(), "-f", "lavfi", "-i", tone.as_str()])
            .args(["-t", &self.seconds.to_string(), "-vf", &block_code(self.number)])
            .args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-g", "50", "-pix_fmt", "yuv420p"])
            .args(["-c:a", "aac", "-b:a", "160k", "-ac", "2", "-metadata:s:a:0", "language=eng"])
            .args([&fresh])
            .limit(LIMIT)
            .log_to(&folder.join(format!("{}.log", self.name)))?;
        fs::rename(&fresh, file).map_err(|error| Failure::io("move", &fresh, &error))
    }

    /// One cue for every two seconds.
    fn subtitles(&self, (second, of): (&str, &str)) -> String {
        let mut text = "WEBVTT\n".to_owned();
        for begin in (0..self.seconds).step_by(2) {
            let end = (begin + 2).min(self.seconds);
            let _ = write!(
                text,
                "\n00:00:{begin:02}.000 --> 00:00:{end:02}.000\n{second} {begin} {of} {}\n",
                self.seconds
            );
        }
        text
    }
}

/// Filters that draw the code of each frame; `n` is ffmpeg's count of frames.
fn block_code(clip: u32) -> String {
    let (cell_width, cell_height) = (WIDTH / 32, HEIGHT / 18);
    let (left, top) = (4 * cell_width, cell_height / 2);
    let mut filters = vec![format!(
        "drawbox=x={}:y={}:w={}:h={}:color=black:t=fill",
        left - cell_width,
        top - cell_height / 4,
        26 * cell_width,
        cell_height + cell_height / 2
    )];
    let mut white = |block: u32, when: Option<String>| {
        let enable = when.map(|when| format!(":enable='{when}'")).unwrap_or_default();
        let x = left + block * cell_width;
        filters
            .push(format!("drawbox=x={x}:y={top}:w={cell_width}:h={cell_height}:color=white:t=fill{enable}"));
    };
    let bit = |bit: u32| format!("mod(floor(n/{}),2)", 1 << bit);
    white(0, None);
    for place in (0..3).filter(|place| clip >> (2 - place) & 1 == 1) {
        white(2 + place, None);
    }
    for place in 0..16 {
        white(5 + place, Some(bit(15 - place)));
    }
    let ones: Vec<String> = (0..16).map(bit).collect();
    white(21, Some(format!("mod({}+{},2)", clip.count_ones(), ones.join("+"))));
    white(23, None);
    filters.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_has_both_markers_the_clip_and_sixteen_bits() {
        let filters = block_code(5);
        // Margin, two markers, two ones of 5, sixteen bits, parity.
        assert_eq!(filters.matches("drawbox").count(), 1 + 2 + 2 + 16 + 1);
        assert_eq!(filters.matches("enable").count(), 17);
    }

    #[test]
    fn cues_cover_the_clip_without_a_gap() {
        let text = RECIPES[1].subtitles(("second", "of"));
        assert_eq!(text.matches("-->").count(), 12);
        assert!(text.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nsecond 0 of 24\n"));
    }
}
