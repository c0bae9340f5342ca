//! Where the framework finds a provider's mistake before core does: its diagnostic names attribute, planned
//! and actual value, and whose mistake it is. Core's own assertions then find nothing more.

use serde_json::json;
use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_testing::client::{Action, ExpectError, Failure};
use tfplugin_testing::coverage;

use crate::acme::acme;
use crate::hand::things;

const BLAME: [&str; 2] = ["bug in the provider", "https://example.com/issues"];

fn says(failure: &Failure, parts: &[&str]) {
    let text = failure.to_string();
    for part in parts.iter().chain(&BLAME) {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[tokio::test]
async fn a_result_that_is_not_as_planned_is_named_with_both_values() -> Result<(), Failure> {
    let client = acme().await?;
    let failure = client.resource("acme_shelf").apply(json!({"name": "liar"})).await.expect_error("size");
    says(&failure, &["at size", "10", "11", "registry.terraform.io/test/acme"]);
    assert_eq!(failure.kept().unwrap()["size"], json!(11), "what exists is stored all the same");
    coverage!("ApplyResourceChange", "a result that differs from the plan is named with both values");
    Ok(())
}

#[tokio::test]
async fn a_plan_that_core_would_refuse_is_named_with_both_values() -> Result<(), Failure> {
    let (_, things) = things().await?;
    for (mode, parts) in [
        ("plans another", vec!["at note", "yours", "mine"]),
        ("plans null", vec![]),
        ("plans another type", vec!["at id"]),
    ] {
        let planned = things.plan(None, json!({"mode": mode, "note": "yours"})).await;
        says(&planned.expect_error("."), &parts);
    }
    coverage!("PlanResourceChange", "a plan that core would refuse is named with both values");
    Ok(())
}

#[tokio::test]
async fn a_state_that_cannot_be_stored_is_named_and_what_exists_is_kept() -> Result<(), Failure> {
    let (_, things) = things().await?;
    for (mode, parts) in [
        ("leaves unknown", vec!["at id"]),
        ("returns null", vec!["no state"]),
        ("returns another type", vec!["at id"]),
        ("returns another", vec!["at note", "yours", "mine"]),
    ] {
        let failure = things.apply(json!({"mode": mode, "note": "yours"})).await.expect_error(".");
        says(&failure, &parts);
        let kept = failure.kept();
        assert!(kept.is_some_and(|kept| kept.tainted), "{mode}: what was made must not be lost: {failure}");
    }
    let thing = things.apply(json!({"mode": "reads unknown"})).await?;
    let failure = thing.refresh().await.expect_error("id");
    says(&failure, &["at id"]);
    assert_eq!(failure.kept().unwrap().state, thing.state);
    coverage!("ApplyResourceChange", "unknown, absent and mistyped results are named, what exists is kept");
    coverage!("ReadResource", "an unknown value is named");
    Ok(())
}

#[tokio::test]
async fn a_create_that_can_be_resumed_is_finished_by_an_update() -> Result<(), Failure> {
    let (_, things) = things().await?;
    let thing = things.apply(json!({"mode": "resumes"})).await?;
    assert!(!thing.tainted);
    let warning = thing.warnings[0].to_string();
    assert!(warning.contains("open the door") && warning.contains("stuck"), "{warning}");
    let thing = thing.refresh().await?.unwrap();
    let plan = thing.plan(json!({"mode": "resumes"})).await?;
    assert_eq!((plan.action(), plan.unknown()), (Action::Update, vec!["id".to_owned()]));
    assert!(plan.warnings()[0].detail.contains("open the door"));
    let thing = plan.apply().await?.unwrap();
    assert_eq!(thing["id"], "open the door", "the update knew what was left to do");
    assert!(thing.settled().await?, "and nothing is left now");
    coverage!("ApplyResourceChange", "a resumable create is finished by an update");
    Ok(())
}

#[tokio::test]
async fn an_object_that_is_gone_is_planned_anew() -> Result<(), Failure> {
    let (client, things) = things().await?;
    let thing = things.apply(json!({"mode": "vanishes"})).await?;
    assert!(thing.refresh().await?.is_none());
    client.import("hand_thing", "vanishes").await.unwrap_err();
    assert_eq!(client.import("hand_thing", "other").await?["mode"], "other");
    Ok(())
}

#[tokio::test]
async fn calls_at_the_same_time_do_not_mix() -> Result<(), Failure> {
    let (_, things) = things().await?;
    let running: Vec<_> = (0..50)
        .map(|number| {
            let things = things.clone();
            tokio::spawn(async move { things.apply(json!({"mode": format!("m{number}")})).await })
        })
        .collect();
    for (number, create) in running.into_iter().enumerate() {
        let thing = create.await.unwrap()?;
        let mode = format!("m{number}");
        assert_eq!(thing["mode"], json!(mode));
        assert_eq!(thing.warnings.len(), 1);
        assert_eq!(thing.warnings[0].detail.to_lowercase(), mode);
        assert!(String::from_utf8_lossy(thing.private()).contains(&format!("{mode:?}")));
    }
    coverage!("ApplyResourceChange", "calls at the same time keep their own warnings and private state");
    Ok(())
}

#[tokio::test]
async fn large_values_go_both_ways() -> Result<(), Failure> {
    let (_, things) = things().await?;
    let text = "x".repeat(10 << 20);
    let thing = things.apply(json!({"mode": "big", "note": text})).await?;
    assert_eq!(thing["note"].as_str().map(str::len), Some(10 << 20));
    let set: Vec<_> = (0..10_000).map(|size| json!({"name": format!("n{size}"), "size": size})).collect();
    let thing =
        things.apply(json!({"mode": "many", "set": set, "any": [1, "a", {"b": [null, 3.1]}]})).await?;
    assert_eq!(thing["set"].as_array().map(Vec::len), Some(10_000));
    assert_eq!(thing["any"], json!([1, "a", {"b": [null, 3.1]}]));
    assert!(thing.settled().await?);
    coverage!("ApplyResourceChange", "10 MB values and sets of 10,000 objects");
    Ok(())
}

#[tokio::test]
async fn values_may_come_as_json_and_go_as_msgpack() -> Result<(), Failure> {
    let (client, _) = things().await?;
    let json = |text: &'static str| Some(pb::DynamicValue { json: text.into(), ..Default::default() });
    let config = json(r#"{"mode":"m","note":null,"any":null,"set":null,"id":null}"#);
    let request = pb::plan_resource_change::Request {
        type_name: "hand_thing".to_owned(),
        prior_state: json("null"),
        proposed_new_state: config.clone(),
        config,
        ..Default::default()
    };
    let answer = client.rpc().plan_resource_change(request).await.unwrap().into_inner();
    assert!(answer.diagnostics.is_empty(), "{:?}", answer.diagnostics);
    let planned = answer.planned_state.unwrap();
    assert!(planned.json.is_empty() && !planned.msgpack.is_empty());
    coverage!("PlanResourceChange", "values may come as JSON");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_that_says_so() -> Result<(), Failure> {
    let (client, _) = things().await?;
    let name = || "hand_thing".to_owned();
    let garbage = || Some(pb::DynamicValue { msgpack: vec![0xc1, 0xff].into(), ..Default::default() });
    let request =
        pb::read_resource::Request { type_name: name(), current_state: garbage(), ..Default::default() };
    let answer = client.rpc().read_resource(request).await.unwrap().into_inner();
    assert!(answer.diagnostics[0].summary.contains("does not fit the schema"), "{:?}", answer.diagnostics);
    assert_eq!(answer.new_state, garbage(), "the state is not lost");

    let state = r#"{"mode":"m","note":null,"any":null,"set":null,"id":"x"}"#;
    let request = pb::read_resource::Request {
        type_name: name(),
        current_state: Some(pb::DynamicValue { json: state.into(), ..Default::default() }),
        private: "not ours".into(),
        ..Default::default()
    };
    let answer = client.rpc().read_resource(request).await.unwrap().into_inner();
    assert!(answer.diagnostics[0].summary.contains("private state"), "{:?}", answer.diagnostics);

    let flat = pb::RawState { flatmap: [("mode".to_owned(), "m".to_owned())].into(), ..Default::default() };
    let request =
        pb::upgrade_resource_state::Request { type_name: name(), version: 0, raw_state: Some(flat) };
    let answer = client.rpc().upgrade_resource_state(request).await.unwrap().into_inner();
    let text = format!("{:?}", answer.diagnostics);
    assert!(text.contains("Terraform 0.11"), "{text}");
    coverage!("ReadResource", "unreadable input is an error and loses nothing");
    coverage!("UpgradeResourceState", "a flat map of Terraform 0.11 is refused with what to do");
    Ok(())
}

macro_rules! told_by_name {
    ($client:expr, $($method:ident($module:ident, $field:ident)),* $(,)?) => { $(
        let request = pb::$module::Request { $field: "hand_thnig".to_owned(), ..Default::default() };
        let answer = $client.rpc().$method(request).await.unwrap().into_inner();
        let text = format!("{:?}", answer.diagnostics);
        assert!(text.contains("hand_thnig"), "{}: {text}", stringify!($method));
    )* };
}

#[tokio::test]
async fn a_type_that_does_not_exist_is_told_by_every_rpc() -> Result<(), Failure> {
    let (client, _) = things().await?;
    told_by_name!(
        client,
        validate_resource_config(validate_resource_config, type_name),
        upgrade_resource_state(upgrade_resource_state, type_name),
        read_resource(read_resource, type_name),
        plan_resource_change(plan_resource_change, type_name),
        apply_resource_change(apply_resource_change, type_name),
        import_resource_state(import_resource_state, type_name),
        move_resource_state(move_resource_state, target_type_name),
        validate_data_resource_config(validate_data_resource_config, type_name),
        read_data_source(read_data_source, type_name),
        validate_ephemeral_resource_config(validate_ephemeral_resource_config, type_name),
        open_ephemeral_resource(open_ephemeral_resource, type_name),
        renew_ephemeral_resource(renew_ephemeral_resource, type_name),
        close_ephemeral_resource(close_ephemeral_resource, type_name),
    );
    Ok(())
}
