//! What cannot be made is told at the attribute that is wrong, and nothing is left of it.

use streamverse_acceptance::{ADDRESS, Node};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::kit::{asset, clip, stores};

#[test]
fn a_source_and_a_ladder_that_cannot_be_used_are_told_where_they_stand() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let (file, digest) = clip(&node, "film.mp4", 3);
    let text = node.folder().join("text.mp4");
    std::fs::write(&text, "no film\n".repeat(200)).unwrap();
    let film = asset(&file, &digest);
    let config = |from: &str, to: &str| {
        assert!(film.contains(from), "{from}");
        format!("{}{}{}", node.block(), stores(), film.replace(from, to))
    };
    let address = file.display().to_string();
    let out = "streamverse_transcode_ladder.small.definition";
    let ladder = "jsonencode({ segment_duration = \"2s\", acceleration = \"none\", backend = \"ffmpeg\", gpu = null, audio = [], video = [{ name = \"../../out\", codec = \"h264\", height = 180, frame_rate = null, bit_rate = 200000, max_bit_rate = null, gop = null }] })";
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(
            Step::apply(config(out, ladder))
                .named("a name that leads out of its folder")
                .expect_plan_error("(?s)ladder.*no name of a rendition"),
        )
        .step(
            Step::apply(config(&address, "/nowhere/film.mp4"))
                .named("no such file")
                .expect_apply_error("(?s)/nowhere/film\\.mp4"),
        )
        .step(
            Step::apply(config(&digest, &format!("sha256:{}", "0".repeat(64))))
                .named("another file than was meant")
                .expect_apply_error("(?s)digest"),
        )
        .step(
            Step::apply(
                config(&address, &text.display().to_string()).replace(&digest, &crate::kit::digest(&text)),
            )
            .named("no video")
            .expect_apply_error("(?s)cannot be used"),
        )
        .step(Step::apply(config("film.mp4", "film.mp4")).named("what was meant"))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
