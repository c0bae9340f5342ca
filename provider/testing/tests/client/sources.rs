//! Data sources, ephemeral resources and functions of an honest provider.

use std::time::{Duration, SystemTime};

use serde_json::json;
use tfplugin_testing::client::{ExpectError, Failure, Rule, unknown};
use tfplugin_testing::coverage;

use crate::acme::acme;

#[tokio::test]
async fn a_data_source_finds_what_exists() -> Result<(), Failure> {
    let client = acme().await?;
    client.resource("acme_shelf").apply(json!({"name": "a"})).await?;
    let shelves = client.data_source("acme_shelf");
    assert_eq!(shelves.read(json!({"name": "a"})).await?, json!({"name": "a", "address": "a/a/10"}));
    assert_eq!(shelves.read(json!({"name": "b"})).await?, json!({"name": "b", "address": null}));
    shelves.validate(json!({"name": unknown()})).await?;
    shelves.validate(json!({"name": ""})).await.expect_error("(?s)at name");
    shelves.read(json!({"name": "secret"})).await.expect_error("(?si)at name.*nobody may look");
    let waits = shelves.read(json!({"name": unknown()})).await.unwrap_err();
    assert!(matches!(waits, Failure::Config(_)), "{waits}");
    coverage!("ReadDataSource", "reads, computes, and refuses at an attribute");
    coverage!("ValidateDataResourceConfig", "errors at attributes");
    Ok(())
}

#[tokio::test]
async fn an_ephemeral_resource_is_opened_renewed_and_closed() -> Result<(), Failure> {
    let client = acme().await?;
    let leases = client.ephemeral("acme_lease");
    leases.validate(json!({"name": ""})).await.expect_error("(?s)at name");
    let lease = leases.open(json!({"name": "a"})).await?;
    assert_eq!(lease.result, json!({"name": "a", "key": "key of a"}));
    let due = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(lease.renew_at, due(4_000_000_000));
    let lease = lease.renew().await?;
    assert_eq!(lease.renew_at, due(4_000_000_060));
    let lease = lease.renew().await?;
    assert_eq!(lease.renew_at, None, "nothing more to renew");
    let warnings = lease.close().await?;
    assert_eq!(warnings[0].detail, "It was renewed 2 times.", "private state came along");
    coverage!("ValidateEphemeralResourceConfig", "errors at attributes");
    coverage!("OpenEphemeralResource", "values, and when to renew");
    coverage!("RenewEphemeralResource", "private state and the next time");
    coverage!("CloseEphemeralResource", "private state and warnings");
    Ok(())
}

#[tokio::test]
async fn a_function_answers_or_names_the_argument() -> Result<(), Failure> {
    let client = acme().await?;
    client.functions().await?;
    assert_eq!(client.call_function("add", [json!(1), json!(2), json!(3)]).await?, json!(6));
    assert_eq!(client.call_function("add", [json!(1), unknown()]).await?, unknown(), "without a call");
    let failure = client.call_function("add", [json!(1), json!(2), json!(-3)]).await.expect_error("negative");
    let Failure::Function(refusal) = failure else { panic!("{failure}") };
    assert_eq!(refusal.argument, Some(2));
    for arguments in [vec![], vec![json!("x")], vec![json!(null)]] {
        let refused = client.call_function("add", arguments).await.unwrap_err();
        assert!(matches!(refused, Failure::Config(_)), "Terraform itself refuses: {refused}");
    }
    client.call_function("add", [json!(1.5)]).await.expect_error("1.5|integer|whole");
    coverage!("GetFunctions", "the same as beside the schemas");
    coverage!("CallFunction", "variadic, and errors at an argument");
    Ok(())
}

#[tokio::test]
async fn a_function_that_is_not_pure_is_found_out() -> Result<(), Failure> {
    let client = acme().await?;
    assert_eq!(client.call_function("clock", [unknown()]).await?, "unknown", "it takes unknown values");
    client.call_function("clock", [json!("x")]).await.expect_violation(Rule::ImpureFunction, "clock");
    Ok(())
}

#[tokio::test]
async fn metadata_and_schemas_tell_the_same() -> Result<(), Failure> {
    let client = acme().await?;
    let metadata = client.metadata().await?;
    assert_eq!(metadata.resources[0].type_name, "acme_shelf");
    let capabilities = client.schema().server_capabilities.unwrap();
    assert!(capabilities.plan_destroy && capabilities.get_provider_schema_optional);
    assert!(capabilities.move_resource_state, "a resource takes others over");
    assert!(!capabilities.generate_resource_config, "not written yet, so not announced");
    assert_eq!(client.schema().resource_schemas["acme_shelf"].version, 2);
    coverage!("GetMetadata", "the same as the schemas");
    coverage!("GetProviderSchema", "valid by core's rules; truthful capabilities");
    Ok(())
}

#[tokio::test]
async fn what_was_half_opened_is_closed_because_terraform_will_not() -> Result<(), Failure> {
    let client = acme().await?;
    let failure = client.ephemeral("acme_lease").open(json!({"name": "broken"})).await;
    let told = failure.err().map(|failure| failure.to_string()).unwrap_or_default();
    assert!(told.contains("The lock broke after it was opened"), "{told}");
    assert!(told.contains("It was renewed 0 times."), "close was not called: {told}");
    coverage!("CloseEphemeralResource", "what was half opened is closed");
    Ok(())
}
