//! An honest resource from its creation to its end, and what the client shows of each step.

use std::time::Duration;

use serde_json::json;
use tfplugin_framework::schema::Severity;
use tfplugin_testing::client::{Action, Client, ExpectError, Failure, unknown, unknown_prefix};
use tfplugin_testing::coverage;

use crate::acme::{Acme, acme};

#[tokio::test]
async fn an_object_is_created_read_updated_and_destroyed() -> Result<(), Failure> {
    let client = acme().await?;
    let shelves = client.resource("acme_shelf");
    let shelf = shelves
        .apply(json!({"name": "a", "labels": {"x": "1"}, "ports": [443, 80], "rows": [{"height": 3.1}]}))
        .await?;
    assert_eq!(shelf["address"], "a/a/10");
    assert_eq!(shelf["size"], json!(10), "the default");
    assert_eq!(shelf["rows"], json!([{"height": 3.1, "content": "air"}]), "defaults at depth");
    assert!(shelf.settled().await?);

    let bigger = json!({"name": "a", "size": 20});
    let plan = shelf.plan(bigger.clone()).await?;
    assert_eq!(plan.action(), Action::Update);
    assert_eq!(plan.unknown(), ["address"], "it changes with the size");
    assert_eq!(plan["address"], unknown());
    let shelf = shelf.update(bigger).await?;
    assert_eq!((&shelf["address"], &shelf["labels"]), (&json!("a/a/20"), &json!(null)));
    assert!(shelf.settled().await?);

    shelf.destroy().await?;
    assert!(shelf.refresh().await?.is_none(), "it is gone");
    coverage!("ValidateResourceConfig", "a valid configuration passes");
    coverage!("PlanResourceChange", "create, update and no-op, with defaults at depth");
    coverage!("ApplyResourceChange", "create, update and delete");
    coverage!("ReadResource", "finds what is stored, and what is gone");
    coverage!("UpgradeResourceState", "a state of the current version stays as it is");
    Ok(())
}

#[tokio::test]
async fn a_changed_name_makes_another_object() -> Result<(), Failure> {
    let client = acme().await?;
    let shelf = client.resource("acme_shelf").apply(json!({"name": "a"})).await?;
    let plan = shelf.plan(json!({"name": "b"})).await?;
    assert_eq!((plan.action(), plan.requires_replace()), (Action::Replace, vec!["name".to_owned()]));
    assert!(plan.is_unknown("address"), "a new object has new computed values");
    let other = plan.apply().await?.unwrap();
    assert_eq!(other["address"], "a/b/10");
    assert!(shelf.refresh().await?.is_none(), "the first is removed");

    let again = other.replace().await?;
    assert_ne!(again.private(), other.private(), "another object has private state of its own");
    coverage!("PlanResourceChange", "requires replace");
    Ok(())
}

#[tokio::test]
async fn what_is_unknown_when_planned_is_known_when_applied() -> Result<(), Failure> {
    let client = acme().await?;
    let shelves = client.resource("acme_shelf");
    let plan = shelves
        .plan(
            None,
            json!({"name": unknown_prefix("sh"), "rows": [{"height": unknown()}], "labels": unknown()}),
        )
        .await?;
    assert_eq!(plan.unknown(), ["address", "labels", "name", "rows[0].height"]);
    let shelf = plan
        .apply_with(json!({"name": "shelf", "rows": [{"height": 1}], "labels": {"a": "b"}}))
        .await?
        .unwrap();
    assert_eq!((&shelf["name"], &shelf["labels"]), (&json!("shelf"), &json!({"a": "b"})));
    assert!(shelf.settled().await?);
    coverage!("PlanResourceChange", "unknown values become known at apply");
    Ok(())
}

#[tokio::test]
async fn private_state_travels_with_the_object() -> Result<(), Failure> {
    let client = acme().await?;
    let shelf = client.resource("acme_shelf").apply(json!({"name": "a"})).await?;
    assert!(!shelf.private().is_empty());
    let read = shelf.refresh().await?.unwrap();
    assert_eq!(read.private(), shelf.private());
    // The update fails where the serial number in it is lost.
    let updated = read.update(json!({"name": "a", "size": 11})).await?;
    assert_eq!(updated.private(), shelf.private());
    coverage!("ApplyResourceChange", "private state goes from plan to apply, to read and back");
    Ok(())
}

#[tokio::test]
async fn a_write_only_value_reaches_the_handler_and_no_state() -> Result<(), Failure> {
    let client = acme().await?;
    let shelves = client.resource("acme_shelf");
    shelves.apply(json!({"name": "locked", "token": "open"})).await.expect_error("(?i)wrong token");
    let shelf = shelves.apply(json!({"name": "locked", "token": "sesame"})).await?;
    assert_eq!(shelf["token"], json!(null));
    assert!(shelf.settled().await?, "a value that is never stored is no change");

    let stored = json!({"name": "a", "size": 1, "address": "x", "token": "sesame"});
    let upgraded = client.upgrade("acme_shelf", 2, stored).await?;
    assert_eq!(upgraded["token"], json!(null), "a state from before it was write-only");

    let old = client.clone().write_only_allowed(false);
    let refused =
        old.resource("acme_shelf").validate(json!({"name": "a", "token": "x"})).await.expect_error("token");
    assert!(refused.to_string().contains("1.11"), "{refused}");
    old.resource("acme_shelf").apply(json!({"name": "a"})).await?;
    coverage!("ValidateResourceConfig", "write-only values need a host that knows them");
    coverage!("ApplyResourceChange", "write-only values are not stored");
    Ok(())
}

#[tokio::test]
async fn errors_name_the_attribute_and_what_to_do_next() -> Result<(), Failure> {
    let client = acme().await?;
    let shelves = client.resource("acme_shelf");
    for (config, says) in [
        (json!({"name": ""}), "(?s)at name.*1"),
        (json!({"name": "desk"}), "(?s)This is no shelf.*at name.*something else"),
        (json!({"name": "full"}), "(?s)at name.*no room.*Take another zone"),
    ] {
        let failure = shelves.apply(config).await.expect_error(says);
        assert!(failure.errors().all(|error| error.path.is_some()), "{failure}");
        assert!(failure.kept().is_none(), "nothing exists");
    }
    coverage!("ValidateResourceConfig", "errors at attributes");
    coverage!("ApplyResourceChange", "a create that fails leaves nothing");
    Ok(())
}

#[tokio::test]
async fn what_was_saved_before_a_failure_is_kept_and_tainted() -> Result<(), Failure> {
    let client = acme().await?;
    let failure = client.resource("acme_shelf").apply(json!({"name": "collapses"})).await;
    let failure = failure.expect_error("collapsed");
    let kept = failure.kept().unwrap();
    assert_eq!((kept.tainted, &kept["address"]), (true, &json!("a/collapses/10")));
    assert_eq!(kept.plan(json!({"name": "collapses"})).await?.action(), Action::Replace);
    coverage!("ApplyResourceChange", "a failed create keeps what was saved, tainted");
    Ok(())
}

#[tokio::test]
async fn a_failed_delete_or_read_keeps_the_object() -> Result<(), Failure> {
    let client = acme().await?;
    let shelves = client.resource("acme_shelf");
    let stuck = shelves.apply(json!({"name": "stuck"})).await?;
    let failure = stuck.destroy().await.expect_error("screwed to the wall");
    assert_eq!(failure.kept().unwrap().state, stuck.state);
    let unreadable = shelves.apply(json!({"name": "unreadable"})).await?;
    let failure = unreadable.refresh().await.expect_error("line is dead");
    assert_eq!(failure.kept().unwrap().state, unreadable.state);
    coverage!("ApplyResourceChange", "a failed delete keeps the object");
    coverage!("ReadResource", "a failed read keeps the object");
    Ok(())
}

#[tokio::test]
async fn a_panic_is_an_error_with_the_name_of_the_resource() -> Result<(), Failure> {
    let client = acme().await?;
    let shelves = client.resource("acme_shelf");
    shelves.apply(json!({"name": "panics"})).await.expect_error("(?s)acme_shelf.*a screw is loose");
    shelves.apply(json!({"name": "a"})).await?;
    coverage!("ApplyResourceChange", "a panic is an error with the resource's name");
    Ok(())
}

#[tokio::test]
async fn stop_ends_a_running_create_and_nothing_after_it() -> Result<(), Failure> {
    let client = acme().await?;
    let running = client.clone();
    let create =
        tokio::spawn(async move { running.resource("acme_shelf").apply(json!({"name": "slow"})).await });
    // The create waits for nothing but this.
    while !create.is_finished() {
        client.stop().await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    create.await.unwrap().expect_error("interrupted");
    client.resource("acme_shelf").apply(json!({"name": "a"})).await?;
    coverage!("StopProvider", "ends what is running");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_create_that_does_not_end_is_ended_when_its_time_is_up() -> Result<(), Failure> {
    let client = acme().await?.patience(Duration::from_secs(3600));
    let began = tokio::time::Instant::now();
    client
        .resource("acme_shelf")
        .apply(json!({"name": "slow"}))
        .await
        .expect_error("not finished within 20m");
    assert!(began.elapsed() >= Duration::from_secs(20 * 60));

    let impatient = client.patience(Duration::from_secs(5));
    let failure = impatient.resource("acme_shelf").apply(json!({"name": "slow"})).await.unwrap_err();
    assert!(matches!(failure, Failure::TimedOut("ApplyResourceChange", _)), "{failure}");
    coverage!("ApplyResourceChange", "a deadline ends the handler");
    Ok(())
}

#[tokio::test]
async fn a_provider_is_configured_also_with_what_is_not_known_yet() -> Result<(), Failure> {
    let client = Client::of::<Acme>().await?.terraform_version("1.5.7");
    client
        .resource("acme_shelf")
        .apply(json!({"name": "a"}))
        .await
        .expect_error("needs a configured provider");
    client.configure(json!({"zone": "too long"})).await.expect_error("(?s)at zone.*5");
    let warnings = client.configure(json!({"zone": unknown()})).await?;
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert!(client.configure(json!({})).await?.is_empty());
    assert_eq!(client.resource("acme_shelf").apply(json!({"name": "a"})).await?["address"], "nowhere/a/10");
    coverage!("ValidateProviderConfig", "errors at attributes");
    coverage!("ConfigureProvider", "values may be unknown");
    Ok(())
}

#[tokio::test]
async fn what_a_module_says_reaches_the_handlers() -> Result<(), Failure> {
    let client = acme().await?.provider_meta(json!({"team": "red"}));
    let shelf = client.resource("acme_shelf").apply(json!({"name": "a"})).await?;
    assert_eq!(shelf.warnings.len(), 1);
    assert_eq!(shelf.warnings[0].detail, "red");
    coverage!("ApplyResourceChange", "provider meta and warnings");
    Ok(())
}
