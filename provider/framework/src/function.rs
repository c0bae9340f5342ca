//! Functions for HCL expressions: `provider::acme::add(1, 2)` (Terraform 1.8).

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::error::Error;
use crate::schema::{Field, Type, Value};

type Handler = Arc<dyn Fn(Arguments) -> Result<Value, FunctionError> + Send + Sync>;

/// A function. Pure: the same arguments give the same result, at plan and at apply. Written as a Rust function
/// with `#[function]`, or by hand with [`Function::build`].
#[derive(Clone)]
pub struct Function {
    /// Its name in HCL.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// What it does, in Markdown.
    pub description: String,
    /// Why not to use it any more, and what to use instead.
    pub deprecation: Option<String>,
    /// The parameters, in order.
    pub parameters: Vec<Parameter>,
    /// The parameter that takes all further arguments.
    pub variadic: Option<Parameter>,
    /// The type of the result.
    pub returns: Type,
    pub(crate) handler: Handler,
}

/// A parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it means, in Markdown.
    pub description: String,
    /// Its type.
    pub ty: Type,
    /// Whether null is an argument; else a null makes Terraform refuse the call.
    pub nullable: bool,
    /// Whether an unknown is an argument; else the result is unknown without a call.
    pub unknown: bool,
}

/// Why a call failed, and which argument it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// What is wrong and what to do.
    pub message: String,
    /// The argument, from 0.
    pub argument: Option<i64>,
}

impl FunctionError {
    /// About the call as a whole.
    pub fn new(message: impl Into<String>) -> FunctionError {
        FunctionError { message: message.into(), argument: None }
    }

    /// About an argument, from 0.
    pub fn at(argument: usize, message: impl Into<String>) -> FunctionError {
        FunctionError { message: message.into(), argument: i64::try_from(argument).ok() }
    }
}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FunctionError {}

impl From<Error> for FunctionError {
    fn from(error: Error) -> FunctionError {
        FunctionError::new(error.to_string())
    }
}

/// The arguments of a call.
pub struct Arguments(pub(crate) Vec<Value>);

impl Arguments {
    /// An argument. An integer that is none, a duration that is not spelled as one: the error names it.
    pub fn get<T: Field>(&self, index: usize) -> Result<T, FunctionError> {
        T::read(self.value(index)).map_err(|error| FunctionError::at(index, format!("the value {error}")))
    }

    /// An argument of which anything may be null or unknown.
    pub fn maybe<T: Field>(&self, index: usize) -> Result<T::View, FunctionError> {
        T::view(self.value(index)).map_err(|error| FunctionError::at(index, format!("the value {error}")))
    }

    /// All arguments from this one on.
    pub fn rest<T: Field>(&self, first: usize) -> Result<Vec<T>, FunctionError> {
        (first..self.0.len()).map(|index| self.get(index)).collect()
    }

    /// An argument as Terraform gave it.
    pub fn value(&self, index: usize) -> &Value {
        self.0.get(index).unwrap_or(&Value::Null)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A function while it is declared.
pub struct FunctionBuilder<R = ()> {
    name: String,
    summary: String,
    description: String,
    deprecation: Option<String>,
    parameters: Vec<Parameter>,
    variadic: Option<Parameter>,
    returns: PhantomData<fn() -> R>,
}

impl Function {
    /// Begins a declaration.
    pub fn build(name: impl Into<String>) -> FunctionBuilder {
        FunctionBuilder {
            name: name.into(),
            summary: String::new(),
            description: String::new(),
            deprecation: None,
            parameters: Vec::new(),
            variadic: None,
            returns: PhantomData,
        }
    }
}

impl<R> FunctionBuilder<R> {
    /// One sentence.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// What it does, in Markdown.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Why not to use it any more, and what to use instead.
    #[must_use]
    pub fn deprecate(mut self, message: impl Into<String>) -> Self {
        self.deprecation = Some(message.into());
        self
    }

    fn push<T: Field>(mut self, name: &str, description: &str, nullable: bool, unknown: bool) -> Self {
        self.parameters.push(parameter::<T>(name, description, nullable, unknown));
        self
    }

    /// Takes an argument that is known and not null.
    #[must_use]
    pub fn parameter<T: Field>(self, name: &str, description: &str) -> Self {
        self.push::<T>(name, description, false, false)
    }

    /// Takes an argument that may be null.
    #[must_use]
    pub fn nullable_parameter<T: Field>(self, name: &str, description: &str) -> Self {
        self.push::<T>(name, description, true, false)
    }

    /// Takes an argument that may be null or unknown.
    #[must_use]
    pub fn unknown_parameter<T: Field>(self, name: &str, description: &str) -> Self {
        self.push::<T>(name, description, true, true)
    }

    /// Takes any number of further arguments.
    #[must_use]
    pub fn variadic<T: Field>(mut self, name: &str, description: &str) -> Self {
        self.variadic = Some(parameter::<T>(name, description, false, false));
        self
    }

    /// Gives a value of this type.
    #[must_use]
    pub fn returns<T: Field>(self) -> FunctionBuilder<T> {
        FunctionBuilder {
            name: self.name,
            summary: self.summary,
            description: self.description,
            deprecation: self.deprecation,
            parameters: self.parameters,
            variadic: self.variadic,
            returns: PhantomData,
        }
    }
}

impl<R: Field> FunctionBuilder<R> {
    /// What the function does.
    pub fn handler(
        self,
        call: impl Fn(Arguments) -> Result<R::State, FunctionError> + Send + Sync + 'static,
    ) -> Function {
        Function {
            name: self.name,
            summary: self.summary,
            description: self.description,
            deprecation: self.deprecation,
            parameters: self.parameters,
            variadic: self.variadic,
            returns: R::shape().ty(),
            handler: Arc::new(move |arguments| call(arguments).map(|state| R::write(&state))),
        }
    }
}

fn parameter<T: Field>(name: &str, description: &str, nullable: bool, unknown: bool) -> Parameter {
    Parameter {
        name: name.to_owned(),
        description: description.to_owned(),
        ty: T::shape().ty(),
        nullable,
        unknown,
    }
}
