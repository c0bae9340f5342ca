//! The origin: packages from the object store over HTTP (target `origin`).
//!
//! | path | answer |
//! |---|---|
//! | `/vod/ASSET/hls.m3u8`, `/vod/ASSET/dash.mpd`, `/vod/ASSET/thumbnails.vtt` | 302 to the generation that is shown |
//! | `/vod/ASSET/GENERATION/…` | an object, which never changes |
//! | `/catalogue.json` | what is shown |
//! | `/livez`, `/readyz`, `/metrics` | as everywhere |
//!
//! When the catalogue or the store is away, what is known is served on and said to be stale (RFC 5861); `/readyz` stays
//! 200 as long as there is something to serve, so that edges do not give up an origin that can still help.

pub(crate) mod conditions;
pub(crate) mod cors;
mod objects;
mod range;
mod service;
mod shown;

pub use service::ORIGIN;

#[cfg(test)]
mod kit;
#[cfg(test)]
mod tests;
