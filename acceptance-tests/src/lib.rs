//! What must be proved with which command line ([`scope`]), and the page that shows who proves it ([`page`]).

pub mod page;
pub mod scope;
