//! What the framework does not have yet answers `Unimplemented`, which is how a host learns that a provider is
//! older than itself.

use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_testing::client::Failure;
use tfplugin_testing::coverage;
use tonic::Code;

use crate::acme::acme;

macro_rules! unimplemented_rpcs {
    ($client:expr, $($name:literal: $method:ident($request:expr)),* $(,)?) => { $(
        let status = $client.rpc().$method($request).await.err().unwrap();
        assert_eq!(status.code(), Code::Unimplemented, "{}: {status}", $name);
        coverage!($name, "answers Unimplemented");
    )* };
}

#[tokio::test]
async fn every_rpc_of_later_versions_answers_unimplemented() -> Result<(), Failure> {
    let client = acme().await?;
    unimplemented_rpcs!(
        client,
        "GetResourceIdentitySchemas":
            get_resource_identity_schemas(pb::get_resource_identity_schemas::Request::default()),
        "UpgradeResourceIdentity": upgrade_resource_identity(pb::upgrade_resource_identity::Request::default()),
        "GenerateResourceConfig": generate_resource_config(pb::generate_resource_config::Request::default()),
        "ListResource": list_resource(pb::list_resource::Request::default()),
        "ValidateListResourceConfig":
            validate_list_resource_config(pb::validate_list_resource_config::Request::default()),
        "ValidateActionConfig": validate_action_config(pb::validate_action_config::Request::default()),
        "PlanAction": plan_action(pb::plan_action::Request::default()),
        "InvokeAction": invoke_action(pb::invoke_action::Request::default()),
        "ValidateStateStoreConfig": validate_state_store_config(pb::validate_state_store::Request::default()),
        "ConfigureStateStore": configure_state_store(pb::configure_state_store::Request::default()),
        "ReadStateBytes": read_state_bytes(pb::read_state_bytes::Request::default()),
        "WriteStateBytes":
            write_state_bytes(tokio_stream::once(pb::write_state_bytes::RequestChunk::default())),
        "LockState": lock_state(pb::lock_state::Request::default()),
        "UnlockState": unlock_state(pb::unlock_state::Request::default()),
        "GetStates": get_states(pb::get_states::Request::default()),
        "DeleteState": delete_state(pb::delete_state::Request::default()),
    );
    Ok(())
}

#[tokio::test]
async fn what_is_missing_is_told_by_name() -> Result<(), Failure> {
    let client = acme().await?;
    let request = pb::read_resource::Request { type_name: "acme_shlef".to_owned(), ..Default::default() };
    let answer = client.rpc().read_resource(request).await.unwrap().into_inner();
    let text = format!("{} {}", answer.diagnostics[0].summary, answer.diagnostics[0].detail);
    assert!(text.contains("acme_shlef") && text.contains("Did you mean acme_shelf?"), "{text}");
    Ok(())
}
