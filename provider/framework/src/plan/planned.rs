//! The rules that Terraform core holds a plan to (`AssertPlanValid`), applied before core sees it.

use tfplugin_schema::{
    Attribute, AttributeKind, BlockNesting, Diagnostics, Members, NestedBlock, Nesting, ObjectSchema,
    Presence, Value,
};

use super::at::At;
use super::blame::{Blame, Kind, Report, show};
use super::tree::NULL;

/// Whether Terraform will accept the plan: what is configured is planned as configured or as it was, and only
/// computed attributes that are not configured have other values.
pub fn check_planned(
    schema: &ObjectSchema,
    prior: &Value,
    config: &Value,
    planned: &Value,
    blame: &Blame<'_>,
) -> Diagnostics {
    let mut check =
        Check { report: Report::new("Invalid plan", blame), said: "planned", kept: false, hidden: false };
    check.whole(schema, prior, config, planned, &At::ROOT);
    check.report.found
}

/// Whether a handler without a plan (data source, ephemeral resource) returned what is configured as it is
/// configured. What the configuration leaves null may be anything.
pub fn check_configured_kept(
    schema: &ObjectSchema,
    config: &Value,
    state: &Value,
    blame: &Blame<'_>,
) -> Diagnostics {
    let mut check =
        Check { report: Report::new("Invalid result", blame), said: "returned", kept: true, hidden: false };
    check.whole(schema, &NULL, config, state, &At::ROOT);
    check.report.found
}

struct Check<'b> {
    report: Report<'b>,
    /// What the provider did with the value.
    said: &'static str,
    /// Whether only what is configured matters.
    kept: bool,
    /// Whether what is looked at stands inside something sensitive.
    hidden: bool,
}

impl Check<'_> {
    fn whole(&mut self, schema: &ObjectSchema, prior: &Value, config: &Value, planned: &Value, at: &At<'_>) {
        match (config, planned) {
            (Value::Map(config), Value::Map(planned)) => {
                self.object(schema, prior.as_map(), config, planned, at);
            }
            (Value::Map(_), planned) => {
                let found = planned.kind();
                let sentence =
                    format!("The configuration wants `{}`, but {} was {}.", at.path(), found, self.said);
                self.report.add(at, &sentence);
            }
            (config, planned) if !equal(config, planned) => {
                let sentence =
                    format!("`{}` was {}, but the configuration does not want it.", at.path(), self.said);
                self.report.add(at, &sentence);
            }
            _ => {}
        }
    }

    fn object(
        &mut self,
        schema: &ObjectSchema,
        prior: Option<&Members>,
        config: &Members,
        planned: &Members,
        at: &At<'_>,
    ) {
        let prior = |name: &str| prior.and_then(|prior| prior.get(name)).unwrap_or(&NULL);
        for attribute in &schema.attributes {
            let name = attribute.name.as_str();
            let config = config.get(name).unwrap_or(&NULL);
            let planned = planned.get(name).unwrap_or(&NULL);
            self.attribute(attribute, prior(name), config, planned, &at.attribute(name));
        }
        for block in &schema.blocks {
            let name = block.name.as_str();
            let config = config.get(name).unwrap_or(&NULL);
            let planned = planned.get(name).unwrap_or(&NULL);
            self.block(block, prior(name), config, planned, &at.attribute(name));
        }
    }

    fn attribute(
        &mut self,
        attribute: &Attribute,
        prior: &Value,
        config: &Value,
        planned: &Value,
        at: &At<'_>,
    ) {
        if attribute.write_only {
            if !planned.is_null() {
                let sentence = format!(
                    "`{}` is write-only and must be null in plan and state, but a value was {}.",
                    at.path(),
                    self.said
                );
                self.report.add(at, &sentence);
            }
            return;
        }
        if equal(planned, config) || (self.kept && config.is_null()) {
            return;
        }
        // The prior value instead of the configured one: the provider says that both mean the same.
        if !prior.is_null() && !config.is_null() && equal(planned, prior) {
            return;
        }
        if attribute.presence == Presence::Computed || (config.is_null() && attribute.presence.is_computed())
        {
            return;
        }
        let outside = self.hidden;
        self.hidden |= attribute.sensitive;
        match &attribute.kind {
            AttributeKind::Nested(nesting, object) if !config.is_null() && !planned.is_null() => {
                self.nested(*nesting, object, [prior, config, planned], at);
            }
            _ => self.differs(attribute, prior, config, planned, at),
        }
        self.hidden = outside;
    }

    fn differs(
        &mut self,
        attribute: &Attribute,
        prior: &Value,
        config: &Value,
        planned: &Value,
        at: &At<'_>,
    ) {
        let show = |value: &Value| show(Kind::of(&attribute.kind), value, self.hidden);
        let (path, said) = (at.path(), self.said);
        let sentence = if config.is_null() {
            format!(
                "`{path}` is not configured, and only a computed attribute may get a value then, but {} was \
                 {said}.",
                show(planned)
            )
        } else if prior.is_null() {
            format!("`{path}` is configured as {}, but {} was {said}.", show(config), show(planned))
        } else {
            format!(
                "`{path}` is configured as {} and was {} before, but {} was {said}.",
                show(config),
                show(prior),
                show(planned)
            )
        };
        self.report.add(at, &sentence);
    }

    fn nested(
        &mut self,
        nesting: Nesting,
        schema: &ObjectSchema,
        [prior, config, planned]: [&Value; 3],
        at: &At<'_>,
    ) {
        match (nesting, config, planned) {
            (Nesting::Single, Value::Map(_), Value::Map(_)) => self.whole(schema, prior, config, planned, at),
            (Nesting::List, Value::List(config), Value::List(planned)) if config.len() == planned.len() => {
                let prior = prior.as_elements().unwrap_or_default();
                for (index, (config, planned)) in config.iter().zip(planned).enumerate() {
                    let prior = prior.get(index).unwrap_or(&NULL);
                    self.whole(schema, prior, config, planned, &at.index(index));
                }
            }
            (Nesting::Map, Value::Map(config), Value::Map(planned)) if config.keys().eq(planned.keys()) => {
                for ((key, config), planned) in config.iter().zip(planned.values()) {
                    let prior = prior.as_map().and_then(|prior| prior.get(key)).unwrap_or(&NULL);
                    self.whole(schema, prior, config, planned, &at.key(key));
                }
            }
            // Elements of sets have no name by which to compare them: core trusts the provider, and so do we.
            (Nesting::Set, Value::Set(config), Value::Set(planned)) => {
                let (least, most) = lengths(planned.as_slice());
                let (fewest, largest) = lengths(config.as_slice());
                if least > largest || most < fewest {
                    self.count(config.len(), planned.len(), at);
                }
            }
            (Nesting::Set, Value::Unknown(_), Value::Set(_)) => {}
            (Nesting::List, Value::List(config), Value::List(planned)) => {
                self.count(config.len(), planned.len(), at);
            }
            (_, config, planned) => {
                let kind = match nesting {
                    Nesting::Single => Kind::Object(schema),
                    Nesting::List | Nesting::Set | Nesting::Map => Kind::Objects(schema),
                };
                let sentence = format!(
                    "`{}` is configured as {}, but {} was {}.",
                    at.path(),
                    show(kind, config, self.hidden),
                    show(kind, planned, self.hidden),
                    self.said
                );
                self.report.add(at, &sentence);
            }
        }
    }

    fn count(&mut self, configured: usize, planned: usize, at: &At<'_>) {
        let (path, said) = (at.path(), self.said);
        let sentence =
            format!("`{path}` is configured with {configured} elements, but {planned} were {said}.");
        self.report.add(at, &sentence);
    }

    fn block(&mut self, block: &NestedBlock, prior: &Value, config: &Value, planned: &Value, at: &At<'_>) {
        if equal(planned, config) {
            return;
        }
        let path = at.path();
        if config.is_unknown() {
            self.report.add(at, &format!("The blocks of `{path}` are not known yet and must stay unknown."));
            return;
        }
        if planned.is_unknown() {
            let sentence =
                format!("The block `{path}` itself must not be unknown; attributes inside it may be.");
            self.report.add(at, &sentence);
            return;
        }
        let nesting = match block.nesting {
            BlockNesting::Single | BlockNesting::Group => {
                return self.whole(&block.object, prior, config, planned, at);
            }
            BlockNesting::List => Nesting::List,
            BlockNesting::Set => Nesting::Set,
            BlockNesting::Map => Nesting::Map,
        };
        if planned.is_null() {
            self.report.add(at, &format!("`{path}` must be empty where there is no block, not null."));
            return;
        }
        // Of blocks in a set core compares not even the number.
        if !config.is_null() && nesting != Nesting::Set {
            self.nested(nesting, &block.object, [prior, config, planned], at);
        }
    }
}

/// The fewest and most elements that a set can come to have: unknown ones may turn out equal.
fn lengths(elements: &[Value]) -> (usize, usize) {
    let all = elements.len();
    if elements.iter().all(Value::is_wholly_known) { (all, all) } else { (all.min(1), all) }
}

/// Whether two values are equal, whatever is known about what is unknown in them.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Unknown(_), Value::Unknown(_)) => true,
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((ka, a), (kb, b))| ka == kb && equal(a, b))
        }
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        // Refinements take part in the order of a set.
        (Value::Set(a), Value::Set(b)) => {
            a == b
                || (a.len() == b.len()
                    && !a.iter().all(Value::is_wholly_known)
                    && Value::set(a.iter().map(unrefined)) == Value::set(b.iter().map(unrefined)))
        }
        (Value::Dynamic(a), Value::Dynamic(b)) => a.ty == b.ty && equal(&a.value, &b.value),
        (a, b) => a == b || (a.is_null() && b.is_null()),
    }
}

fn unrefined(value: &Value) -> Value {
    match value {
        Value::Unknown(_) => Value::UNKNOWN,
        Value::Map(members) => {
            Value::map(members.iter().map(|(name, value)| (name.as_str(), unrefined(value))))
        }
        Value::List(elements) => Value::list(elements.iter().map(unrefined)),
        Value::Set(elements) => Value::set(elements.iter().map(unrefined)),
        Value::Dynamic(dynamic) => Value::dynamic(dynamic.ty.clone(), unrefined(&dynamic.value)),
        other => other.clone(),
    }
}
