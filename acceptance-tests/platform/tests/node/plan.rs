//! What plans refuse and tolerate.

use streamverse_acceptance::{ADDRESS, Node};
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, value};

use crate::kit::{edge, get, origin, stores};

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

#[test]
fn a_site_that_is_not_known_yet_plans_addresses_that_are_not_known_yet() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [port, ..] = node.ports;
    let config = format!(
        "{}resource \"terraform_data\" \"site\" {{\n  input = \"default\"\n}}\n{}{}",
        node.block(),
        stores(),
        origin(port, "32MiB")
            .replace("name         =", "site = terraform_data.site.output\n  name         =")
    );
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config).state(value(
            "streamverse_origin.main",
            "address",
            format!("http://127.0.0.1:{port}").as_str(),
        )))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn an_import_by_site_and_name_plans_nothing() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(format!("{}{}", node.block(), stores())))
        .step(Step::import("streamverse_object_store.media", Id::from("default/media")))
        .step(Step::import("streamverse_object_store.media", Id::from("media")))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn labels_that_change_are_applied_and_a_socket_that_becomes_unknown_loses_nothing() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let with = |labels: &str| {
        node.block()
            .replace("deployment = \"test\"", &format!("deployment = \"test\"\n  default_labels = {labels}"))
            + stores()
    };
    let unknown =
        node.block().replace(&format!("\"{}\"", node.socket().display()), "terraform_data.socket.output")
            + "resource \"terraform_data\" \"socket\" {\n  input = \"SOCKET\"\n}\n"
                .replace("SOCKET", &node.socket().display().to_string())
                .as_str()
            + stores();
    let at = "streamverse_object_store.media";
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(with("{ team = \"one\" }")).plan(action(at, Action::Create)))
        .step(Step::apply(with("{ team = \"two\" }")).named("other labels").plan(action(at, Action::Update)))
        .step(
            Step::apply(unknown)
                .named("the socket comes from something that is made in the same apply")
                .expect_warning("was not looked at")
                .plan(action(at, Action::Update)),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn what_a_login_without_tls_and_a_topic_cannot_do_is_told_at_plan() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let with = |rest: &str| {
        format!(
            "{}resource \"streamverse_event_log\" \"a\" {{\n  name = \"a\"\n  kafka = {{ brokers = [\"kafka.example:9092\"], {rest} }}\n}}\n",
            node.block()
        )
    };
    let login = "username = \"u\", password_ref = \"env:PLANTED\"";
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .env("PLANTED", "planted-event-log-31fe")
        .secrets_absent(&["planted-event-log-31fe"])
        .step(
            Step::apply(with(&format!("tls = {{ certificate = \"x\" }}, {login}")))
                .expect_plan_error("must be certificates in PEM"),
        )
        .step(
            Step::apply(with(&format!(
                "tls = {{ certificate = \"-----BEGIN CERTIFICATE-----\" }}, {login}"
            )))
            .expect_plan_error("Half of a client's identity"),
        )
        .step(
            Step::apply(with(&format!("sasl = \"GSSAPI\", {login}"))).expect_plan_error("SCRAM-SHA-256"),
        )
        .step(Step::apply(with(login)).expect_warning("(?s)A login without TLS.*kafka.example"))
        .step(Step::apply(with(&format!("tls = {{}}, {login}"))).expect_no_warnings().state(value(
            "streamverse_event_log.a",
            "url",
            "kafka://kafka.example:9092?prefix=test-&partitions=12&replication=3&retention_ms=604800000&username=u&tls=true&secret=event-log.a",
        )))
        .step(
            Step::apply(with(&format!("tls = {{}}, partitions = 6, {login}")))
                .expect_plan_error("(?s)Partitions cannot be taken.*they have 12"),
        )
        .step(
            Step::apply(with(&format!("tls = {{}}, partitions = 24, replication = 2, {login}")))
                .expect_warning("Topics that are there keep their copies"),
        )
        .step(
            Step::apply(with(&format!("tls = {{}}, partitions = 6, topic_prefix = \"\", {login}")))
                .expect_warning("Nothing keeps deployments apart"),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn what_runs_listens_where_the_agent_was_told_and_at_the_address_of_the_plan() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let bind = |_: &std::path::Path| vec!["--bind".to_owned(), "127.0.0.2".to_owned()];
    let Some(node) = Node::start_with(bind) else { return Ok(()) };
    let [port, front, _] = node.ports;
    let block = |host: &str| node.block().replace("node = {", &format!("node = {{ host = \"{host}\", "));
    let config =
        |host: &str| format!("{}{}{}{}", block(host), stores(), origin(port, "32MiB"), edge(front, ""));
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(
            Step::apply(config("127.0.0.2"))
                .expect_no_warnings()
                .state(value(
                    "streamverse_ats_edge.main",
                    "address",
                    format!("http://127.0.0.2:{front}").as_str(),
                ))
                .after(|_| {
                    for port in [port, front] {
                        assert_eq!(get(&format!("http://127.0.0.2:{port}/catalogue.json")).0, 200, "{port}");
                        assert_eq!(get(&format!("http://127.0.0.1:{port}/catalogue.json")).0, 0, "{port}");
                    }
                    Ok(())
                }),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
