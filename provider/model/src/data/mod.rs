//! Databases, logs and caches of other people that we set up.
