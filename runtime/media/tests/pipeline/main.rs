//! The whole way of an asset, with the real ffmpeg and Shaka Packager: fetched, encoded, packaged, published; broken and
//! odd sources; workers that are killed.

mod hostile;
mod kit;
mod whole;
