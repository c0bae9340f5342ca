//! `corner_nested`: nested attributes of every kind, four deep, with defaults and computed values inside.

use std::collections::BTreeMap;

use tfplugin_framework::schema::Computed;
use tfplugin_framework::{Context, Error, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::Corner;

/// Objects in objects.
#[derive(Clone, Schema)]
pub(crate) struct Nested {
    /// Assigned by the provider.
    id: Computed<String>,
    /// One object.
    single: Option<Inner>,
    /// Objects in order, each with an id of its own.
    #[attribute(computed_inside)]
    list: Option<Vec<Item>>,
    /// Objects by name, each with an id of its own.
    #[attribute(computed_inside)]
    map: Option<BTreeMap<String, Item>>,
    /// Lists of lists of maps.
    deep: Option<Vec<Vec<BTreeMap<String, i64>>>>,
}

/// An object.
#[derive(Clone, Schema)]
pub(crate) struct Inner {
    /// What it is called.
    name: String,
    /// How often.
    #[attribute(default = 3_i64)]
    times: i64,
    /// Another object in it.
    inner: Option<Innermost>,
    /// Objects in it by name.
    by_name: Option<BTreeMap<String, Innermost>>,
}

/// The object inside.
#[derive(Clone, Schema)]
pub(crate) struct Innermost {
    /// Anything.
    #[attribute(default = "unset")]
    text: String,
    /// Further.
    rest: Option<Vec<Leafmost>>,
}

/// The last one.
#[derive(Clone, Schema)]
pub(crate) struct Leafmost {
    /// Anything.
    value: Option<String>,
    /// On or off.
    #[attribute(default = true)]
    enabled: bool,
}

/// An object that the provider gives an id.
#[derive(Clone, Schema)]
pub(crate) struct Item {
    /// Assigned by the provider; kept while the object is.
    id: Computed<String>,
    /// What it is called.
    name: String,
    /// Free text.
    #[attribute(default = "none")]
    note: String,
}

fn complete_item(item: &Item) -> ItemState {
    let id = item.id.known().cloned().unwrap_or_else(|| tfplugin_framework::unique_id("item"));
    item.complete(ItemComputed { id })
}

fn complete(nested: &Nested, id: String) -> NestedState {
    let list = nested.list.as_ref().map(|items| items.iter().map(complete_item).collect());
    let map = nested.map.as_ref();
    let map = map.map(|items| items.iter().map(|(key, item)| (key.clone(), complete_item(item))).collect());
    nested.complete(NestedComputed { id, list, map })
}

#[resource(name = "nested")]
impl Resource for Nested {
    type Provider = Corner;

    async fn create(cx: &Context<Corner>, plan: Plan<Self>) -> Result<State<Self>> {
        let id = tfplugin_framework::unique_id("nested");
        let state = complete(&plan, id.clone());
        cx.provider().keep::<Self>(&id, &state)?;
        Ok(state)
    }

    async fn read(cx: &Context<Corner>, state: Stored<Self>) -> Result<Read<Self>> {
        let id = state.id.get()?;
        let Some(object) = cx.provider().kept::<Self>(id)? else { return Ok(Read::Gone) };
        Ok(Read::Found(complete(&object, id.clone())))
    }

    async fn update(cx: &Context<Corner>, prior: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        let id = prior.id.get()?.clone();
        let state = complete(&plan, id.clone());
        cx.provider().keep::<Self>(&id, &state)?;
        Ok(state)
    }

    async fn delete(cx: &Context<Corner>, state: Stored<Self>) -> Result<()> {
        cx.provider().store.remove("nested", state.id.get()?)
    }

    async fn import(cx: &Context<Corner>, id: &str) -> Result<State<Self>> {
        let object =
            cx.provider().kept::<Self>(id)?.ok_or_else(|| Error::invalid("there is no such object"))?;
        Ok(complete(&object, id.to_owned()))
    }
}
