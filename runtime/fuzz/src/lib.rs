//! What must hold of anything that strangers send to the runtime: functions of bytes that panic when it does not.

pub mod licence_request;
pub mod playlist_query;
pub mod schedule;
pub mod token;
