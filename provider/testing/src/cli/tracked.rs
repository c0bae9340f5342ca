//! One value followed from step to step: an id that an update keeps and a replacement changes.

use std::{cell::RefCell, rc::Rc};

use serde_json::Value;

use super::{StateCheck, StateJson};
use crate::json::{bounded, same};

/// Remembers a value of the state at each of its checks, and compares it with the one before.
///
/// ```no_run
/// # use tfplugin_testing::cli::{Case, Cli, Failure, Step, Tracked};
/// # fn case(cli: &Cli, one: &str, updated: &str, replaced: &str) -> Result<(), Failure> {
/// let id = Tracked::new("acme_cache.a", "id");
/// Case::new(cli)
///     .step(Step::apply(one).state(id.noted()))
///     .step(Step::apply(updated).state(id.unchanged()))
///     .step(Step::apply(replaced).state(id.changed()))
///     .run()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tracked {
    address: String,
    path: String,
    last: Rc<RefCell<Option<Value>>>,
}

impl Tracked {
    /// The value at `path` of the resource at `address`.
    pub fn new(address: &str, path: &str) -> Self {
        Self { address: address.to_owned(), path: path.to_owned(), last: Rc::default() }
    }

    /// Remembers it, whatever it is.
    pub fn noted(&self) -> StateCheck<'static> {
        self.check(|_, _| true, "")
    }

    /// It is what it was at the check before.
    pub fn unchanged(&self) -> StateCheck<'static> {
        self.check(|last, now| last.is_some_and(|last| same(last, now)), "the same value as before")
    }

    /// It is not what it was at the check before.
    pub fn changed(&self) -> StateCheck<'static> {
        self.check(|last, now| last.is_some_and(|last| !same(last, now)), "another value than before")
    }

    fn check(
        &self,
        holds: fn(Option<&Value>, &Value) -> bool,
        expected: &'static str,
    ) -> StateCheck<'static> {
        let Self { address, path, last } = self.clone();
        StateCheck::new(move |state: &StateJson| {
            let now = state.get(&address, &path)?.clone();
            let before = last.replace(Some(now.clone()));
            if holds(before.as_ref(), &now) {
                return Ok(());
            }
            let before = before.as_ref().map_or_else(|| "never noted".to_owned(), bounded);
            Err(format!("{address} `{path}`: expected {expected}, before {before}, now {}", bounded(&now))
                .into())
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(id: u32) -> StateJson {
        let resources = json!([{"address": "x.a", "values": {"id": id}}]);
        StateJson(json!({"values": {"root_module": {"resources": resources}}}))
    }

    #[test]
    fn a_value_is_compared_with_the_one_of_the_check_before() {
        let id = Tracked::new("x.a", "id");
        let error = id.unchanged().run(&state(1)).unwrap_err().to_string();
        assert_eq!(error, "x.a `id`: expected the same value as before, before never noted, now 1");
        id.unchanged().run(&state(1)).unwrap();
        id.changed().run(&state(2)).unwrap();
        assert!(id.changed().run(&state(2)).is_err());
        assert!(id.unchanged().run(&state(3)).is_err());
    }
}
