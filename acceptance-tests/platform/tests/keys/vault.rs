//! Vault's transit engine holds the key-encryption key: a stand-in that is sealed, slow, refuses the token, or answers
//! nonsense. Nothing is lost, nothing is made under a wrong key, and everything goes on when it is well again.

use std::time::{Duration, Instant};

use streamverse_acceptance::vault::{PLACE, TOKEN, Trouble, VaultStandIn};
use streamverse_acceptance::{ADDRESS, Node, secrets};
use streamverse_core::stores::ContentKeys as _;
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::kit::{ACCESS, Files, client, keys, must, obtain, planted, runtime, service, text, wanted};

#[test]
fn a_vault_that_is_in_trouble_costs_patience_and_no_key() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let vault = VaultStandIn::start().unwrap();
    let files = Files::new();
    let access = files.private("access", &text(&ACCESS));
    let port = node.ports[0];
    let (mount, key) = PLACE;
    let rest = format!(
        "key_encryption_key = {{ vault_transit = {{ address = \"http://127.0.0.1:{}\", mount = \"{mount}\", key = \"{key}\", token_ref = \"env:PLANTED_TOKEN\" }} }}\n  timeouts = {{ create = \"30s\" }}",
        vault.port
    );
    let config = format!("{}{}", node.block(), service("main", port, &rest));
    let mut forms = planted(&[]);
    forms.push(TOKEN.as_bytes().to_vec());
    let all_well = || {
        let until = Instant::now() + Duration::from_secs(60);
        while runtime().block_on(client(port).probe()).is_err() {
            assert!(Instant::now() < until, "the key service does not come back");
        }
    };
    vault.trouble(Some(Trouble::Sealed));
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .env("PLANTED_ACCESS", text(&ACCESS))
        .env("PLANTED_TOKEN", TOKEN)
        .secrets_absent(&[TOKEN, &text(&ACCESS)])
        .step(
            Step::apply(config)
                .named("sealed at the start")
                .expect_warning("(?s)not ready.*503.*sealed")
                .after(|_| {
                    vault.trouble(None);
                    all_well();
                    Ok(())
                }),
        )
        .step(Step::reapply().named("in trouble while it runs").after(|_| {
            let known = obtain(port, "film", 0..3);
            let slow = Trouble::Slow(Duration::from_millis(700));
            for (trouble, number) in
                [(slow, 10), (Trouble::Sealed, 11), (Trouble::Denied, 12), (Trouble::Garbage, 13)]
            {
                vault.trouble(Some(trouble));
                let before = vault.refused();
                let one = wanted("film", number..number + 1);
                let asked = async {
                    let keys = client(port);
                    let task = keys.obtain(&one);
                    tokio::pin!(task);
                    // Whatever was opened a moment ago is still of use.
                    let opened = client(port).find(&[known[0].kid]).await.unwrap();
                    assert_eq!(opened[0].as_ref(), known.first(), "{trouble:?}");
                    if trouble != slow {
                        let early = tokio::time::timeout(Duration::from_secs(3), &mut task).await;
                        assert!(early.is_err(), "{trouble:?}: {early:?}");
                        vault.trouble(None);
                    }
                    task.await.unwrap()
                };
                let made = runtime().block_on(asked);
                vault.trouble(None);
                assert!(vault.refused() > before, "{trouble:?}");
                assert_eq!(obtain(port, "film", number..number + 1), made, "{trouble:?}");
            }
            // Another version of the key: everything is sealed under it, by batches, and stays what it is.
            let (before, rewraps) = (obtain(port, "film", 0..3), vault.done("rewrap"));
            vault.rotate();
            let told = must(&keys(&node, port, &access, &["rotate"]));
            assert!(told.starts_with("7 of 7 keys"), "{told}");
            assert_eq!(vault.done("rewrap"), rewraps + 1);
            let told = must(&keys(&node, port, &access, &["rotate"]));
            assert!(told.starts_with("0 of 7 keys"), "{told}");
            assert_eq!(obtain(port, "film", 0..3), before);
            forms.extend(before.iter().flat_map(|key| secrets::forms(key.secret())));
            secrets::planted_nowhere(&node, &forms).map_err(Into::into)
        }))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
