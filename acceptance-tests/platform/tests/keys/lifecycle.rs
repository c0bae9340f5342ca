//! The definition of done: created with an empty plan after it, changed in place, repaired, another key-encryption key,
//! imported, destroyed without a trace; and no planted key anywhere in any form, also where it crashed.

use std::process::Command;

use streamverse_acceptance::kit::origin;
use streamverse_acceptance::{ADDRESS, Node, crash, secrets};
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, not_tainted, value};

use crate::kit::{ACCESS, AT, Files, KEK, OTHER_KEK, by_secret, keys, must, obtain, planted, service, text};

#[test]
fn a_key_service_is_done_and_tells_no_key_to_anybody() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let files = Files::new();
    let (file, access) = (files.private("kek", &text(&OTHER_KEK)), files.private("access", &text(&ACCESS)));
    let port = node.ports[0];
    let config = |rest: &str| format!("{}{}", node.block(), service("main", port, rest));
    let first = format!("key_encryption_key = {}", by_secret("PLANTED_KEK"));
    let second = format!("{first}\n  audit_retention = \"30days\"");
    let by_file = format!("key_encryption_key = {{ file = \"{}\" }}", file.display());
    let both = format!("{by_file}\n  previous_key_encryption_key = {}", by_secret("PLANTED_KEK"));
    let known = std::cell::RefCell::new(Vec::new());
    let same = |when: &str| {
        assert_eq!(obtain(port, "film", 0..20), *known.borrow(), "{when}");
        secrets::planted_nowhere(&node, &planted(&known.borrow())).map_err(Into::into)
    };
    let forms: Vec<String> =
        planted(&[]).into_iter().filter_map(|form| String::from_utf8(form).ok()).collect();
    let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
    let update = || action(AT, Action::Update);
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .env("PLANTED_ACCESS", text(&ACCESS))
        .env("PLANTED_KEK", text(&KEK))
        .secrets_absent(&forms)
        .step(
            Step::apply(config(&first))
                .named("create")
                .expect_no_warnings()
                .plan(action(AT, Action::Create))
                .state(not_tainted(AT))
                .state(value(AT, "url", format!("keys://127.0.0.1:{port}?secret=key-service.main").as_str()))
                .after(|_| {
                    *known.borrow_mut() = obtain(port, "film", 0..20);
                    same("at once")
                }),
        )
        .step(Step::reapply().named("it crashes").before(|_| {
            for signal in ["ABRT", "SEGV"] {
                node.pids("key-service", "main").into_iter().for_each(|pid| crash::dump(pid, signal));
                // It waits for a service that is started anew.
                same(signal)?;
            }
            Ok(())
        }))
        .step(Step::apply(config(&second)).named("change in place").plan(update()).after(|_| same("changed")))
        .step(
            Step::reapply()
                .named("somebody emptied it")
                .before(|_| {
                    node.behind("key-service", "main", true)?;
                    Ok(())
                })
                .plan(update())
                .after(|_| same("emptied")),
        )
        .step(
            Step::reapply()
                .named("somebody removed it")
                .before(|_| {
                    node.behind("key-service", "main", false)?;
                    Ok(())
                })
                .plan(action(AT, Action::Create))
                .after(|_| same("removed")),
        )
        .step(Step::import(AT, Id::attribute("name")).ignoring(&[
            "timeouts",
            "access_key_ref",
            "key_encryption_key",
        ]))
        .step(Step::apply(config(&both)).named("another key-encryption key").plan(update()).after(|_| {
            must(&keys(&node, port, &access, &["rotate"]));
            let again = must(&keys(&node, port, &access, &["rotate"]));
            assert!(again.starts_with("0 of 20 keys"), "{again}");
            same("both keys")
        }))
        .step(
            Step::apply(config(&by_file))
                .named("the old key-encryption key is gone")
                .plan(update())
                .after(|_| same("the new key alone")),
        )
        .step(
            Step::apply(config(&format!("{first}\n  timeouts = {{ update = \"8s\" }}")))
                .named("a key-encryption key that is not the one")
                .expect_warning("(?s)not ready.*previous_key_encryption_key"),
        )
        .step(
            Step::apply(config(&by_file)).named("the right one again").after(|_| same("the right one again")),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn a_key_file_that_others_may_read_is_told_and_used_once_it_is_private() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let files = Files::new();
    let file = files.private("kek", &text(&KEK));
    let mode = |mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o644);
    let port = node.ports[0];
    let rest = format!(
        "key_encryption_key = {{ file = \"{}\" }}\n  timeouts = {{ create = \"8s\" }}",
        file.display()
    );
    let config = format!("{}{}", node.block(), service("main", port, &rest));
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .env("PLANTED_ACCESS", text(&ACCESS))
        .step(Step::apply(config).named("readable by all").expect_warning("(?s)not ready.*0644.*chmod 0600"))
        .step(
            Step::reapply()
                .named("private")
                .before(|_| {
                    mode(0o600);
                    Ok(())
                })
                .after(|_| {
                    obtain(port, "film", 0..1);
                    Ok(())
                }),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn a_key_in_the_environment_reaches_the_key_service_and_nothing_else() -> Result<(), Failure> {
    const VARIABLE: &str = "PLANTED_KEK_OF_THE_AGENT";
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let node = std::cell::RefCell::new(node);
    let [port, other, _] = node.borrow().ports;
    let rest = format!(
        "key_encryption_key = {{ environment = \"{VARIABLE}\" }}\n  timeouts = {{ create = \"8s\" }}"
    );
    // A service that the agent starts beside it.
    let beside = format!(
        "resource \"streamverse_object_store\" \"media\" {{ name = \"media\" }}\n{}",
        origin(other, "64MiB")
    );
    let config = format!("{}{}{beside}", node.borrow().block(), service("main", port, &rest));
    let provider = node.borrow().provider();
    let started_anew = |given: Option<&str>| {
        let mut node = node.borrow_mut();
        node.kill_agent();
        given.into_iter().for_each(|value| node.has_variable(VARIABLE, value));
        node.start_agent();
    };
    let key = text(&KEK);
    let forms: Vec<String> =
        planted(&[]).into_iter().filter_map(|form| String::from_utf8(form).ok()).collect();
    let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
    Case::new(&cli)
        .provider(ADDRESS, provider)
        .env("PLANTED_ACCESS", text(&ACCESS))
        .secrets_absent(&forms)
        .step(
            Step::apply(config).named("without the variable").expect_warning(&format!(
                "(?s)not ready.*no variable {VARIABLE}.*start the node agent with it"
            )),
        )
        .step(
            Step::reapply()
                .named("with it")
                .before(|_| {
                    started_anew(Some(&key));
                    Ok(())
                })
                .after(|_| {
                    let known = obtain(port, "film", 0..5);
                    let was = node.borrow().pids("key-service", "main");
                    assert_eq!(was.len(), 1);
                    assert!(Command::new("kill").args(["-9", &was[0].to_string()]).status()?.success());
                    // It waits for a service that is started anew.
                    assert_eq!(obtain(port, "film", 0..5), known);
                    let node = node.borrow();
                    let is = node.pids("key-service", "main");
                    assert!(is.len() == 1 && is != was, "{is:?}");
                    let beside = node.pids("origin", "main");
                    assert!(beside.len() == 1 && beside != is, "{beside:?}");
                    let given: Vec<u32> = is.into_iter().chain(node.agent_pid()).collect();
                    secrets::planted_only_with(&node, &planted(&known), &given).map_err(Into::into)
                }),
        )
        .check_destroyed(|_| node.borrow().nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
