//! Proofs are recorded when the environment asks for it, by cases and by tests without a command line.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests stop a test too")]

use std::process::Command;

use tfplugin_testing::{
    cli::{Case, Cli, Failure, Feature, Outcome, Product, Step},
    coverage::{self, Record},
};

#[test]
#[ignore = "the test below runs it, in a process of its own: what it records is no proof of anything"]
fn proofs() -> Result<(), Failure> {
    const CONFIG: &str = "resource \"terraform_data\" \"a\" {}";
    tfplugin_testing::coverage!("PlanResourceChange", "without a command line");
    let cli = Cli::terraform()?;
    Case::new(&cli)
        .covers("ApplyResourceChange", "by a case")
        .step(Step::apply(CONFIG).covers("ReadResource", "by a step"))
        .run()?;
    // No OpenTofu has resource identity; one that is missing can do nothing at all.
    if let Ok(tofu) = Cli::find(Product::OpenTofu, "TFPLUGIN_TOFU", Some("tofu")) {
        Case::new(&tofu).requires(Feature::Identity).covers("ReadResource", "identity").run()?;
    }
    let broken = Case::new(&cli).covers("ReadResource", "never").step(Step::apply("{")).run();
    assert!(cli.path().is_err() || broken.is_err());
    Ok(())
}

#[test]
fn proofs_are_recorded_with_test_and_host_and_failures_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "proofs"])
        .env("TFPLUGIN_COVERAGE_DIR", folder.path().join("new"))
        .status()
        .unwrap();
    assert!(status.success());
    let records = coverage::read(&folder.path().join("new")).unwrap();
    let find = |behaviour: &str| -> Option<&Record> { records.iter().find(|one| one.behaviour == behaviour) };
    let in_process = find("without a command line").unwrap();
    assert_eq!((in_process.test.as_str(), in_process.host.as_str()), ("proofs", "in-process"));
    if Cli::terraform().unwrap().path().is_ok() {
        for behaviour in ["by a case", "by a step"] {
            let record = find(behaviour).unwrap();
            assert!(record.host.starts_with("terraform 1."), "{record:?}");
            assert_eq!(record.outcome, Outcome::Passed);
        }
        assert!(find("never").is_none());
    }
    assert!(find("identity").is_none_or(|record| matches!(record.outcome, Outcome::Skipped(_))));
}
