//! What Terraform itself refuses never reaches a provider; the client says so too.

use serde_json::json;
use tfplugin_testing::client::{Failure, unknown};

use crate::puppet::Puppet;

#[tokio::test]
async fn a_configuration_that_core_refuses_is_a_mistake_of_the_test() -> Result<(), Failure> {
    let things = Puppet::default().resource().await?;
    for (config, says) in [
        (json!({}), "name: it is required"),
        (json!({"name": null}), "name: it is required"),
        (json!({"name": "a", "id": "x"}), "id: its value is decided by the provider"),
        (json!({"name": "a", "rows": [{"port": 1, "mark": "x"}]}), "rows[0].mark: its value is decided"),
        (json!({"name": "a", "disk": [{}]}), "disk[0].port: it is required"),
        (json!({"name": "a", "nmae": 1}), "there is no attribute or block nmae"),
        (json!({"name": 3}), "name: a value of type string"),
        (json!({"name": "a", "list": "x"}), "list: an array"),
        (json!({"name": "a", "map": ["x"]}), "map: an object of elements by name"),
    ] {
        let failure = things.validate(config).await.unwrap_err();
        assert!(matches!(&failure, Failure::Config(text) if text.contains(says)), "{says:?}: {failure}");
    }
    things.validate(json!({"name": unknown()})).await?;
    Ok(())
}

#[tokio::test]
async fn nothing_is_applied_while_something_is_unknown() -> Result<(), Failure> {
    let things = Puppet::default().resource().await?;
    let failure = things.apply(json!({"name": unknown()})).await.unwrap_err();
    assert!(failure.to_string().contains("at apply everything"), "{failure}");
    Ok(())
}
