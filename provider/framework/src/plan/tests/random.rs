//! Schemas, configurations and completions of plans, made from bytes. Few names and few values, so that things
//! meet. Less input makes simpler things: proptest shrinks well.

use tfplugin_schema::{
    Attribute, AttributeKind, BlockNesting, Members, NestedBlock, Nesting, ObjectSchema, Presence,
    Refinement, Type, Value,
};

/// Bytes to choose by.
pub(super) struct Dice<'a>(pub(super) &'a [u8]);

impl Dice<'_> {
    /// A number below `n`; 0 when the bytes have run out.
    fn below(&mut self, n: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % n
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A schema with nesting up to this depth.
    pub(super) fn schema(&mut self, depth: usize) -> ObjectSchema {
        let mut schema = self.object(depth, false);
        for name in ["x", "y"] {
            if self.one_in(3) {
                let nesting = self.pick(&[
                    BlockNesting::Single,
                    BlockNesting::List,
                    BlockNesting::Set,
                    BlockNesting::Map,
                    BlockNesting::Group,
                ]);
                let object = self.object(depth.saturating_sub(1), nesting == BlockNesting::Set);
                schema = schema.block(NestedBlock::new(name, nesting, object));
            }
        }
        schema
    }

    fn object(&mut self, depth: usize, in_set: bool) -> ObjectSchema {
        let names = &["a", "b", "c", "d"][..=self.below(4)];
        let mut schema = ObjectSchema::new("A thing.");
        for name in names {
            let mut attribute = match self.below(if depth > 0 { 6 } else { 4 }) {
                0 | 1 => Attribute::plain(*name, Type::String),
                2 => Attribute::plain(*name, Type::list(Type::String)),
                3 => Attribute::plain(*name, Type::set(Type::String)),
                _ => {
                    let nesting = self.pick(&[Nesting::Single, Nesting::Set, Nesting::List, Nesting::Map]);
                    let object = self.object(depth - 1, in_set || nesting == Nesting::Set);
                    Attribute::nested(*name, nesting, object)
                }
            };
            attribute.presence = self.pick(&[
                Presence::Required,
                Presence::Computed,
                Presence::Optional,
                Presence::OptionalComputed,
            ]);
            if attribute.presence == Presence::OptionalComputed
                && matches!(attribute.kind, AttributeKind::Plain(Type::String))
                && self.one_in(2)
            {
                attribute.default = Some(Value::from("default"));
            }
            if attribute.presence.is_computed() {
                attribute = match self.below(4) {
                    2 => attribute.changes_with([self.pick(&["a", "b", "c", "d"])]),
                    3 => attribute.changes_with_anything(),
                    _ => attribute,
                };
            }
            attribute.write_only = attribute.presence == Presence::Optional && !in_set && self.one_in(4);
            if self.one_in(4) {
                attribute = attribute.replace();
            }
            schema = schema.attribute(attribute);
        }
        schema
    }

    /// A configuration; with unknown parts if so wished.
    pub(super) fn config(&mut self, schema: &ObjectSchema, unknown: bool) -> Value {
        let mut members = Members::new();
        for attribute in &schema.attributes {
            let value = if attribute.presence == Presence::Computed
                || (attribute.presence != Presence::Required && self.one_in(2))
            {
                Value::Null
            } else {
                self.configured(&attribute.kind, unknown)
            };
            members.insert(attribute.name.clone(), value);
        }
        for block in &schema.blocks {
            let value = match block.nesting {
                BlockNesting::Single if self.one_in(2) => Value::Null,
                BlockNesting::Single | BlockNesting::Group => self.config(&block.object, unknown),
                BlockNesting::List => self.elements(Nesting::List, &block.object, unknown),
                BlockNesting::Set => self.elements(Nesting::Set, &block.object, unknown),
                BlockNesting::Map => self.elements(Nesting::Map, &block.object, unknown),
            };
            members.insert(block.name.clone(), value);
        }
        Value::Map(members)
    }

    fn configured(&mut self, kind: &AttributeKind, unknown: bool) -> Value {
        if unknown && self.one_in(6) {
            return if self.one_in(3) { Value::refined(Refinement::not_null()) } else { Value::UNKNOWN };
        }
        match kind {
            AttributeKind::Plain(Type::List(_)) => {
                Value::list((0..self.below(3)).map(|_| self.text(unknown)).collect::<Vec<_>>())
            }
            AttributeKind::Plain(Type::Set(_)) => {
                Value::set((0..self.below(4)).map(|_| self.text(unknown)).collect::<Vec<_>>())
            }
            AttributeKind::Plain(_) => self.text(false),
            AttributeKind::Nested(Nesting::Single, object) => self.config(object, unknown),
            AttributeKind::Nested(nesting, object) => self.elements(*nesting, object, unknown),
        }
    }

    fn text(&mut self, unknown: bool) -> Value {
        if unknown && self.one_in(4) { Value::UNKNOWN } else { Value::from(self.pick(&["p", "q", "r"])) }
    }

    fn elements(&mut self, nesting: Nesting, object: &ObjectSchema, unknown: bool) -> Value {
        let count = self.below(4);
        let elements: Vec<Value> = (0..count).map(|_| self.config(object, unknown)).collect();
        match nesting {
            Nesting::Set => Value::set(elements),
            Nesting::Map => Value::map(["k", "l", "m"].into_iter().zip(elements)),
            Nesting::List | Nesting::Single => Value::list(elements),
        }
    }

    /// The same with every unknown decided: as configuration, or by the provider. None if elements of a set
    /// became equal by that: a provider must not do so.
    pub(super) fn complete(
        &mut self,
        schema: &ObjectSchema,
        value: &Value,
        by_provider: bool,
    ) -> Option<Value> {
        let Value::Map(members) = value else { return Some(value.clone()) };
        let mut full = Members::new();
        for attribute in &schema.attributes {
            let value = members.get(&attribute.name)?;
            let value = match &attribute.kind {
                _ if attribute.write_only && by_provider => Value::Null,
                kind if value.is_unknown() => self.decide(kind, value, attribute.presence, by_provider)?,
                AttributeKind::Plain(_) => self.complete_texts(value)?,
                AttributeKind::Nested(nesting, object) => {
                    self.complete_nested(*nesting, object, value, by_provider)?
                }
            };
            full.insert(attribute.name.clone(), value);
        }
        for block in &schema.blocks {
            let nesting = match block.nesting {
                BlockNesting::Single | BlockNesting::Group => Nesting::Single,
                BlockNesting::List => Nesting::List,
                BlockNesting::Set => Nesting::Set,
                BlockNesting::Map => Nesting::Map,
            };
            let value =
                self.complete_nested(nesting, &block.object, members.get(&block.name)?, by_provider)?;
            full.insert(block.name.clone(), value);
        }
        Some(Value::Map(full))
    }

    fn decide(
        &mut self,
        kind: &AttributeKind,
        unknown: &Value,
        presence: Presence,
        by_provider: bool,
    ) -> Option<Value> {
        let not_null =
            matches!(unknown, Value::Unknown(Some(_))) || (presence == Presence::Required && !by_provider);
        if !not_null && self.one_in(5) {
            return Some(Value::Null);
        }
        let value = self.configured(kind, false);
        if !by_provider {
            return Some(value);
        }
        // What the provider chooses, it chooses with all that is inside.
        match (kind, value) {
            (AttributeKind::Nested(nesting, object), value) => Some(self.fill(*nesting, object, value)),
            (_, value) => Some(value),
        }
    }

    fn fill(&mut self, nesting: Nesting, object: &ObjectSchema, value: Value) -> Value {
        match (nesting, value) {
            (Nesting::Single, Value::Map(mut members)) => {
                for attribute in &object.attributes {
                    let Some(member) = members.get_mut(&attribute.name) else { continue };
                    if attribute.write_only {
                        *member = Value::Null;
                        continue;
                    }
                    if member.is_null() {
                        *member = self.configured(&attribute.kind, false);
                    }
                    if let AttributeKind::Nested(nesting, object) = &attribute.kind {
                        let inner = std::mem::replace(member, Value::Null);
                        *member = self.fill(*nesting, object, inner);
                    }
                }
                Value::Map(members)
            }
            (Nesting::List, Value::List(elements)) => Value::list(
                elements.into_iter().map(|e| self.fill(Nesting::Single, object, e)).collect::<Vec<_>>(),
            ),
            (Nesting::Set, Value::Set(elements)) => {
                let elements = elements.into_vec().into_iter();
                Value::set(elements.map(|e| self.fill(Nesting::Single, object, e)).collect::<Vec<_>>())
            }
            (Nesting::Map, Value::Map(elements)) => Value::map(
                elements
                    .into_iter()
                    .map(|(k, e)| (k, self.fill(Nesting::Single, object, e)))
                    .collect::<Vec<_>>(),
            ),
            (_, other) => other,
        }
    }

    fn complete_texts(&mut self, value: &Value) -> Option<Value> {
        Some(match value {
            Value::Unknown(_) => self.text(false),
            Value::List(elements) => {
                let elements: Option<Vec<Value>> =
                    elements.iter().map(|element| self.complete_texts(element)).collect();
                Value::list(elements?)
            }
            Value::Set(elements) => {
                let elements: Option<Vec<Value>> =
                    elements.iter().map(|element| self.complete_texts(element)).collect();
                Value::set(elements?)
            }
            other => other.clone(),
        })
    }

    fn complete_nested(
        &mut self,
        nesting: Nesting,
        object: &ObjectSchema,
        value: &Value,
        by_provider: bool,
    ) -> Option<Value> {
        match (nesting, value) {
            (Nesting::Single, value) => self.complete(object, value, by_provider),
            (Nesting::Map, Value::Map(elements)) => {
                let elements: Option<Members> = elements
                    .iter()
                    .map(|(key, element)| Some((key.clone(), self.complete(object, element, by_provider)?)))
                    .collect();
                elements.map(Value::Map)
            }
            (_, Value::List(elements)) => {
                let elements: Option<Vec<Value>> =
                    elements.iter().map(|element| self.complete(object, element, by_provider)).collect();
                elements.map(Value::List)
            }
            (_, Value::Set(elements)) => {
                let completed: Option<Vec<Value>> =
                    elements.iter().map(|element| self.complete(object, element, by_provider)).collect();
                let set = Value::set(completed?);
                let collapsed = set.as_elements().is_some_and(|set| set.len() < elements.len());
                if collapsed && by_provider { None } else { Some(set) }
            }
            (_, other) => Some(other.clone()),
        }
    }
}
