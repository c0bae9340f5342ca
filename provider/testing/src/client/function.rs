//! Calling functions: what core sees to before and after a call.

use serde_json::Value as Json;
use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_framework::schema::Value;

use super::config::typed;
use super::failure::{Failure, FunctionRefusal, Rule, Violation};
use super::render::{show, to_json, unknown};
use super::{Client, wire};

impl Client {
    /// Calls a function twice, since the same arguments must give the same result. What a function refuses is
    /// [`Failure::Function`]. As in HCL, an argument that is unknown and may not be makes the result unknown
    /// without a call.
    pub async fn call_function(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = Json>,
    ) -> Result<Json, Failure> {
        let function = self.schemas.functions.get(name);
        let function =
            function.ok_or_else(|| Failure::Config(format!("the provider has no function {name}")))?;
        let arguments: Vec<Json> = arguments.into_iter().collect();
        let (given, fixed) = (arguments.len(), function.parameters.len());
        if given < fixed || (given > fixed && function.variadic.is_none()) {
            return Err(Failure::Config(format!("{name} has {fixed} parameters and was given {given}")));
        }
        let parameters = function.parameters.iter().chain(function.variadic.iter().cycle());
        let mut wholly_known = true;
        let mut encoded = Vec::with_capacity(given);
        for (argument, parameter) in arguments.iter().zip(parameters) {
            let value = typed(argument, &parameter.ty)?;
            if value.is_null() && !parameter.nullable {
                return Err(Failure::Config(format!("{name}: {} must not be null", parameter.name)));
            }
            if !value.is_wholly_known() && !parameter.unknown {
                return Ok(unknown());
            }
            wholly_known &= value.is_wholly_known();
            encoded.push(wire::encode(&value, &parameter.ty)?);
        }
        let first = self.call_once(name, &encoded).await?;
        let again = self.call_once(name, &encoded).await?;
        if first != again {
            let message = "two calls with the same arguments gave two results";
            return Err(Failure::broken(
                "CallFunction",
                vec![Violation {
                    expected: show(&first),
                    actual: show(&again),
                    ..Violation::new(Rule::ImpureFunction, name, message)
                }],
            ));
        }
        if wholly_known && !first.is_wholly_known() {
            let message = "the result is unknown, though all arguments are known";
            return Err(Failure::broken(
                "CallFunction",
                vec![Violation {
                    actual: show(&first),
                    ..Violation::new(Rule::InvalidObject, name, message)
                }],
            ));
        }
        Ok(to_json(&first))
    }

    async fn call_once(&self, name: &str, arguments: &[pb::DynamicValue]) -> Result<Value, Failure> {
        const RPC: &str = "CallFunction";
        let function = self.schemas.functions.get(name);
        let function =
            function.ok_or_else(|| Failure::Config(format!("the provider has no function {name}")))?;
        let request = pb::call_function::Request { name: name.to_owned(), arguments: arguments.to_vec() };
        let call = async { self.rpc().call_function(request).await };
        let answer = self.call(RPC, call).await?;
        if let Some(error) = answer.error {
            let outside = error
                .function_argument
                .is_some_and(|index| usize::try_from(index).map_or(true, |index| index >= arguments.len()));
            if outside {
                let message =
                    format!("the error is about argument {:?}, which was not given", error.function_argument);
                return Err(Failure::broken(RPC, vec![Violation::new(Rule::InvalidAnswer, name, message)]));
            }
            let refusal = FunctionRefusal {
                name: name.to_owned(),
                text: error.text,
                argument: error.function_argument,
            };
            return Err(Failure::Function(Box::new(refusal)));
        }
        if answer.result.is_none() {
            let message = "there is neither a result nor an error";
            return Err(Failure::broken(RPC, vec![Violation::new(Rule::InvalidAnswer, name, message)]));
        }
        wire::decode(RPC, answer.result.as_ref(), &function.returns)
    }

    /// The answer to GetFunctions, which must be the functions that stand beside the schemas.
    pub async fn functions(&self) -> Result<pb::get_functions::Response, Failure> {
        const RPC: &str = "GetFunctions";
        let call = async { self.rpc().get_functions(pb::get_functions::Request {}).await };
        let answer = self.call(RPC, call).await?;
        wire::told(RPC, answer.diagnostics.clone())?;
        if answer.functions != self.schemas.answer.functions {
            let message = "the functions differ from those beside the schemas";
            return Err(Failure::broken(
                RPC,
                vec![Violation::new(Rule::InvalidAnswer, "functions", message)],
            ));
        }
        Ok(answer)
    }
}
