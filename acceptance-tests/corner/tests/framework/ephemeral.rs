//! An ephemeral resource is opened, renewed while Terraform takes long, closed at the end, and kept nowhere.

use std::path::Path;

use serde_json::{Value, json};
use tfplugin_testing::cli::{Action, Checked, Feature, Step, action, empty, value};

use crate::support::{Store, case, on_both};

// The lease is held until the secret is made, and that waits for the slow thing.
const LEASED: &str = r#"
    ephemeral "corner_lease" "l" {
      purpose = "login"
      holds   = "1s"
    }
    resource "corner_slow" "s" { takes = "4s" }
    resource "corner_secret" "a" {
      user                = "ada"
      password_wo         = ephemeral.corner_lease.l.token
      password_wo_version = 1
      depends_on          = [corner_slow.s]
    }"#;

fn counted(store: &Path, what: &str) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let record = std::fs::read_to_string(store.join("lease/login.json"))?;
    let record: Value = serde_json::from_str(&record)?;
    record[what].as_u64().ok_or_else(|| format!("the lease has no {what}: {record}").into())
}

fn all_are_closed(store: &Path) -> Checked {
    let (opened, closed) = (counted(store, "opened")?, counted(store, "closed")?);
    if opened == closed {
        Ok(())
    } else {
        Err(format!("opened {opened} times, closed {closed} times").into())
    }
}

#[test]
fn a_lease_is_opened_renewed_and_closed_and_its_token_kept_nowhere() {
    on_both(|cli| {
        let store = Store::new();
        let path = store.path();
        case(cli, &store)
            .requires(Feature::Ephemeral)
            .requires(Feature::WriteOnly)
            // What every token begins with.
            .secrets_absent(&["token-"])
            .log_level("TRACE")
            .covers("OpenEphemeralResource", "opened in plan and apply")
            .covers("RenewEphemeralResource", "renewed while apply takes long")
            .covers("CloseEphemeralResource", "closed after its last use")
            .covers("ApplyResourceChange", "write-only values from ephemeral resources")
            .step(
                Step::apply(LEASED)
                    .plan(action("corner_secret.a", Action::Create))
                    .state_fn(|state| {
                        let length = state.get("corner_secret.a", "length")?.as_u64().unwrap_or_default();
                        if length > 10 { Ok(()) } else { Err(format!("a token of {length} letters").into()) }
                    })
                    .state(value("corner_secret.a", "password_wo", json!(null)))
                    .after(|_| {
                        all_are_closed(path)?;
                        // Of four seconds, each of which needs a renewal, a busy machine may lose some.
                        match counted(path, "renewed")? {
                            0 => Err("never renewed".into()),
                            _ => Ok(()),
                        }
                    }),
            )
            .step(Step::replan().plan(empty()).after(|_| all_are_closed(path)))
            .run()
    });
}

#[test]
fn an_ephemeral_resource_that_cannot_be_opened_is_an_error_at_its_block() {
    on_both(|cli| {
        let store = Store::new();
        case(cli, &store)
            .requires(Feature::Ephemeral)
            .covers("OpenEphemeralResource", "an error says what could not be opened")
            .covers("ValidateEphemeralResourceConfig", "values are validated")
            .step(
                Step::validate(
                    "ephemeral \"corner_lease\" \"l\" {\n  purpose = \"p\"\n  holds   = \"soon\"\n}",
                )
                .expect_error("holds"),
            )
            .step(
                Step::plan_only(r#"ephemeral "corner_lease" "l" { purpose = "no/file" }"#)
                    .expect_plan_error("Cannot open corner_lease.*\"no/file\" is no id.*Use letters"),
            )
            .run()
    });
}
