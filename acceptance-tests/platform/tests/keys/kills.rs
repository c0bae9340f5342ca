//! The key service is killed at random while keys are made and configurations applied: no key that was answered is lost,
//! none belongs to two assets, and the next apply converges.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use streamverse_acceptance::crash::Dice;
use streamverse_acceptance::{ADDRESS, Node};
use streamverse_core::stores::{ContentKey, ContentKeys as _};
use streamverse_model::drm::KeyId;
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::kit::{ACCESS, KEK, by_secret, client, service, text, wanted};

const ROUNDS: u64 = 6;

/// Asks for keys of two assets until told to stop; what was answered.
async fn packager(port: u16, from: u32, stop: Arc<AtomicBool>) -> Vec<ContentKey> {
    let (client, mut all, mut number) = (client(port), Vec::new(), from);
    while !stop.load(Ordering::SeqCst) {
        for asset in ["film", "other"] {
            // It waits for a service that is started anew.
            all.extend(client.obtain(&wanted(asset, number..number + 3)).await.unwrap());
        }
        number += 3;
    }
    all
}

#[test]
fn whenever_the_key_service_is_killed_no_key_is_lost_and_none_is_of_two_assets() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let node = std::cell::RefCell::new(node);
    let port = node.borrow().ports[0];
    let block = node.borrow().block();
    let config = |days: u64| {
        let rest =
            format!("key_encryption_key = {}\n  audit_retention = \"{days}days\"", by_secret("PLANTED_KEK"));
        format!("{block}{}", service("main", port, &rest))
    };
    let mut dice = Dice::new("kills of a key service");
    let known: std::cell::RefCell<BTreeMap<KeyId, ContentKey>> = std::cell::RefCell::default();
    let provider = node.borrow().provider();
    let mut case = Case::new(&cli)
        .provider(ADDRESS, provider)
        .env("PLANTED_ACCESS", text(&ACCESS))
        .env("PLANTED_KEK", text(&KEK))
        .step(Step::apply(config(1)));
    for round in 0..ROUNDS {
        let delays: Vec<Duration> = (0..3).map(|_| Duration::from_millis(20 + dice.below(700))).collect();
        let (node, known) = (&node, &known);
        case = case.step(Step::apply(config(2 + round)).named(format!("round {round}")).before(move |_| {
            let stop = Arc::new(AtomicBool::new(false));
            let runtime = crate::kit::runtime();
            let packagers: Vec<_> = (0..2)
                .map(|it| {
                    runtime.spawn(packager(
                        port,
                        u32::try_from(round).unwrap() * 10_000 + it,
                        Arc::clone(&stop),
                    ))
                })
                .collect();
            for (index, delay) in delays.iter().enumerate() {
                std::thread::sleep(*delay);
                for pid in node.borrow().pids("key-service", "main") {
                    let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
                }
                if index == 1 && round % 3 == 1 {
                    node.borrow_mut().kill_agent();
                    node.borrow_mut().start_agent();
                }
            }
            std::thread::sleep(Duration::from_millis(300));
            stop.store(true, Ordering::SeqCst);
            for packager in packagers {
                for key in runtime.block_on(packager).unwrap() {
                    let first = known.borrow_mut().entry(key.kid).or_insert_with(|| key.clone()).clone();
                    assert_eq!(first, key, "another answer for the same identifier");
                }
            }
            Ok(())
        }));
    }
    case.step(Step::reapply().named("everything is there").after(|_| {
        let known = known.borrow();
        let kids: Vec<KeyId> = known.keys().copied().collect();
        let found = crate::kit::runtime().block_on(client(port).find(&kids)).unwrap();
        let found: Vec<ContentKey> = found.into_iter().flatten().collect();
        assert_eq!(found, known.values().cloned().collect::<Vec<_>>());
        let apart: std::collections::BTreeSet<[u8; 16]> = found.iter().map(|key| *key.secret()).collect();
        assert_eq!(apart.len(), found.len(), "two identifiers have one key");
        assert!(found.len() > 20, "only {} keys were made", found.len());
        Ok(())
    }))
    .check_destroyed(|_| node.borrow().nothing_left().map_err(Into::into))
    .run()
    .map(|_| ())
}
