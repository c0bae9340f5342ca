//! Where a walk through a value stands. A [`Path`] owns its names, so it is only made for what is reported;
//! the walk itself keeps a chain of borrowed steps on the stack.

use tfplugin_schema::{Path, Step, Value};

/// A place in a value, as a chain up to the root.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    parent: Option<&'a At<'a>>,
    hop: Hop<'a>,
}

#[derive(Clone, Copy)]
enum Hop<'a> {
    Root,
    Attribute(&'a str),
    Index(usize),
    Key(&'a str),
    Element(&'a Value),
}

impl<'a> At<'a> {
    /// The object itself.
    pub(super) const ROOT: At<'static> = At { parent: None, hop: Hop::Root };

    fn then(&'a self, hop: Hop<'a>) -> At<'a> {
        At { parent: Some(self), hop }
    }

    /// Into an attribute or block.
    pub(super) fn attribute(&'a self, name: &'a str) -> At<'a> {
        self.then(Hop::Attribute(name))
    }

    /// Into a list.
    pub(super) fn index(&'a self, index: usize) -> At<'a> {
        self.then(Hop::Index(index))
    }

    /// Into a map.
    pub(super) fn key(&'a self, key: &'a str) -> At<'a> {
        self.then(Hop::Key(key))
    }

    /// Into a set.
    pub(super) fn element(&'a self, element: &'a Value) -> At<'a> {
        self.then(Hop::Element(element))
    }

    /// The whole path.
    pub(super) fn path(&self) -> Path {
        let mut steps = Vec::new();
        let mut next = Some(self);
        while let Some(at) = next {
            match at.hop {
                Hop::Root => {}
                Hop::Attribute(name) => steps.push(Step::Attribute(name.to_owned())),
                Hop::Index(index) => steps.push(Step::Index(index)),
                Hop::Key(key) => steps.push(Step::Key(key.to_owned())),
                Hop::Element(element) => steps.push(Step::Element(Box::new(element.clone()))),
            }
            next = at.parent;
        }
        steps.into_iter().rev().fold(Path::root(), Path::step)
    }

    /// The path up to the first set on the way: the protocol cannot name elements of sets.
    pub(super) fn path_before_sets(&self) -> Path {
        let mut path = Path::root();
        for step in self.path().steps() {
            if matches!(step, Step::Element(_)) {
                break;
            }
            path.push(step.clone());
        }
        path
    }

    /// The name of the attribute in which this place is, for summaries.
    pub(super) fn name(&self) -> &'a str {
        let mut next = Some(self);
        while let Some(at) = next {
            if let Hop::Attribute(name) = at.hop {
                return name;
            }
            next = at.parent;
        }
        "the object"
    }
}
