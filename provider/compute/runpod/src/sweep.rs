//! What a deployment has at RunPod, whoever made it and whatever state knows of it.

use serde::de::DeserializeOwned;
use streamverse_model::compute::PREFIX;

use crate::client::{Client, Limit};
use crate::error::{Class, Error};
use crate::{Endpoint, Kind, NetworkVolume, Pod, Registry, RemoteName, Standing, Template};

/// Something that a deployment has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Belonging {
    /// What it is called in sentences.
    pub what: &'static str,
    /// RunPod's identifier.
    pub id: String,
    /// Its name, which says whose it is.
    pub name: String,
}

impl Client {
    /// Everything that is there of a deployment, what uses other things before what is used; and why a kind could not be listed.
    pub async fn belongings(&self, deployment: &str, limit: Limit) -> (Vec<Belonging>, Vec<Error>) {
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        for found in [
            self.of::<Endpoint>(deployment, limit).await,
            self.of::<Pod>(deployment, limit).await,
            self.of::<Template>(deployment, limit).await,
            self.of::<Registry>(deployment, limit).await,
            self.of::<NetworkVolume>(deployment, limit).await,
        ] {
            match found {
                Ok(found) => all.extend(found),
                Err(fault) => faults.push(fault),
            }
        }
        (all, faults)
    }

    async fn of<K: Kind + DeserializeOwned>(
        &self,
        deployment: &str,
        limit: Limit,
    ) -> Result<Vec<Belonging>, Error> {
        let found = self.there::<K>(|name| belongs(name, deployment), limit).await?;
        let of = |it: K| Belonging { what: K::WHAT, id: it.id().to_owned(), name: it.name().to_owned() };
        Ok(found.into_iter().map(of).collect())
    }

    /// Deletes it. One that is gone is no error.
    ///
    /// # Errors
    /// Calls that fail: RunPod refuses for what a pod still uses.
    pub async fn give_back(&self, it: &Belonging, limit: Limit) -> Result<(), Error> {
        match it.what {
            Pod::WHAT => self.delete::<Pod>(&it.id, limit).await,
            Endpoint::WHAT => self.delete::<Endpoint>(&it.id, limit).await,
            Template::WHAT => self.delete::<Template>(&it.id, limit).await,
            Registry::WHAT => self.delete::<Registry>(&it.id, limit).await,
            NetworkVolume::WHAT => self.delete::<NetworkVolume>(&it.id, limit).await,
            other => return Err(Error::new(Class::Invalid, "DELETE", format!("there is no kind {other:?}"))),
        }?;
        Ok(())
    }
}

/// Whether a name is one of this deployment's: of a resource, or of a fleet's pod.
fn belongs(name: &str, deployment: &str) -> bool {
    let of_fleet = name.strip_prefix(PREFIX).and_then(|it| it.split_once("--"));
    of_fleet.is_some_and(|(of, _)| of == deployment)
        || matches!(RemoteName::standing(name, deployment), Standing::Ours(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_carries_the_deployment_belongs_to_it() {
        for ours in ["sv--prod--encode--d-l4--7", "streamverse.prod.main", "streamverse.prod.main_1f -fb"] {
            assert!(belongs(ours, "prod"), "{ours}");
        }
        for other in [
            "sv--prod-2--encode--d--1",
            "sv--pro--encode--d--1",
            "streamverse.prod-2.main",
            "prod",
            "sv--prod",
            "xsv--prod--a",
        ] {
            assert!(!belongs(other, "prod"), "{other}");
        }
    }
}
