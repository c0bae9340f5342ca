//! What can be judged at compile time is.
use tfplugin_schema::{Duration, Schema};

/// A cache.
#[derive(Clone, Schema)]
pub struct Cache {
    /// An unfinished expression.
    #[attribute(validate(regex = "^[a-z"))]
    pub name: String,
    /// An unfinished expression for elements.
    #[attribute(validate(each(regex("(", says = "must be nice"))))]
    pub names: Vec<String>,
    /// The length of a number.
    #[attribute(validate(length = 1..=3))]
    pub size: u64,
    /// The range of a text.
    #[attribute(validate(range = 1..=3))]
    pub text: Option<String>,
    /// The range of a duration.
    #[attribute(validate(range = 1..=3))]
    pub lifetime: Duration,
    /// A list that should match.
    #[attribute(validate(regex = "a"))]
    pub list: Vec<String>,
    /// Elements of a bool.
    #[attribute(validate(each(length = 1)))]
    pub flag: bool,
    /// A function without words.
    #[attribute(validate(satisfies(is_nice)))]
    pub nice: String,
}

fn main() {}
