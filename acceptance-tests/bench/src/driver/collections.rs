//! Large collections through the service, without a command line and without a wire: what is ours alone.

use std::time::Instant;

use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_framework::proto::tfplugin6::provider_server::Provider as _;
use tfplugin_framework::schema::{ObjectSchema, Type, Value, msgpack};
use tfplugin_framework::{Schema, Service};
use tonic::Request;

use super::row::{Row, Samples};
use super::{Outcome, Setup, tell};
use crate::providers::{ADDRESS, Bench, BenchConfig, collections};

const SIZES: [usize; 3] = [1_000, 3_000, 10_000];
/// For ten thousand objects, in seconds.
const GOAL: f64 = 0.5;
/// How much more an element may cost among ten thousand than among a thousand.
const NEAR_LINEAR: f64 = 1.5;

/// The messages of one resource type.
pub struct Messages {
    type_name: &'static str,
    ty: Type,
}

impl Messages {
    /// Of this struct's schema.
    pub fn new<S: Schema>(type_name: &'static str) -> Messages {
        Messages { type_name, ty: S::object().ty() }
    }

    fn encode(&self, value: &Value) -> Outcome<Option<pb::DynamicValue>> {
        encode(value, &self.ty)
    }

    /// Reads a value.
    pub fn decode(&self, value: Option<&pb::DynamicValue>) -> Outcome<Value> {
        let bytes = value.map(|value| value.msgpack.clone()).unwrap_or_default();
        Ok(msgpack::decode(&bytes, &self.ty).map_err(|error| error.to_string())?)
    }

    /// Configures the provider with nothing.
    pub fn configure(&self) -> Outcome<pb::configure_provider::Request> {
        let object: ObjectSchema = BenchConfig::object();
        let nothing = Value::map([("label", Value::Null)]);
        let config = encode(&nothing, &object.ty())?;
        Ok(pb::configure_provider::Request {
            terraform_version: "1.11.4".to_owned(),
            config,
            client_capabilities: None,
        })
    }

    /// Judges a configuration.
    pub fn validate(&self, config: &Value) -> Outcome<pb::validate_resource_config::Request> {
        Ok(pb::validate_resource_config::Request {
            type_name: self.type_name.to_owned(),
            config: self.encode(config)?,
            client_capabilities: None,
        })
    }

    /// Plans. What core proposes is the configuration over what is stored.
    pub fn plan(
        &self,
        prior: Option<pb::DynamicValue>,
        config: &Value,
    ) -> Outcome<pb::plan_resource_change::Request> {
        let config = self.encode(config)?;
        Ok(pb::plan_resource_change::Request {
            type_name: self.type_name.to_owned(),
            prior_state: match prior {
                None => self.encode(&Value::Null)?,
                prior => prior,
            },
            proposed_new_state: config.clone(),
            config,
            ..Default::default()
        })
    }

    /// Applies.
    pub fn apply(
        &self,
        prior: Option<pb::DynamicValue>,
        config: &Value,
        planned: Option<pb::DynamicValue>,
    ) -> Outcome<pb::apply_resource_change::Request> {
        Ok(pb::apply_resource_change::Request {
            type_name: self.type_name.to_owned(),
            prior_state: match prior {
                None => self.encode(&Value::Null)?,
                prior => prior,
            },
            planned_state: planned,
            config: self.encode(config)?,
            ..Default::default()
        })
    }

    /// An error where there should be none.
    pub fn clean(diagnostics: &[pb::Diagnostic]) -> Outcome<()> {
        match diagnostics.first() {
            None => Ok(()),
            Some(first) => Err(format!("{}: {}", first.summary, first.detail).into()),
        }
    }
}

fn encode(value: &Value, ty: &Type) -> Outcome<Option<pb::DynamicValue>> {
    let bytes = msgpack::encode(value, ty).map_err(|error| error.to_string())?;
    Ok(Some(pb::DynamicValue { msgpack: bytes.into(), ..Default::default() }))
}

/// A configuration with a text of so many bytes.
pub fn large_text(bytes: usize) -> Value {
    Value::map([
        ("id", Value::Null),
        ("items", Value::Null),
        ("text", Value::String("0123456789".repeat(bytes / 10))),
    ])
}

fn item(number: usize) -> Value {
    Value::map([
        ("name", Value::String(format!("item-{number:05}"))),
        ("port", Value::from(number % 60_000)),
        ("zones", Value::set([Value::String("a".to_owned()), Value::String("b".to_owned())])),
        ("enabled", Value::Null),
    ])
}

fn config(items: Value) -> Value {
    Value::map([("id", Value::Null), ("items", items), ("text", Value::Null)])
}

/// What the collection is called, its messages, and how one of so many elements is made.
type Kind = (&'static str, Messages, fn(usize) -> Value);

/// Measures.
pub async fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let service = Service::of::<Bench>(ADDRESS);
    let kinds: [Kind; 3] = [
        ("set", Messages::new::<collections::Set>("bench_set"), |count| Value::set((0..count).map(item))),
        ("list", Messages::new::<collections::List>("bench_list"), |count| Value::list((0..count).map(item))),
        ("map", Messages::new::<collections::Map>("bench_map"), |count| {
            Value::map((0..count).map(|number| (format!("key-{number:05}"), item(number))))
        }),
    ];
    let mut rows = Vec::new();
    for (kind, messages, make) in kinds {
        service.configure_provider(Request::new(messages.configure()?)).await?;
        let mut each = Vec::new();
        for size in SIZES {
            let config = config(make(size));
            let mut samples = Samples::default();
            for _ in 0..setup.repetitions(9) {
                samples.push(life(&service, &messages, &config).await?);
            }
            tell(format!("{kind} of {size}: {:.3} s", samples.median()));
            let mut row =
                Row::new(format!("{kind} of {size} objects, planned and applied"), samples.median(), "s")
                    .note(format!("{} s: validate, plan, apply through the service", samples.spread(3)));
            if size == 10_000 {
                row = row.goal(GOAL);
            }
            rows.push(row);
            // The least is what the machine can do; others' work is in the rest.
            each.push(samples.min() / size as f64 * 1e6);
        }
        if let [few, _, many] = each[..] {
            rows.push(
                Row::new(format!("{kind}: an element of 10,000 / of 1,000"), many, "µs")
                    .against(few)
                    .goal(NEAR_LINEAR)
                    .note("best of the repetitions; 1 is linear"),
            );
        }
    }
    Ok(rows)
}

/// Validates, plans and applies; what the host does is not counted.
async fn life(service: &Service, messages: &Messages, config: &Value) -> Outcome<f64> {
    let mut seconds = 0.0;
    let mut lap = |started: Instant| seconds += started.elapsed().as_secs_f64();

    let request = messages.validate(config)?;
    let started = Instant::now();
    let valid = service.validate_resource_config(Request::new(request)).await?.into_inner();
    lap(started);
    Messages::clean(&valid.diagnostics)?;

    let request = messages.plan(None, config)?;
    let started = Instant::now();
    let planned = service.plan_resource_change(Request::new(request)).await?.into_inner();
    lap(started);
    Messages::clean(&planned.diagnostics)?;

    let request = messages.apply(None, config, planned.planned_state)?;
    let started = Instant::now();
    let applied = service.apply_resource_change(Request::new(request)).await?.into_inner();
    lap(started);
    Messages::clean(&applied.diagnostics)?;

    // Not counted, but a bench of something wrong measures nothing.
    let again = messages.plan(applied.new_state.clone(), config)?;
    let again = service.plan_resource_change(Request::new(again)).await?.into_inner();
    Messages::clean(&again.diagnostics)?;
    if again.planned_state != applied.new_state {
        return Err("the second plan is not empty".into());
    }
    Ok(seconds)
}
