//! What a change does to viewers: reloads, restarts, roll-backs, refusals.

use std::cell::RefCell;
use std::net::TcpListener;

use streamverse_acceptance::{ADDRESS, Node};
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Step, action};

use crate::kit::{AT, Transfer, ask, certificate, edge, key, serves};
use crate::upstream::Upstream;

#[test]
fn reloads_drop_no_transfer_and_change_the_rules() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [_, front, secure] = node.ports;
    let origin = Upstream::start("one");
    let key = key(node.folder(), "viewer");
    let tls = format!(
        "tls = {{ port = {secure}, certificate = {:?} }}\n  private_key_wo = {key:?}\n  private_key_wo_version = 1",
        certificate(node.folder(), "viewer")
    );
    let config = |manifests: u32| {
        edge(&node, front, &[origin.url()], &format!("{tls}\n  cache = {{ manifests = \"{manifests}s\" }}"))
    };
    let url = format!("http://127.0.0.1:{front}");
    let transfers = RefCell::new(Vec::new());
    let says = |path: &str, seconds: u32| {
        let (_, head, _) = ask(&[], &format!("{url}{path}"));
        let wanted = format!("max-age={seconds}");
        if head.contains(&wanted) { Ok(()) } else { Err(format!("{wanted}: {head}").into()) }
    };
    let in_flight = || match transfers.borrow_mut().iter_mut().all(Transfer::is_in_flight) {
        true => Ok(()),
        false => Err("a transfer ended before the reload was over"),
    };
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config(7)).after(|_| says("/plain1.m3u8", 7)))
        .step(
            Step::apply(config(8))
                .named("a reload with transfers in flight")
                .before(|_| {
                    for number in 0..3 {
                        let plain = format!("{url}/big{number}");
                        let safe = format!("https://127.0.0.1:{secure}/big{number}");
                        transfers.borrow_mut().push(Transfer::start(node.folder(), &plain, "800k"));
                        transfers.borrow_mut().push(Transfer::start(node.folder(), &safe, "800k"));
                    }
                    std::thread::sleep(std::time::Duration::from_secs(1));
                    Ok(())
                })
                .expect_no_warnings()
                .plan(action(AT, Action::Update))
                .after(|_| {
                    in_flight()?;
                    says("/plain2.m3u8", 8)
                }),
        )
        .step(Step::apply(config(9)).named("and another").after(|_| {
            in_flight()?;
            says("/plain3.m3u8", 9)?;
            transfers.borrow_mut().drain(..).try_for_each(Transfer::arrives)
        }))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn a_restart_is_planned_as_one_and_lets_transfers_finish() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [_, front, _] = node.ports;
    let origin = Upstream::start("one");
    let config = |memory: u32| edge(&node, front, &[origin.url()], &format!("memory = \"{memory}MiB\""));
    let url = format!("http://127.0.0.1:{front}");
    let transfers = RefCell::new(Vec::new());
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config(32)).after(|_| serves(&format!("{url}/a"))))
        .step(
            Step::apply(config(48))
                .named("more memory, with transfers in flight")
                .before(|_| {
                    for _ in 0..3 {
                        transfers.borrow_mut().push(Transfer::start(
                            node.folder(),
                            &format!("{url}/big"),
                            "1500k",
                        ));
                    }
                    std::thread::sleep(std::time::Duration::from_secs(1));
                    Ok(())
                })
                .expect_warning("(?s)`memory` is a drained restart")
                .plan(action(AT, Action::Update))
                .after(|_| {
                    serves(&format!("{url}/b"))?;
                    transfers.borrow_mut().drain(..).try_for_each(Transfer::arrives)
                }),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn a_change_that_does_not_serve_is_rolled_back_and_told_until_it_is_mended() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [nobody, front, _] = node.ports;
    let origin = Upstream::start("one");
    let health = "health_check = { path = \"/readyz\" }";
    let config = |port: u16, origin: String| edge(&node, port, &[origin], health);
    let url = format!("http://127.0.0.1:{front}");
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let taken_port = taken.local_addr().unwrap().port();
    let new = |path: &str| serves(&format!("{url}{path}"));
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config(front, origin.url())).after(|_| new("/a")))
        .step(
            Step::apply(config(front, format!("http://127.0.0.1:{nobody}")))
                .named("an origin that is not there")
                .expect_warning("(?s)last good one does.*readyz")
                .expect_non_empty_plan("what is declared does not run: the next apply tries it again")
                .allow_drift("what is declared does not run: the next apply tries it again")
                .after(|_| new("/b")),
        )
        .step(Step::apply(config(front, origin.url())).named("mended").after(|_| new("/c")))
        .step(
            Step::apply(config(taken_port, origin.url()))
                .named("a port that is taken")
                .expect_warning("(?s)last good one does.*is taken")
                .expect_non_empty_plan("what is declared does not run: the next apply tries it again")
                .allow_drift("what is declared does not run: the next apply tries it again")
                .after(|_| new("/d")),
        )
        .step(Step::apply(config(front, origin.url())).named("mended again").after(|_| new("/e")))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn what_the_host_cannot_do_is_refused_at_plan() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [_, front, _] = node.ports;
    let origin = Upstream::start("one");
    let config = |rest: &str| edge(&node, front, &[origin.url()], rest);
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config("plugins = [\"absent.so\"]")).expect_plan_error("(?s)no plugin absent\\.so"))
        .step(
            Step::apply(config("congestion_control = \"nosuch\""))
                .expect_plan_error("(?s)no congestion control.*nosuch"),
        )
        .step(Step::apply(config("storage = \"900TiB\"")).expect_plan_error("(?s)does not.*fit"))
        .step(Step::apply(config("")).after(|_| serves(&format!("http://127.0.0.1:{front}/a"))))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

/// The subject of the certificate that is shown.
fn shown(port: u16) -> String {
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | openssl x509 -noout -pubkey -subject"
    );
    let said = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8_lossy(&said.stdout).into_owned()
}

#[test]
fn a_new_key_is_used_with_a_new_certificate_and_with_the_one_that_was_there_for_it() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [_, front, secure] = node.ports;
    let origin = Upstream::start("one");
    let keys = [key(node.folder(), "first"), key(node.folder(), "second")];
    let pems = [certificate(node.folder(), "first"), certificate(node.folder(), "second")];
    let config = |pem: &str, key: &str, version: u32| {
        let tls = format!(
            "tls = {{ port = {secure}, certificate = {pem:?} }}\n  private_key_wo = {key:?}\n  private_key_wo_version = {version}"
        );
        edge(&node, front, &[origin.url()], &tls)
    };
    let shows = |name: &str| {
        let said = shown(secure);
        if said.contains(name) { Ok(()) } else { Err(format!("{name}: {said}").into()) }
    };
    // Both certificates in one file: the key decides nothing, so the key alone must be seen to be another.
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .secrets_absent(&[keys[0].lines().nth(5).unwrap(), keys[1].lines().nth(5).unwrap()])
        .step(Step::apply(config(&pems[0], &keys[0], 1)).after(|_| shows("first")))
        .step(Step::apply(config(&pems[1], &keys[1], 2)).named("both are new").after(|_| shows("second")))
        .step(
            Step::apply(config(&pems[1], &keys[0], 3))
                .named("a key that is not the certificate's: what served goes on")
                .expect_warning("(?s)last good one")
                .expect_non_empty_plan("what is declared does not run")
                .allow_drift("what is declared does not run")
                .after(|_| shows("second")),
        )
        .step(Step::apply(config(&pems[1], &keys[1], 4)).named("the key alone").after(|_| shows("second")))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
