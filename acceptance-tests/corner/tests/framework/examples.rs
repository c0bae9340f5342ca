//! Every example of the documentation works as it stands: applied, planned again without a change, destroyed.

use std::fs;
use std::path::{Path, PathBuf};

use tfplugin_testing::cli::{Cli, Feature, Step, with_each};

use crate::support::{Store, case};

fn examples(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(kind);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths
}

// Examples are for readers of any command line; one of them proves that they work.
fn each_works(paths: &[PathBuf], feature: Option<Feature>) {
    let clis = [Cli::terraform().expect("its path is right, if there is one")];
    let done = with_each(&clis, |cli| {
        let store = Store::new();
        let mut case = case(cli, &store).env("CORNER_PASSWORD", "only-an-example");
        if let Some(feature) = feature {
            case = case.requires(feature);
        }
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            case = case.step(Step::apply_folder(path).named(name));
        }
        case.run()
    });
    done.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn examples_of_resources_work() {
    each_works(&examples("resources"), None);
}

#[test]
fn examples_of_the_provider_and_its_data_sources_work() {
    let mut paths = examples("data-sources");
    paths.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/provider"));
    each_works(&paths, None);
}

#[test]
fn examples_of_ephemeral_resources_work() {
    each_works(&examples("ephemeral-resources"), Some(Feature::WriteOnly));
}

#[test]
fn examples_of_functions_work() {
    each_works(&examples("functions"), Some(Feature::Functions));
}
