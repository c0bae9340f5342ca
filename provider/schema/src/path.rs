//! Where a value stands inside an object: the steps that lead to it.

use std::fmt;

use crate::Value;

/// One step into a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Into an attribute or nested block by name.
    Attribute(String),
    /// Into a list or tuple by position, from 0.
    Index(usize),
    /// Into a map by key.
    Key(String),
    /// Into a set by the element itself. The protocol cannot say this: on the wire the path ends before it.
    Element(Box<Value>),
}

/// Where a value stands inside an object. Displays as HCL would spell it: `rules[3].port`, `labels["a"]`.
///
/// Written with types as `TokenCache::rules().at(3).port()`; by hand as
/// `Path::attribute("rules").index(3).attr("port")`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    steps: Vec<Step>,
}

impl Path {
    /// The object itself.
    pub fn root() -> Path {
        Path::default()
    }

    /// A top-level attribute.
    pub fn attribute(name: impl Into<String>) -> Path {
        Path::root().attr(name)
    }

    /// This path, then an attribute.
    #[must_use]
    pub fn attr(self, name: impl Into<String>) -> Path {
        self.step(Step::Attribute(name.into()))
    }

    /// This path, then a position in a list.
    #[must_use]
    pub fn index(self, index: usize) -> Path {
        self.step(Step::Index(index))
    }

    /// This path, then a key of a map.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Path {
        self.step(Step::Key(key.into()))
    }

    /// This path, then an element of a set.
    #[must_use]
    pub fn element(self, element: Value) -> Path {
        self.step(Step::Element(Box::new(element)))
    }

    /// This path, then one step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Path {
        self.steps.push(step);
        self
    }

    /// This path, then all steps of another.
    #[must_use]
    pub fn join(mut self, rest: &Path) -> Path {
        self.steps.extend(rest.steps.iter().cloned());
        self
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether this is the object itself.
    pub fn is_root(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether `self` is `ancestor` or stands inside it.
    pub fn is_within(&self, ancestor: &Path) -> bool {
        self.steps.starts_with(&ancestor.steps)
    }

    /// Adds a step; for walks that share one path.
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Takes the last step off; for walks that share one path.
    pub fn pop(&mut self) -> Option<Step> {
        self.steps.pop()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            match step {
                Step::Attribute(name) if i == 0 => f.write_str(name)?,
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
                // The element is not shown: it may hold what nobody should read.
                Step::Element(_) => f.write_str("[…]")?,
            }
        }
        Ok(())
    }
}

impl From<&Path> for Path {
    fn from(path: &Path) -> Path {
        path.clone()
    }
}
