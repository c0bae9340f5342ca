//! Everything a provider says that it has, checked as core checks it when it loads a provider.

use std::collections::{BTreeMap, BTreeSet};

use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_framework::schema::Type;

use super::failure::{Failure, Rule, Violation};
use super::schema::{Block, load};
use super::wire::told;

/// The schemas of a provider by type name.
#[derive(Debug)]
pub(super) struct Schemas {
    pub(super) answer: pb::get_provider_schema::Response,
    pub(super) provider: Block,
    pub(super) meta: Option<Block>,
    pub(super) resources: BTreeMap<String, Managed>,
    pub(super) data_sources: BTreeMap<String, Block>,
    pub(super) ephemerals: BTreeMap<String, Block>,
    pub(super) functions: BTreeMap<String, Function>,
}

/// The schema of a managed resource and its version.
#[derive(Debug)]
pub(super) struct Managed {
    pub(super) block: Block,
    pub(super) version: i64,
    pub(super) ty: Type,
}

/// The types of a function.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) parameters: Vec<Parameter>,
    pub(super) variadic: Option<Parameter>,
    pub(super) returns: Type,
}

#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) nullable: bool,
    pub(super) unknown: bool,
}

impl Schemas {
    /// The schemas, or what core would say against them.
    pub(super) fn load(answer: pb::get_provider_schema::Response) -> Result<Schemas, Failure> {
        told("GetProviderSchema", answer.diagnostics.clone())?;
        let mut judge = Judge(Vec::new());
        let provider = judge.block("provider", answer.provider.as_ref(), false);
        let meta = answer.provider_meta.as_ref().map(|meta| judge.block("provider_meta", Some(meta), false));
        let mut resources = BTreeMap::new();
        for (name, schema) in &answer.resource_schemas {
            let block = judge.block(name, Some(schema), true);
            let ty = block.ty();
            resources.insert(name.clone(), Managed { block, version: schema.version, ty });
        }
        let mut sources = |schemas: &BTreeMap<String, pb::Schema>| {
            let each =
                schemas.iter().map(|(name, schema)| (name.clone(), judge.block(name, Some(schema), false)));
            each.collect::<BTreeMap<_, _>>()
        };
        let data_sources = sources(&answer.data_source_schemas);
        let ephemerals = sources(&answer.ephemeral_resource_schemas);
        let mut functions = BTreeMap::new();
        for (name, message) in &answer.functions {
            functions.extend(judge.function(name, message).map(|function| (name.clone(), function)));
        }
        if !judge.0.is_empty() {
            return Err(Failure::broken("GetProviderSchema", judge.0));
        }
        Ok(Schemas { answer, provider, meta, resources, data_sources, ephemerals, functions })
    }

    /// Metadata and schemas must tell the same.
    pub(super) fn check_metadata(&self, metadata: &pb::get_metadata::Response) -> Result<(), Failure> {
        let resources = metadata.resources.iter().map(|one| &one.type_name).collect();
        let data_sources = metadata.data_sources.iter().map(|one| &one.type_name).collect();
        let ephemerals = metadata.ephemeral_resources.iter().map(|one| &one.type_name).collect();
        let functions = metadata.functions.iter().map(|one| &one.name).collect();
        let pairs: [(&str, BTreeSet<&String>, BTreeSet<&String>); 4] = [
            ("resources", resources, self.resources.keys().collect()),
            ("data sources", data_sources, self.data_sources.keys().collect()),
            ("ephemeral resources", ephemerals, self.ephemerals.keys().collect()),
            ("functions", functions, self.functions.keys().collect()),
        ];
        let mut violations = Vec::new();
        for (what, told, has) in pairs {
            if told != has {
                let message = "the metadata names others than the schemas";
                violations.push(Violation {
                    expected: format!("{has:?}"),
                    actual: format!("{told:?}"),
                    ..Violation::new(Rule::InvalidAnswer, what, message)
                });
            }
        }
        if metadata.server_capabilities != self.answer.server_capabilities {
            let message = "the capabilities differ from those beside the schemas";
            violations.push(Violation::new(Rule::InvalidAnswer, "server_capabilities", message));
        }
        if violations.is_empty() { Ok(()) } else { Err(Failure::broken("GetMetadata", violations)) }
    }

    pub(super) fn plan_destroy(&self) -> bool {
        self.answer.server_capabilities.as_ref().is_some_and(|capabilities| capabilities.plan_destroy)
    }
}

struct Judge(Vec<Violation>);

impl Judge {
    fn fault(&mut self, what: &str, fault: impl Into<String>) {
        self.0.push(Violation::new(Rule::InvalidSchema, what, fault));
    }

    fn block(&mut self, what: &str, schema: Option<&pb::Schema>, managed: bool) -> Block {
        match load(schema) {
            Ok(block) => {
                if !managed && block.any(&|attribute| attribute.write_only) {
                    self.fault(what, "only managed resources can have write-only attributes");
                }
                block
            }
            Err(faults) => {
                faults.into_iter().for_each(|fault| self.fault(what, fault));
                Block::default()
            }
        }
    }

    fn function(&mut self, name: &str, message: &pb::Function) -> Option<Function> {
        let returns = message.r#return.as_ref().map(|returns| Type::from_json(&returns.r#type));
        let returns = match returns {
            Some(Ok(ty)) => ty,
            Some(Err(error)) => {
                self.fault(name, format!("the type of its result cannot be read: {error}"));
                return None;
            }
            None => {
                self.fault(name, "there is no type of its result");
                return None;
            }
        };
        let parameters: Vec<_> =
            message.parameters.iter().filter_map(|parameter| self.parameter(name, parameter)).collect();
        let variadic =
            message.variadic_parameter.as_ref().and_then(|parameter| self.parameter(name, parameter));
        let names: BTreeSet<&str> =
            parameters.iter().chain(&variadic).map(|parameter| parameter.name.as_str()).collect();
        if names.len() < parameters.len() + usize::from(variadic.is_some()) {
            self.fault(name, "two parameters have the same name");
        }
        Some(Function { parameters, variadic, returns })
    }

    fn parameter(&mut self, function: &str, message: &pb::function::Parameter) -> Option<Parameter> {
        match Type::from_json(&message.r#type) {
            Ok(ty) => Some(Parameter {
                name: message.name.clone(),
                ty,
                nullable: message.allow_null_value,
                unknown: message.allow_unknown_values,
            }),
            Err(error) => {
                self.fault(function, format!("the type of {} cannot be read: {error}", message.name));
                None
            }
        }
    }
}
