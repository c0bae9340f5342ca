//! Resources that are kept as they are configured: what most corner cases do behind their corner.

use tfplugin_framework::schema::field::members_of;
use tfplugin_framework::schema::{Members, Value, json};
use tfplugin_framework::{Error, Resource, Result, State};

use crate::Corner;

impl Corner {
    /// Keeps the state of a resource.
    pub(crate) fn keep<R: Resource<Provider = Corner>>(&self, id: &str, state: &State<R>) -> Result<()> {
        let mut members = Members::new();
        R::write_members(state, &mut members);
        let bytes = json::encode(&Value::Map(members), &R::object().ty())?;
        let object: serde_json::Value = serde_json::from_slice(&bytes)?;
        self.store.put(R::NAME, id, &object)
    }

    /// What was kept, if it is there.
    pub(crate) fn kept<R: Resource<Provider = Corner>>(&self, id: &str) -> Result<Option<R>> {
        let Some(object) = self.store.get::<serde_json::Value>(R::NAME, id)? else { return Ok(None) };
        let value = json::decode_value(&object, &R::object().ty())?;
        members_of(&value).and_then(R::read_members).map(Some).map_err(Error::from)
    }
}

/// Implements `Resource` for a struct whose only computed value is `id`.
macro_rules! kept {
    ($name:literal, $resource:ident, $computed:ident) => {
        $crate::kept::kept!($name, $resource, $computed, {});
    };
    ($name:literal, $resource:ident, $computed:ident, { $($more:tt)* }) => {
        #[tfplugin_framework::resource(name = $name)]
        impl tfplugin_framework::Resource for $resource {
            type Provider = $crate::Corner;

            async fn create(
                cx: &tfplugin_framework::Context<$crate::Corner>,
                plan: tfplugin_framework::Plan<Self>,
            ) -> tfplugin_framework::Result<tfplugin_framework::State<Self>> {
                let id = tfplugin_framework::unique_id($name);
                let state = plan.complete($computed { id: id.clone() });
                cx.provider().keep::<Self>(&id, &state)?;
                Ok(state)
            }

            async fn read(
                cx: &tfplugin_framework::Context<$crate::Corner>,
                state: tfplugin_framework::Stored<Self>,
            ) -> tfplugin_framework::Result<tfplugin_framework::Read<Self>> {
                let id = state.id.get()?;
                Ok(match cx.provider().kept::<Self>(id)? {
                    Some(object) => tfplugin_framework::Read::Found(object.complete($computed { id: id.clone() })),
                    None => tfplugin_framework::Read::Gone,
                })
            }

            async fn update(
                cx: &tfplugin_framework::Context<$crate::Corner>,
                prior: tfplugin_framework::Stored<Self>,
                plan: tfplugin_framework::Plan<Self>,
            ) -> tfplugin_framework::Result<tfplugin_framework::State<Self>> {
                let id = prior.id.get()?.clone();
                let state = plan.complete($computed { id: id.clone() });
                cx.provider().keep::<Self>(&id, &state)?;
                Ok(state)
            }

            async fn delete(
                cx: &tfplugin_framework::Context<$crate::Corner>,
                state: tfplugin_framework::Stored<Self>,
            ) -> tfplugin_framework::Result<()> {
                match state.id.known() {
                    Some(id) => cx.provider().store.remove($name, id),
                    None => Ok(()),
                }
            }

            async fn import(
                cx: &tfplugin_framework::Context<$crate::Corner>,
                id: &str,
            ) -> tfplugin_framework::Result<tfplugin_framework::State<Self>> {
                let missing = || tfplugin_framework::Error::invalid("there is no such object");
                let object = cx.provider().kept::<Self>(id)?.ok_or_else(missing)?;
                Ok(object.complete($computed { id: id.to_owned() }))
            }

            $($more)*
        }
    };
}
pub(crate) use kept;
