//! The provider on a node of this host: the real terraform, a real agent, a real Traffic Server, real videos.

mod crash;
mod kit;
mod lifecycle;
mod plan;
mod whole;
