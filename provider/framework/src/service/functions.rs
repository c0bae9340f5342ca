//! Calling functions.

use super::Service;
use super::convert::decode;
use super::guard::{Kind, timed};
use crate::function::{Arguments, Function, FunctionError};
use crate::log::{catch_panic, masked};
use crate::proto::tfplugin6 as pb;
use crate::schema::{Value, msgpack};

impl Service {
    pub(super) async fn call(&self, rpc: pb::call_function::Request) -> pb::call_function::Response {
        let outcome = timed(self.span("CallFunction", Kind::Function, &rpc.name), async {
            match catch_panic(async { self.call_inner(&rpc) }).await {
                Ok(outcome) => outcome,
                Err(panic) => Err(FunctionError::new(
                    self.table.bug(&format!("The function {} panicked: {}", rpc.name, panic.message)),
                )),
            }
        })
        .await;
        match outcome {
            Ok(result) => pb::call_function::Response { result: Some(result), error: None },
            Err(error) => pb::call_function::Response {
                result: None,
                error: Some(pb::FunctionError {
                    text: masked(&error.message).into_owned(),
                    function_argument: error.argument,
                }),
            },
        }
    }

    fn call_inner(&self, rpc: &pb::call_function::Request) -> Result<pb::DynamicValue, FunctionError> {
        let function = self.table.function(&rpc.name).ok_or_else(|| {
            FunctionError::new(format!("This version of the provider has no function {}.", rpc.name))
        })?;
        let arguments = arguments(function, &rpc.arguments)?;
        let result = (function.handler)(Arguments(arguments))?;
        let bytes = msgpack::encode(&result, &function.returns).map_err(|error| {
            FunctionError::new(self.table.bug(&format!(
                "The result of {} {}",
                function.name,
                error.message()
            )))
        })?;
        Ok(pb::DynamicValue { msgpack: bytes.into(), json: bytes::Bytes::new() })
    }
}

fn arguments(function: &Function, given: &[pb::DynamicValue]) -> Result<Vec<Value>, FunctionError> {
    let fixed = function.parameters.len();
    if given.len() < fixed || (given.len() > fixed && function.variadic.is_none()) {
        return Err(FunctionError::new(format!(
            "{} takes {fixed} arguments, not {}.",
            function.name,
            given.len()
        )));
    }
    let parameters = function.parameters.iter().chain(function.variadic.iter().cycle());
    let read = |(index, (value, parameter)): (usize, (&pb::DynamicValue, &crate::function::Parameter))| {
        decode(Some(value), &parameter.ty, "argument")
            .map_err(|error| FunctionError::at(index, error.to_string()))
    };
    given.iter().zip(parameters).enumerate().map(read).collect()
}
