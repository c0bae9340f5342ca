//! Data source `corner_thing`: looks up a thing by its id.

use tfplugin_framework::schema::{Computed, Timeouts};
use tfplugin_framework::{Context, DataSource, Error, Findings, Result, Schema, State, data_source};

use super::thing::Thing;
use crate::Corner;

/// A thing that exists.
#[derive(Clone, Schema)]
pub(crate) struct ThingSource {
    /// Which one.
    id: String,
    /// What it is called.
    name: Computed<String>,
    /// Its size.
    size: Computed<u32>,
    /// How long it may take.
    timeouts: Timeouts,
}

#[data_source(name = "thing")]
impl DataSource for ThingSource {
    type Provider = Corner;

    async fn read(cx: &Context<Corner>, config: Self) -> Result<State<Self>> {
        let Some(thing) = cx.provider().kept::<Thing>(&config.id)? else {
            let missing = Error::invalid(format!("there is no thing {:?}", config.id));
            return Err(missing.at(ThingSource::id()).next("Create it, or correct the id."));
        };
        Ok(config.complete(ThingSourceComputed { name: thing.name.clone(), size: thing.size }))
    }

    fn validate(config: &ThingSourceView, findings: &mut Findings) {
        if config.id.is_known_and(String::is_empty) {
            findings.refuse(ThingSource::id(), "The id is empty", "Things have ids such as thing-1.");
        }
    }
}
