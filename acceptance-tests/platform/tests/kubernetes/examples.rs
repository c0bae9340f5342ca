//! The examples of the pages are planned; that of a cluster is in `protected`.

use std::path::Path;

use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use tfplugin_testing::cli::{Case, Cli, Failure, Feature, Step};

use crate::hcl::{binary, block};

pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

#[test]
fn the_examples_of_the_pages_plan() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("pages");
    let here = block(cluster, namespace)
        .replace("default = {", "london = {")
        .replace("here = { node", "default = { node");
    let mut case = Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .env("CACHE_PASSWORD", "x");
    let mut names: Vec<_> =
        std::fs::read_dir(Path::new(ROOT).join("examples/resources")).unwrap().flatten().collect();
    names.sort_by_key(std::fs::DirEntry::file_name);
    assert!(names.len() >= 11, "{names:?}");
    for entry in names {
        let name = entry.file_name().to_string_lossy().into_owned();
        let hcl = std::fs::read_to_string(entry.path().join("resource.tf")).unwrap();
        case = case.step(
            Step::plan_only(format!("{here}{hcl}")).named(name).expect_non_empty_plan("it was never applied"),
        );
    }
    case.run().map(|_| ())
}

#[test]
fn functions_answer_what_their_pages_say() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let block = block(cluster, "unused");
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .requires(Feature::Functions)
        .step(
            Step::apply(format!("{block}{}", text("examples/functions/codec_string/function.tf")))
                .output("codecs", "avc1.64001f"),
        )
        .step(
            Step::apply(format!("{block}{}", text("examples/functions/default_ladder/function.tf")))
                .output("renditions", serde_json::json!(["720p", "540p", "432p", "360p", "234p"])),
        )
        .step(
            Step::apply(format!(
                "{block}output \"x\" {{\n  value = provider::streamverse::codec_string(\"vp9\", 1, 1, \"25\", 1)\n}}\n"
            ))
            .expect_error("(?s)none of h264, hevc, av1"),
        )
        .step(
            Step::apply(format!("{block}data \"streamverse_site\" \"it\" {{}}\noutput \"kind\" {{\n  value = data.streamverse_site.it.kind\n}}\noutput \"version\" {{\n  value = data.streamverse_site.it.version\n}}\n"))
                .named("what the site is")
                .output("kind", "kubernetes")
                .output("version", "v1.36.3"),
        )
        .run()
        .map(|_| ())
}
