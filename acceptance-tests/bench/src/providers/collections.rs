//! `bench_set`, `bench_list`, `bench_map`: one large collection of objects each, and a text of any length.

use std::collections::{BTreeMap, BTreeSet};

use tfplugin_framework::schema::Computed;
use tfplugin_framework::{Context, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use super::Bench;

/// An element.
#[derive(Clone, Schema, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// What it is called.
    name: String,
    /// The port.
    port: u16,
    /// Where it is.
    zones: Option<BTreeSet<String>>,
    /// Whether it counts.
    #[attribute(default = true)]
    enabled: bool,
}

macro_rules! collection {
    ($name:ident, $computed:ident, $state:ident, $label:literal, $items:ty) => {
        /// A large collection.
        #[derive(Clone, Schema)]
        pub struct $name {
            /// Assigned by the provider.
            id: Computed<String>,
            /// Many objects.
            items: Option<$items>,
            /// A text of any length.
            text: Option<String>,
        }

        #[resource(name = $label)]
        impl Resource for $name {
            type Provider = Bench;

            async fn create(_: &Context<Bench>, plan: Plan<Self>) -> Result<State<Self>> {
                Ok(plan.complete($computed { id: $label.to_owned() }))
            }

            async fn read(_: &Context<Bench>, _: Stored<Self>) -> Result<Read<Self>> {
                Ok(Read::Unchanged)
            }

            async fn update(_: &Context<Bench>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
                Ok(plan.complete($computed { id: $label.to_owned() }))
            }

            async fn delete(_: &Context<Bench>, _: Stored<Self>) -> Result<()> {
                Ok(())
            }
        }
    };
}
collection!(Set, SetComputed, SetState, "set", BTreeSet<Item>);
collection!(List, ListComputed, ListState, "list", Vec<Item>);
collection!(Map, MapComputed, MapState, "map", BTreeMap<String, Item>);
