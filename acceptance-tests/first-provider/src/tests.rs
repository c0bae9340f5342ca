//! The provider in the test's own process: no Terraform, milliseconds each.

use serde_json::json;
use tfplugin_testing::client::{Action, Client, ExpectError as _, Failure};

use super::First;

#[tokio::test]
async fn a_note_is_kept_in_its_file() -> Result<(), Failure> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("note.txt");
    let client = Client::of::<First>().await?;
    client.configure(json!({})).await?;

    let note = client.resource("first_note").apply(json!({ "path": path, "text": "milk" })).await?;
    assert_eq!(std::fs::read_to_string(&path).ok().as_deref(), Some("milk"));
    assert!(note.settled().await?, "the next plan is empty");

    let plan = note.plan(json!({ "path": path, "text": "bread" })).await?;
    assert_eq!(plan.action(), Action::Update);
    let note = note.update(json!({ "path": path, "text": "bread" })).await?;
    note.destroy().await?;
    assert!(!path.exists());
    Ok(())
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told_at_the_path() -> Result<(), Failure> {
    let client = Client::of::<First>().await?;
    client.configure(json!({})).await?;
    let notes = client.resource("first_note");
    notes.apply(json!({ "path": "/no/such/note", "text": "" })).await.expect_error("Cannot write the note");
    Ok(())
}
