//! The channel as players and other replicas see it.

mod look;
mod playlist;
mod replicas;
mod rules;
