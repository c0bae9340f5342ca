//! The provider with the real command lines: every one that is there.

use std::fs;

use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, drift, value, with_each};

const NOTE: &str = include_str!("../examples/resources/first_note/resource.tf");
const AT: &str = "first_note.shopping";

#[test]
fn a_note_from_its_creation_to_its_end() -> Result<(), Failure> {
    with_each(&Cli::all()?, |cli| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("shopping.txt");
        let milk = NOTE.replace("${path.root}", &folder.path().to_string_lossy());
        Case::new(cli)
            .provider("registry.terraform.io/acme/first", env!("CARGO_BIN_EXE_terraform-provider-first"))
            .step(Step::apply(&milk).plan(action(AT, Action::Create)).state(value(AT, "text", "milk\n")))
            .step(Step::apply(milk.replace("milk", "bread")).plan(action(AT, Action::Update)))
            .step(
                Step::reapply()
                    .named("somebody else wrote into the file")
                    .before(|_| Ok(fs::write(&file, "beer\n")?))
                    .plan(drift(AT, "text", "beer\n"))
                    .plan(action(AT, Action::Update)),
            )
            .step(
                Step::reapply()
                    .named("somebody removed the file")
                    .before(|_| Ok(fs::remove_file(&file)?))
                    .plan(action(AT, Action::Create)),
            )
            .step(Step::import(AT, Id::attribute("path")))
            .check_destroyed(|_| if file.exists() { Err("the file is still there".into()) } else { Ok(()) })
            .run()
    })
}
