//! The channel as players and other replicas see it.

mod asked;
mod day;
mod forgotten;
mod fuzzed;
mod hostile;
mod mpd;
mod playlist;
mod replicas;
mod rules;
mod truth;
