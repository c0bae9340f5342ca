//! Where the framework finds a provider's mistake before core does: its diagnostic names attribute, planned
//! and actual value, and whose mistake it is.

use serde_json::json;
use tfplugin_testing::client::{ExpectError, Failure};
use tfplugin_testing::coverage;

use crate::acme::acme;

#[tokio::test]
async fn a_result_that_is_not_as_planned_is_named_with_both_values() -> Result<(), Failure> {
    let client = acme().await?;
    let failure = client.resource("acme_shelf").apply(json!({"name": "liar"})).await.expect_error("size");
    let text = failure.to_string();
    for part in ["at size", "10", "11", "registry.terraform.io/test/acme", "https://example.com/issues"] {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    assert_eq!(failure.kept().unwrap()["size"], json!(11), "what exists is stored all the same");
    coverage!("ApplyResourceChange", "a result that differs from the plan is named with both values");
    Ok(())
}
