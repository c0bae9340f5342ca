//! `corner_computed`: what is computed keeps its value unless something that it depends on changes.

use tfplugin_framework::schema::Computed;
use tfplugin_framework::{Context, Error, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::Corner;

/// Computed values of every kind.
#[derive(Clone, Schema)]
pub(crate) struct Derived {
    /// Assigned by the provider.
    id: Computed<String>,
    /// What it is called.
    name: String,
    /// Free text, on which nothing depends.
    note: Option<String>,
    /// The name in capitals: changes with it.
    #[attribute(changes_with = [name])]
    loud: Computed<String>,
    /// How often the object was written: changes with anything.
    #[attribute(changes_with = any)]
    revision: Computed<i64>,
    /// The configuration's choice, or the provider's.
    #[attribute(optional)]
    zone: Computed<String>,
    /// Null unless the note is set.
    #[attribute(changes_with = [note])]
    note_length: Computed<Option<u64>>,
}

fn complete(derived: &Derived, id: String, revision: i64) -> DerivedState {
    derived.complete(DerivedComputed {
        id,
        loud: derived.name.to_uppercase(),
        revision,
        zone: derived.zone.known().cloned().unwrap_or_else(|| "zone-a".to_owned()),
        note_length: derived.note.as_ref().map(|note| note.len() as u64),
    })
}

#[resource(name = "computed")]
impl Resource for Derived {
    type Provider = Corner;

    async fn create(cx: &Context<Corner>, plan: Plan<Self>) -> Result<State<Self>> {
        let id = tfplugin_framework::unique_id("computed");
        let state = complete(&plan, id.clone(), 1);
        cx.provider().keep::<Self>(&id, &state)?;
        Ok(state)
    }

    async fn read(cx: &Context<Corner>, state: Stored<Self>) -> Result<Read<Self>> {
        let id = state.id.get()?;
        let Some(object) = cx.provider().kept::<Self>(id)? else { return Ok(Read::Gone) };
        let revision = *object.revision.get()?;
        Ok(Read::Found(complete(&object, id.clone(), revision)))
    }

    async fn update(cx: &Context<Corner>, prior: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        let id = prior.id.get()?.clone();
        let state = complete(&plan, id.clone(), prior.revision.get()? + 1);
        cx.provider().keep::<Self>(&id, &state)?;
        Ok(state)
    }

    async fn delete(cx: &Context<Corner>, state: Stored<Self>) -> Result<()> {
        cx.provider().store.remove("computed", state.id.get()?)
    }

    async fn import(cx: &Context<Corner>, id: &str) -> Result<State<Self>> {
        let object =
            cx.provider().kept::<Self>(id)?.ok_or_else(|| Error::invalid("there is no such object"))?;
        let revision = *object.revision.get()?;
        Ok(complete(&object, id.to_owned(), revision))
    }
}
