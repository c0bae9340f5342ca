//! Instances of one name. A cloud that knows no names has two after an answer was lost; one of them enrolled, and what is heard under the name is
//! its alone.

use std::collections::{HashMap, HashSet};

use streamverse_compute::cloud::Instance;
use streamverse_model::compute::{CloudKind, InstanceName};

use super::look::CloudLook;
use super::view::worker_name;
use crate::workers::Workers;

/// The ids of those that nobody hears, as their worker runs on another instance of the name. Who does not say where it runs, or names an instance
/// that is not listed, is heard for each of its name: a cloud may call an instance otherwise from within.
pub(super) fn unheard(looks: &HashMap<CloudKind, CloudLook>, workers: &dyn Workers) -> HashSet<String> {
    let mut unheard = HashSet::new();
    for look in looks.values() {
        let mut first: HashMap<&InstanceName, &Instance> = HashMap::new();
        let mut several: HashMap<&InstanceName, Vec<&Instance>> = HashMap::new();
        for one in look.instances.iter().flatten() {
            let Some(name) = &one.name else { continue };
            let other = *first.entry(name).or_insert(one);
            if other.id != one.id {
                several.entry(name).or_insert_with(|| vec![other]).push(one);
            }
        }
        for all in several.into_values() {
            let said = all.first().and_then(|it| workers.instance(&worker_name(it)));
            let Some(said) = said.filter(|said| all.iter().any(|it| it.id == *said)) else { continue };
            unheard.extend(all.iter().map(|it| it.id.clone()).filter(|it| *it != said));
        }
    }
    unheard
}
