//! Jobs that tests hand to a site themselves.

use serde_json::Value;
use streamverse_model::platform::{JobObject, Name, Object, Resources};

/// The job `look`: it looks at what its spec names.
///
/// # Panics
/// Never: its name is one.
#[allow(clippy::expect_used, reason = "it is written here")]
pub fn look(spec: Value) -> Object {
    Object::Job(JobObject {
        name: Name::parse("look").expect("a name"),
        target: "probe".to_owned(),
        spec,
        uses: Vec::new(),
        credentials: Vec::new(),
        reach: Vec::new(),
        resources: Resources::default(),
        retries: 0,
        deadline_seconds: 60,
    })
}
