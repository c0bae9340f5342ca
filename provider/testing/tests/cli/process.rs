//! Commands as processes: interrupts, deadlines, environment, what is missing.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    time::Duration,
    time::Instant,
};

use tfplugin_testing::cli::{Case, Cli, Failure, Feature, Interrupt, Outcome, Product, Step, When, tainted};

use super::{ONE, each, each_fails};

/// Creates a file, then takes a long time.
const SLOW: &str = r#"
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "touch started; sleep 60" }
}
"#;

#[test]
fn ctrl_c_reaches_a_running_apply() -> Result<(), Failure> {
    each(|cli| {
        let started = Instant::now();
        let report = Case::new(cli)
            .step(
                Step::apply(SLOW)
                    .interrupt(
                        Interrupt::when(When::FileExists("started".into()))
                            .exits_within(Duration::from_secs(20)),
                    )
                    .expect_apply_error("execution halted|local-exec provisioner error")
                    .printed(|text| match text.contains("Interrupt received") {
                        true => Ok(()),
                        false => Err("no word of the interrupt".into()),
                    })
                    .state(tainted("terraform_data.a")),
            )
            .step(
                Step::apply(SLOW.replace("touch started", "echo now"))
                    .interrupt(Interrupt::when(When::Printed(r"\(local-exec\): .*now".into())).only_cli())
                    .expect_error("execution halted|local-exec provisioner error"),
            )
            .run()?;
        assert!(started.elapsed() < Duration::from_secs(40), "{report:?}");
        Ok(report)
    })
}

#[test]
fn a_command_that_ends_before_its_interrupt_is_a_failure() -> Result<(), Failure> {
    each_fails(
        |cli| Case::new(cli).step(Step::apply(ONE).interrupt_when_file("never")).run(),
        &[
            "the command ended before it could be interrupted (FileExists(\"never\"))",
            "apply -input=false tfplan",
        ],
    )
}

#[test]
fn a_command_past_its_deadline_is_ended_with_all_its_children() -> Result<(), Failure> {
    // The child ignores the interrupt and writes a line every tenth of a second for as long as it lives.
    const STUBBORN: &str = r#"
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "trap '' INT; echo $$ > pid; while :; do sleep 0.1; done" }
}
"#;
    for cli in Cli::both()? {
        let started = Instant::now();
        let pid = Cell::new(String::new());
        let failure = Case::new(&cli)
            .step(Step::apply(ONE).before(|cx| {
                pid.set(cx.dir().join("pid").display().to_string());
                Ok(())
            }))
            .step(Step::apply(STUBBORN).timeout(Duration::from_secs(2)))
            .run()
            .unwrap_err();
        assert!(failure.message().contains("did not end within 2.0 s"), "{failure}");
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
        assert!(!alive(&pid.take()), "the child of {cli} still runs");
    }
    Ok(())
}

/// Whether any process still has the directory of this file as its working directory.
fn alive(pid_file: &str) -> bool {
    let dir = Path::new(pid_file).parent().unwrap();
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    let mut working_dirs =
        processes.flatten().filter_map(|entry| fs::read_link(entry.path().join("cwd")).ok());
    working_dirs.any(|cwd| cwd.to_string_lossy().starts_with(&*dir.to_string_lossy()))
}

#[test]
fn what_a_command_line_cannot_do_is_skipped_with_the_reason() -> Result<(), Failure> {
    for cli in Cli::both()? {
        // No released command line of 2026 in this range has both.
        let impossible = match cli.product() {
            Product::OpenTofu => Feature::Actions,
            Product::Terraform => match Feature::Actions.missing_in(&cli) {
                Some(_) => Feature::Actions,
                None => continue,
            },
        };
        let report = Case::new(&cli).requires(impossible).step(Step::apply("not even HCL")).run()?;
        let Outcome::Skipped(reason) = report.outcome else { panic!("not skipped") };
        assert!(reason.starts_with(&format!("{cli} has no actions")), "{reason}");

        let report = Case::new(&cli)
            .step(Step::apply("not even HCL").requires(impossible))
            .step(Step::apply(ONE))
            .run()?;
        assert_eq!(report.outcome, Outcome::Passed);
        assert!(matches!(report.steps[0].outcome, Outcome::Skipped(_)));
        assert_eq!(report.steps[1].outcome, Outcome::Passed);
    }
    Ok(())
}

#[test]
fn the_users_machine_does_not_reach_the_command_line() -> Result<(), Failure> {
    const ENV: &str = r#"
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "env > seen" }
}
"#;
    each(|cli| {
        Case::new(cli)
            .env("GIVEN", "yes")
            .inherit_env("CARGO_PKG_NAME")
            .step(Step::apply(ENV).env("OF_STEP", "too").after(|cx| {
                let seen = fs::read_to_string(cx.dir().join("seen"))?;
                let has = |line: &str| seen.lines().any(|other| other == line);
                assert!(has("GIVEN=yes") && has("OF_STEP=too") && has("CHECKPOINT_DISABLE=1"), "{seen}");
                assert!(has("CARGO_PKG_NAME=tfplugin-testing"), "{seen}");
                assert!(!seen.contains("CARGO_MANIFEST_DIR"), "{seen}");
                let home = seen.lines().find_map(|line| line.strip_prefix("HOME=")).unwrap_or_default();
                assert_ne!(Some(home.into()), std::env::var_os("HOME"));
                Ok(())
            }))
            .run()
    })
}

#[test]
fn a_provider_that_nobody_gave_fails_at_once_without_a_registry() -> Result<(), Failure> {
    each(|cli| {
        let started = Instant::now();
        let config = "resource \"null_resource\" \"a\" {}";
        let report = Case::new(cli)
            .timeout(Duration::from_secs(20))
            .step(Step::plan_only(config).expect_error("(?i)hashicorp/null"))
            .step(Step::command(["init"]).expect_error("hashicorp/null was not found"))
            .run()?;
        assert!(started.elapsed() < Duration::from_secs(15));
        Ok(report)
    })
}

#[test]
fn a_command_line_that_is_missing_is_skipped_aloud() -> Result<(), Failure> {
    if std::env::var("CI").is_ok_and(|value| value == "true") {
        return Ok(());
    }
    let cli = Cli::find(Product::OpenTofu, "TFPLUGIN_NO_SUCH", None)?;
    let report = Case::new(&cli).step(Step::apply(ONE)).run()?;
    assert!(matches!(report.outcome, Outcome::Skipped(reason) if reason.contains("TFPLUGIN_NO_SUCH")));
    Ok(())
}

/// A program that prints what no provider prints, so that it is seen to be the one that was started.
#[cfg(unix)]
fn impostor(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("impostor");
    fs::write(&path, "#!/bin/sh\necho impostor\nsleep 5\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[cfg(unix)]
#[test]
fn a_provider_is_used_under_its_address_without_init_or_required_providers() -> Result<(), Failure> {
    let folder = tempfile::tempdir().unwrap();
    let binary = impostor(folder.path());
    each(|cli| {
        Case::new(cli)
            .provider("registry.terraform.io/acme/corner", &binary)
            .provider("registry.terraform.io/acme/other", &binary)
            .step(
                Step::plan_only("resource \"corner_thing\" \"a\" {}")
                    .expect_error("acme/corner.*(Unrecognized remote plugin message|handshak)"),
            )
            .step(
                Step::plan_only(
                    "terraform {\n  required_providers {\n    x = { source = \"registry.terraform.io/acme/other\" }\n  }\n}\n\
                     resource \"x_thing\" \"a\" {}",
                )
                .expect_error("acme/other.*(Unrecognized remote plugin message|handshak)"),
            )
            .step(
                Step::plan_only("resource \"corner_thing\" \"a\" {}")
                    .provider("registry.terraform.io/acme/corner", "/bin/false")
                    .expect_error("acme/corner.*(exited before|handshak|plugin message: This usually)"),
            )
            .run()
    })?;
    each_fails(
        |cli| Case::new(cli).provider("acme/x", folder.path().join("absent")).step(Step::replan()).run(),
        &["cannot find the provider", "absent"],
    )?;
    each_fails(
        |cli| Case::new(cli).step(Step::replan().provider("acme/x", &binary)).run(),
        &["the case has no provider acme/x to replace, only []"],
    )
}

#[test]
fn a_provider_that_runs_already_is_reached_through_reattach() -> Result<(), Failure> {
    // Nobody listens there: that the command line says so shows that it was told.
    let server = r#"{"registry.terraform.io/acme/corner": {"Protocol": "grpc", "ProtocolVersion": 6,
        "Pid": 1, "Test": true, "Addr": {"Network": "unix", "String": "/nowhere/tfplugin.sock"}}}"#;
    each(|cli| {
        Case::new(cli)
            .reattach(server)
            .step(
                Step::plan_only("resource \"corner_thing\" \"a\" {}")
                    .expect_error("acme/corner.*(?i:reattachment process not found)"),
            )
            .run()
    })?;
    each_fails(
        |cli| Case::new(cli).reattach("{").step(Step::replan()).run(),
        &["the reattach text is no JSON"],
    )
}
