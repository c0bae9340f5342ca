//! `corner_moved`: takes things of another type of this provider, and `terraform_data` of another one.

use tfplugin_framework::schema::Computed;
use tfplugin_framework::{Moves, Result, Schema};

use super::thing::Thing;
use crate::kept::kept;

/// A thing under another name.
#[derive(Clone, Schema)]
pub(crate) struct Moved {
    /// Assigned by the provider.
    id: Computed<String>,
    /// What it is called.
    name: Option<String>,
}

fn from_thing(thing: Thing) -> Result<MovedState> {
    let Thing { id, name, .. } = thing;
    Ok(MovedState { id: id.unwrap_or_default(), name: Some(name) })
}

kept!("moved", Moved, MovedComputed, {
    fn moves() -> Moves<Self> {
        Moves::none().from_type::<Thing>("corner_thing", from_thing).from(|source| {
            if source.type_name != "terraform_data" || !source.provider.contains("terraform") {
                return Ok(None);
            }
            let id = source.state.json()["id"].as_str().unwrap_or_default().to_owned();
            Ok(Some(MovedState { id, name: None }))
        })
    }
});
