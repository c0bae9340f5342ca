//! A service of the bare protocol without the framework: an honest provider of one resource, whose answers a
//! test spoils before they leave.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_framework::proto::tfplugin6::provider_server::Provider;
use tfplugin_framework::schema::{Members, Type, Value, msgpack};
use tfplugin_testing::client::{Client, Failure, Resource};
use tonic::{Request, Response, Status, async_trait};

/// Spoils a value; the number says which call of its kind it is, from 0.
pub type Spoil = fn(&mut Value, usize);

pub struct Puppet {
    pub schema: pb::get_provider_schema::Response,
    pub plan: Spoil,
    pub replace: &'static [&'static str],
    pub apply: Spoil,
    pub read: Spoil,
    pub import: fn(&mut Vec<pb::import_resource_state::ImportedResource>),
    pub diagnostics: Vec<pb::Diagnostic>,
    pub calls: [AtomicUsize; 3],
}

impl Default for Puppet {
    fn default() -> Puppet {
        let honest: Spoil = |_, _| {};
        Puppet {
            schema: schema(),
            plan: honest,
            replace: &[],
            apply: honest,
            read: honest,
            import: |_| {},
            diagnostics: Vec::new(),
            calls: Default::default(),
        }
    }
}

impl Puppet {
    pub async fn resource(self) -> Result<Resource, Failure> {
        Ok(Client::new(self).await?.resource("puppet_thing"))
    }
}

/// An attribute; `how` has the letters of required, optional, computed, write-only.
pub fn attribute(name: &str, ty: Type, how: &str) -> pb::schema::Attribute {
    pb::schema::Attribute {
        name: name.to_owned(),
        r#type: ty.to_json().into(),
        required: how.contains('r'),
        optional: how.contains('o'),
        computed: how.contains('c'),
        write_only: how.contains('w'),
        ..Default::default()
    }
}

/// A nested attribute.
pub fn nested(name: &str, nesting: i32, attributes: Vec<pb::schema::Attribute>) -> pb::schema::Attribute {
    pb::schema::Attribute {
        r#type: Bytes::new(),
        nested_type: Some(pb::schema::Object { attributes, nesting }),
        ..attribute(name, Type::String, "o")
    }
}

/// A nested block.
pub fn block(name: &str, nesting: i32, attributes: Vec<pb::schema::Attribute>) -> pb::schema::NestedBlock {
    pb::schema::NestedBlock {
        type_name: name.to_owned(),
        block: Some(pb::schema::Block { attributes, ..Default::default() }),
        nesting,
        ..Default::default()
    }
}

pub fn schema() -> pb::get_provider_schema::Response {
    let row = || vec![attribute("port", Type::Number, "r"), attribute("mark", Type::String, "c")];
    let attributes = vec![
        attribute("name", Type::String, "r"),
        attribute("note", Type::String, "o"),
        attribute("token", Type::String, "ow"),
        attribute("id", Type::String, "c"),
        attribute("list", Type::list(Type::String), "o"),
        attribute("tags", Type::set(Type::String), "o"),
        attribute("map", Type::map(Type::String), "o"),
        attribute("any", Type::Dynamic, "oc"),
        nested("one", 1, row()),
        nested("rows", 2, row()),
        nested("bag", 3, row()),
    ];
    let blocks = vec![block("disk", 2, row()), block("rule", 3, row()), block("by_name", 4, row())];
    schema_of(pb::schema::Block { attributes, block_types: blocks, ..Default::default() })
}

pub fn schema_of(block: pb::schema::Block) -> pb::get_provider_schema::Response {
    let schema = pb::Schema { version: 0, block: Some(block) };
    pb::get_provider_schema::Response {
        provider: Some(pb::Schema { version: 0, block: Some(pb::schema::Block::default()) }),
        resource_schemas: [("puppet_thing".to_owned(), schema)].into(),
        server_capabilities: Some(pb::ServerCapabilities { plan_destroy: true, ..Default::default() }),
        ..Default::default()
    }
}

/// Sets an attribute.
pub fn set(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Map(members) = object {
        members.insert(name.to_owned(), value.into());
    }
}

/// The elements of a list.
pub fn elements<'a>(object: &'a mut Value, name: &str) -> &'a mut Vec<Value> {
    let Value::Map(members) = object else { panic!("no object") };
    let Some(Value::List(elements)) = members.get_mut(name) else { panic!("no list {name}") };
    elements
}

// The type is made anew from the schema's message, so that the client's own reading of it is not trusted.
fn ty(block: &pb::schema::Block) -> Type {
    fn object(attributes: &[pb::schema::Attribute], blocks: &[pb::schema::NestedBlock]) -> Type {
        let of = |attribute: &pb::schema::Attribute| match &attribute.nested_type {
            None => Type::from_json(&attribute.r#type).unwrap(),
            Some(nested) => held(nested.nesting, object(&nested.attributes, &[])),
        };
        let attributes = attributes.iter().map(|attribute| (attribute.name.clone(), of(attribute)));
        let blocks = blocks.iter().map(|block| {
            let inner = block.block.as_ref().unwrap();
            (block.type_name.clone(), held(block.nesting, object(&inner.attributes, &inner.block_types)))
        });
        Type::object(attributes.chain(blocks))
    }
    fn held(nesting: i32, ty: Type) -> Type {
        match nesting {
            2 => Type::list(ty),
            3 => Type::set(ty),
            4 => Type::map(ty),
            _ => ty,
        }
    }
    object(&block.attributes, &block.block_types)
}

impl Puppet {
    fn ty(&self) -> Type {
        ty(self.schema.resource_schemas["puppet_thing"].block.as_ref().unwrap())
    }

    fn decode(&self, value: Option<&pb::DynamicValue>) -> Value {
        msgpack::decode(&value.unwrap().msgpack, &self.ty()).unwrap()
    }

    fn encode(&self, value: &Value) -> Option<pb::DynamicValue> {
        let msgpack = msgpack::encode(value, &self.ty()).unwrap().into();
        Some(pb::DynamicValue { msgpack, json: Bytes::new() })
    }

    fn call(&self, kind: usize) -> usize {
        self.calls[kind].fetch_add(1, Ordering::SeqCst)
    }
}

// What is computed and not there: unknown in a plan, made up when applied.
fn fill(value: &mut Value, with: &Value) {
    match value {
        Value::Map(members) => {
            fill_member(members, "id", with);
            fill_member(members, "mark", with);
            members.values_mut().for_each(|inner| fill(inner, with));
        }
        Value::List(elements) => elements.iter_mut().for_each(|element| fill(element, with)),
        Value::Set(set) => {
            let mut elements = std::mem::take(set).into_vec();
            elements.iter_mut().for_each(|element| fill(element, with));
            *value = Value::set(elements);
        }
        _ => {}
    }
}

fn fill_member(members: &mut Members, name: &str, with: &Value) {
    if let Some(member) = members.get_mut(name)
        && (member.is_null() || member.is_unknown())
    {
        *member = with.clone();
    }
}

type Reply<T> = Result<Response<T>, Status>;

#[async_trait]
impl Provider for Puppet {
    async fn get_provider_schema(
        &self,
        _: Request<pb::get_provider_schema::Request>,
    ) -> Reply<pb::get_provider_schema::Response> {
        Ok(Response::new(self.schema.clone()))
    }

    async fn validate_resource_config(
        &self,
        _: Request<pb::validate_resource_config::Request>,
    ) -> Reply<pb::validate_resource_config::Response> {
        let diagnostics = self.diagnostics.clone();
        Ok(Response::new(pb::validate_resource_config::Response { diagnostics }))
    }

    async fn plan_resource_change(
        &self,
        rpc: Request<pb::plan_resource_change::Request>,
    ) -> Reply<pb::plan_resource_change::Response> {
        let rpc = rpc.into_inner();
        let mut planned = self.decode(rpc.proposed_new_state.as_ref());
        fill(&mut planned, &Value::UNKNOWN);
        (self.plan)(&mut planned, self.call(0));
        let step = |name: &&str| pb::AttributePath {
            steps: vec![pb::attribute_path::Step {
                selector: Some(pb::attribute_path::step::Selector::AttributeName((*name).to_owned())),
            }],
        };
        Ok(Response::new(pb::plan_resource_change::Response {
            planned_state: self.encode(&planned),
            requires_replace: self.replace.iter().map(step).collect(),
            planned_private: rpc.prior_private,
            ..Default::default()
        }))
    }

    async fn apply_resource_change(
        &self,
        rpc: Request<pb::apply_resource_change::Request>,
    ) -> Reply<pb::apply_resource_change::Response> {
        let rpc = rpc.into_inner();
        let mut state = self.decode(rpc.planned_state.as_ref());
        fill(&mut state, &Value::from("made"));
        (self.apply)(&mut state, self.call(1));
        let new_state = self.encode(&state);
        Ok(Response::new(pb::apply_resource_change::Response { new_state, ..Default::default() }))
    }

    async fn upgrade_resource_state(
        &self,
        rpc: Request<pb::upgrade_resource_state::Request>,
    ) -> Reply<pb::upgrade_resource_state::Response> {
        let stored = rpc.into_inner().raw_state.unwrap_or_default().json;
        let upgraded_state = Some(pb::DynamicValue { msgpack: Bytes::new(), json: stored });
        Ok(Response::new(pb::upgrade_resource_state::Response { upgraded_state, diagnostics: Vec::new() }))
    }

    async fn read_resource(
        &self,
        rpc: Request<pb::read_resource::Request>,
    ) -> Reply<pb::read_resource::Response> {
        let mut state = self.decode(rpc.into_inner().current_state.as_ref());
        fill(&mut state, &Value::from("made"));
        (self.read)(&mut state, self.call(2));
        let new_state = self.encode(&state);
        Ok(Response::new(pb::read_resource::Response { new_state, ..Default::default() }))
    }

    async fn import_resource_state(
        &self,
        rpc: Request<pb::import_resource_state::Request>,
    ) -> Reply<pb::import_resource_state::Response> {
        let rpc = rpc.into_inner();
        let Type::Object(ty) = self.ty() else { panic!("no object") };
        let mut state = Value::map(ty.attributes.iter().map(|(name, ty)| {
            let none = match (ty, name.as_str()) {
                (Type::List(_), "disk") => Value::list([]),
                (Type::Set(_), "rule") => Value::set([]),
                (Type::Map(_), "by_name") => Value::map::<String>([]),
                _ => Value::Null,
            };
            (name.clone(), none)
        }));
        set(&mut state, "name", rpc.id);
        let state = self.encode(&state);
        let mut imported_resources = vec![pb::import_resource_state::ImportedResource {
            type_name: rpc.type_name,
            state,
            ..Default::default()
        }];
        (self.import)(&mut imported_resources);
        Ok(Response::new(pb::import_resource_state::Response { imported_resources, ..Default::default() }))
    }
}
