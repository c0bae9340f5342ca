//! Objects that come from elsewhere: imported, upgraded, moved.

use bytes::Bytes;
use serde_json::json;
use tfplugin_testing::client::{ExpectError, Failure, Moved};
use tfplugin_testing::coverage;

use crate::acme::acme;

#[tokio::test]
async fn an_imported_object_is_the_one_that_exists() -> Result<(), Failure> {
    let client = acme().await?;
    let shelf = client.resource("acme_shelf").apply(json!({"name": "imported", "ports": [1]})).await?;
    let imported = client.import("acme_shelf", "imported").await?;
    assert_eq!(imported.state, shelf.state);
    let plan = imported.plan(imported.generated_config()?).await?;
    assert!(plan.is_empty(), "the configuration that Terraform writes for it changes nothing");
    client.import("acme_shelf", "other").await.expect_error("no shelf \"other\"");
    coverage!("ImportResourceState", "by id, then read; the generated configuration plans no change");
    coverage!("ImportResourceState", "what does not exist is an error");
    Ok(())
}

#[tokio::test]
async fn states_of_every_earlier_version_become_states_of_this_one() -> Result<(), Failure> {
    let client = acme().await?;
    let oldest = json!({"title": "a", "volume": 5, "gone": true});
    let old = json!({"name": "a", "volume": 5});
    for (version, state) in [(0, oldest), (1, old)] {
        let upgraded = client.upgrade("acme_shelf", version, state).await?;
        assert_eq!(
            upgraded.state,
            json!({
                "name": "a", "size": 5, "labels": null, "ports": null, "rows": null, "token": null,
                "address": "old/a"
            })
        );
    }
    client.upgrade("acme_shelf", 7, json!({})).await.expect_error("version 7");
    client.upgrade("acme_shelf", 0, json!({"volume": 5})).await.expect_error("title");
    coverage!("UpgradeResourceState", "a chain of versions, and straight to the current one");
    coverage!("UpgradeResourceState", "a newer version, and a state of another shape");
    Ok(())
}

#[tokio::test]
async fn an_object_of_another_type_is_moved_here() -> Result<(), Failure> {
    let client = acme().await?;
    let from = Moved {
        provider: "registry.terraform.io/other/other".to_owned(),
        type_name: "other_rack".to_owned(),
        version: 3,
        state: json!({"title": "a", "volume": 5, "id": "x"}),
        private: Bytes::from_static(b"whatever the other provider kept"),
    };
    let moved = client.move_state(from.clone(), "acme_shelf").await?;
    assert_eq!((&moved["name"], &moved["size"]), (&json!("a"), &json!(5)));
    let stranger = Moved { type_name: "other_table".to_owned(), ..from };
    client.move_state(stranger, "acme_shelf").await.expect_error("takes no objects from other_table");
    coverage!("MoveResourceState", "from a type of another provider");
    coverage!("MoveResourceState", "a type that is not taken is refused");
    Ok(())
}
