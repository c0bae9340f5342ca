//! What Terraform core demands of a plan (its `AssertPlanValid`, written anew): configured values as they are
//! configured or as they were before, other values only where the provider decides, no write-only values,
//! blocks as the configuration has them.

use tfplugin_framework::schema::{BlockNesting, Nesting, Path, Step, Value};

use super::failure::Rule;
use super::findings::{Findings, correlate};
use super::render::within;
use super::schema::{Attribute, Block, Kind, NestedBlock};

/// Whether `planned` is a plan that core takes for this configuration and prior state.
pub(super) fn check(block: &Block, prior: &Value, config: &Value, planned: &Value, findings: &mut Findings) {
    Walk { findings }.object(block, prior, config, planned, &mut Path::root());
}

struct Walk<'a> {
    findings: &'a mut Findings,
}

impl Walk<'_> {
    // False where there is nothing to go into.
    fn presence(&mut self, config: &Value, planned: &Value, at: &Path) -> bool {
        match (config.is_null(), planned.is_null()) {
            (true, true) => return false,
            (true, false) => {
                self.findings.differs(
                    at,
                    "planned to exist, but the configuration has none",
                    config,
                    planned,
                );
            }
            (false, true) => {
                self.findings.differs(at, "planned to be absent, but it is configured", config, planned);
            }
            (false, false) if planned.is_unknown() && !config.is_unknown() => {
                let message = "planned as unknown, but it is configured; only computed values inside may be";
                self.findings.differs(at, message, config, planned);
            }
            (false, false) => return !planned.is_unknown(),
        }
        false
    }

    fn object(&mut self, block: &Block, prior: &Value, config: &Value, planned: &Value, at: &mut Path) {
        if !self.presence(config, planned, at) {
            return;
        }
        for attribute in &block.attributes {
            let name = &attribute.name;
            within(at, Step::Attribute(name.clone()), |at| {
                self.attribute(attribute, prior.get(name), config.get(name), planned.get(name), at);
            });
        }
        for nested in &block.blocks {
            let name = &nested.name;
            within(at, Step::Attribute(name.clone()), |at| {
                self.block(nested, prior.get(name), config.get(name), planned.get(name), at);
            });
        }
    }

    fn attribute(
        &mut self,
        attribute: &Attribute,
        prior: &Value,
        config: &Value,
        planned: &Value,
        at: &mut Path,
    ) {
        if attribute.write_only {
            if !planned.is_null() {
                self.findings.wrong(at, "a value is planned for the write-only attribute; it must be null");
            }
            return;
        }
        if same(planned, config) || (!config.is_null() && !prior.is_null() && same(planned, prior)) {
            return;
        }
        match &attribute.kind {
            _ if config.is_null() => {
                if !attribute.computed {
                    let message =
                        "a value is planned for an attribute that is neither configured nor computed";
                    self.findings.differs(at, message, config, planned);
                }
            }
            Kind::Nested(nesting, block) if !config.is_unknown() => {
                let nesting = match nesting {
                    Nesting::Single => BlockNesting::Single,
                    Nesting::List => BlockNesting::List,
                    Nesting::Set => BlockNesting::Set,
                    Nesting::Map => BlockNesting::Map,
                };
                self.nested(block, nesting, prior, config, planned, at);
            }
            _ => {
                let message = if prior.is_null() {
                    "planned otherwise than configured"
                } else {
                    "planned neither as configured nor as it was"
                };
                self.findings.differs(at, message, config, planned);
            }
        }
    }

    fn block(&mut self, nested: &NestedBlock, prior: &Value, config: &Value, planned: &Value, at: &mut Path) {
        if config.is_unknown() {
            // A dynamic block whose elements are not known yet.
            if !planned.is_unknown() {
                self.findings.differs(at, "blocks that are not known yet must stay unknown", config, planned);
            }
            return;
        }
        if !matches!(nested.nesting, BlockNesting::Single | BlockNesting::Group) && planned.is_null() {
            self.findings.differs(at, "no blocks are an empty collection, not null", config, planned);
            return;
        }
        self.nested(&nested.block, nested.nesting, prior, config, planned, at);
    }

    fn nested(
        &mut self,
        block: &Block,
        nesting: BlockNesting,
        prior: &Value,
        config: &Value,
        planned: &Value,
        at: &mut Path,
    ) {
        if matches!(nesting, BlockNesting::Single | BlockNesting::Group) {
            return self.object(block, prior, config, planned, at);
        }
        if !self.presence(config, planned, at) {
            return;
        }
        match (config, planned) {
            (Value::List(said), Value::List(elements)) => {
                if said.len() != elements.len() {
                    let message =
                        format!("{} elements are planned, {} configured", elements.len(), said.len());
                    self.findings.differs(at, message, config, planned);
                    return;
                }
                let before = prior.as_elements().unwrap_or_default();
                for (index, (config, planned)) in said.iter().zip(elements).enumerate() {
                    let prior = before.get(index).unwrap_or(&Value::Null);
                    within(at, Step::Index(index), |at| self.object(block, prior, config, planned, at));
                }
            }
            (Value::Map(said), Value::Map(elements)) => {
                for key in elements.keys().filter(|key| !said.contains_key(*key)) {
                    within(at, Step::Key(key.clone()), |at| {
                        self.findings.wrong(at, "planned, but not configured");
                    });
                }
                for (key, config) in said {
                    within(at, Step::Key(key.clone()), |at| match elements.get(key) {
                        Some(planned) => self.object(block, prior.get(key), config, planned, at),
                        None => self.findings.wrong(at, "configured, but not planned"),
                    });
                }
            }
            (Value::Set(said), Value::Set(elements)) => {
                if said.len() != elements.len() {
                    let message =
                        format!("{} elements are planned, {} configured", elements.len(), said.len());
                    self.findings.differs(at, message, config, planned);
                    return;
                }
                let before = prior.as_elements().unwrap_or_default();
                correlate(said.as_slice(), elements.as_slice(), at, self.findings, |config, planned| {
                    // Which element it was before nobody can say, so a prior spelling of any will do.
                    let fits = |prior: &Value| {
                        let mut inner = Findings::of(Rule::InvalidPlan);
                        check(block, prior, config, planned, &mut inner);
                        inner.is_empty()
                    };
                    fits(&Value::Null) || before.binary_search(planned).is_ok_and(|at| fits(&before[at]))
                });
            }
            _ => self.findings.differs(at, "planned as another kind of value", config, planned),
        }
    }
}

/// Whether core takes the two for the same: what is known about unknown values does not count.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Unknown(_), Value::Unknown(_)) => true,
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Map(left), Value::Map(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        // The canonical order has the refinements in it; elements that are alike without them stand together.
        (Value::Set(one), Value::Set(other)) => {
            left == right || (one.len() == other.len() && bare(left) == bare(right))
        }
        (Value::Dynamic(left), Value::Dynamic(right)) => {
            left.ty == right.ty && same(&left.value, &right.value)
        }
        _ => left == right,
    }
}

/// The value without what is known about its unknowns.
fn bare(value: &Value) -> Value {
    match value {
        Value::Unknown(_) => Value::UNKNOWN,
        Value::List(elements) => Value::List(elements.iter().map(bare).collect()),
        Value::Set(elements) => Value::set(elements.iter().map(bare)),
        Value::Map(members) => {
            Value::Map(members.iter().map(|(name, value)| (name.clone(), bare(value))).collect())
        }
        Value::Dynamic(dynamic) => Value::dynamic(dynamic.ty.clone(), bare(&dynamic.value)),
        known => known.clone(),
    }
}
