//! What plans refuse and tolerate.

use streamverse_acceptance::{ADDRESS, Node};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::kit::stores;

#[test]
fn a_site_that_does_not_exist_is_refused_by_name() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let config = format!(
        "{}resource \"streamverse_object_store\" \"a\" {{\n  name = \"a\"\n  site = \"pariss\"\n}}\n",
        node.block()
    );
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config).expect_plan_error("(?s)no site \"pariss\".*default"))
        .run()
        .map(|_| ())
}

#[test]
fn a_ladder_that_cannot_work_is_refused_at_its_place() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let ladder = |video: &str| {
        format!(
            "{}resource \"streamverse_transcode_ladder\" \"a\" {{\n  video = [{video}]\n  audio = [{{ name = \"stereo\" }}]\n}}\n",
            node.block()
        )
    };
    let good = "{ name = \"720p\", height = 720, bit_rate = 3000000 }";
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(
            Step::apply(ladder("{ name = \"a\", height = 720, bit_rate = 3000000, gop = \"3s\" }"))
                .expect_plan_error("Key frames miss the segments"),
        )
        .step(
            Step::apply(ladder(&format!("{good}, {{ name = \"b\", height = 1080, bit_rate = 1000000 }}")))
                .expect_plan_error("Bit rates fall"),
        )
        .step(Step::apply(ladder(good)))
        .run()
        .map(|_| ())
}

#[test]
fn a_site_whose_socket_is_not_known_yet_plans_and_connects_at_apply() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let block =
        node.block().replace(&format!("\"{}\"", node.socket().display()), "terraform_data.socket.output");
    let config = format!(
        "{block}resource \"terraform_data\" \"socket\" {{\n  input = \"{}\"\n}}\n{}",
        node.socket().display(),
        stores()
    );
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
