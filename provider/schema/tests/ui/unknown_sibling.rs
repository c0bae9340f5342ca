//! Fields that are named must be there.
use tfplugin_schema::{Computed, Schema, Secret};

/// What every cache has.
#[derive(Clone, Schema)]
pub struct Spec {
    /// Its size.
    pub size: u64,
}

/// A cache.
#[derive(Clone, Schema)]
#[schema(exactly_one_of(name, lables), required_together(name, password), at_least_one_of(name))]
pub struct Cache {
    /// What it has.
    #[attribute(flatten)]
    pub spec: Spec,
    /// Its name.
    #[attribute(conflicts_with = [zone], requires = [spec])]
    pub name: Option<String>,
    /// Its labels.
    #[attribute(required_when(nme = "x"))]
    pub labels: Option<String>,
    /// Its password.
    pub password: Secret<String>,
    /// Its address.
    #[attribute(changes_with = [nam, labels])]
    pub address: Computed<String>,
    /// Its other address.
    #[attribute(changes_with = all)]
    pub other: Computed<String>,
    /// Not computed.
    #[attribute(changes_with = [name])]
    pub note: String,
}

/// A cache whose attribute comes from elsewhere.
#[derive(Clone, Schema)]
pub struct Flat {
    /// What it has.
    #[attribute(flatten)]
    pub spec: Spec,
    /// Its address.
    #[attribute(changes_with = [spec.sise])]
    pub address: Computed<String>,
}

fn main() {}
