//! What a source file is, as the site that would transcode it sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use streamverse_acceptance::{ADDRESS, Node, kit};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

#[test]
fn a_source_is_looked_at_where_it_would_be_transcoded() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let (file, digest) = kit::clip(&node, "film.mp4", 3);
    let probe = |url: &str, rest: &str| {
        format!(
            r#"{}
data "streamverse_media_probe" "film" {{
  url = "{url}"
  {rest}
}}
data "streamverse_site" "here" {{}}
output "digest" {{
  value = data.streamverse_media_probe.film.digest
}}
output "height" {{
  value = data.streamverse_media_probe.film.video.height
}}
output "duration_ms" {{
  value = data.streamverse_media_probe.film.duration_ms
}}
output "edge" {{
  value = contains(keys(data.streamverse_site.here.capabilities), "engine/traffic_server")
}}
"#,
            node.block()
        )
    };
    let address = format!("file://{}", file.display());
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(
            Step::apply(probe(&address, &format!("expected_digest = \"{digest}\"")))
                .output("digest", digest.as_str())
                .output("height", 360)
                .output("duration_ms", 3000)
                .output("edge", true),
        )
        .step(
            Step::apply(probe(&address, &format!("expected_digest = \"sha256:{}\"", "0".repeat(64))))
                .named("another file than was meant")
                .expect_plan_error("(?s)digest"),
        )
        .step(
            Step::apply(probe("http://127.0.0.1:9/film.mp4", ""))
                .named("an address of a private network")
                .expect_plan_error("(?s)private"),
        )
        .step(
            Step::apply(probe("file:///nowhere/film.mp4", ""))
                .named("no such file")
                .expect_plan_error("(?s)film\\.mp4"),
        )
        .run()
        .map(|_| ())
}
