//! What a service uses a store for: which addresses serve it, and which resource has them.

/// What a store is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreUse {
    /// Sources, segments, packages.
    Objects,
    /// Work and events.
    EventLog,
    /// Finished assets.
    Catalogue,
    /// What replicas share of what they read.
    Cache,
    /// Content keys.
    Keys,
}

impl StoreUse {
    /// The scheme of a place that a site gives, and those of a remote system.
    pub fn schemes(self) -> &'static [&'static str] {
        match self {
            StoreUse::Objects => &["file", "s3"],
            StoreUse::EventLog => &["embedded", "kafka"],
            StoreUse::Catalogue => &["sqlite", "postgres"],
            StoreUse::Cache => &["memory", "redis", "rediss"],
            StoreUse::Keys => &["keys"],
        }
    }

    /// The resource type whose `url` it is.
    pub fn resource(self) -> &'static str {
        match self {
            StoreUse::Objects => "streamverse_object_store",
            StoreUse::EventLog => "streamverse_event_log",
            StoreUse::Catalogue => "streamverse_catalogue",
            StoreUse::Cache => "streamverse_cache",
            StoreUse::Keys => "streamverse_key_service",
        }
    }

    /// Whether a pod has it too: each process keeps its own in memory. The other places are folders of a host.
    pub fn is_anywhere(self) -> bool {
        self == StoreUse::Cache
    }
}
