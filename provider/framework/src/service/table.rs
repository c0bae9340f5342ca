//! The tables of a provider by type name, with each schema made when it is first needed, and the answers to
//! what can be asked without calling anything.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::schema;
use crate::data_source::{DataSourceHandler, SourceInfo};
use crate::ephemeral::EphemeralHandler;
use crate::function::Function;
use crate::proto::tfplugin6 as pb;
use crate::provider::ProviderTable;
use crate::resource::{ResourceHandler, ResourceInfo};
use crate::schema::{
    AttributeKind, CheckKind, Diagnostic, Diagnostics, ObjectSchema, Replace, Role, Type, check_schema,
    validate,
};

pub(super) struct Table {
    pub(super) provider: ProviderTable,
    /// The source address: `registry.terraform.io/acme/acme`.
    pub(super) address: String,
    pub(super) config_type: Type,
    pub(super) meta_type: Option<Type>,
    resources: BTreeMap<String, Entry<dyn ResourceHandler, ResourceInfo>>,
    data_sources: BTreeMap<String, Entry<dyn DataSourceHandler, SourceInfo>>,
    ephemerals: BTreeMap<String, Entry<dyn EphemeralHandler, SourceInfo>>,
    duplicates: Vec<String>,
}

/// A handler, and what it says of itself once it was asked.
pub(super) struct Entry<H: ?Sized, I> {
    pub(super) handler: Arc<H>,
    known: OnceLock<(I, Type)>,
}

impl Entry<dyn ResourceHandler, ResourceInfo> {
    pub(super) fn info(&self) -> &(ResourceInfo, Type) {
        self.known.get_or_init(|| {
            let info = self.handler.info();
            let ty = info.schema.ty();
            (info, ty)
        })
    }
}

macro_rules! source_info {
    ($handler:ident) => {
        impl Entry<dyn $handler, SourceInfo> {
            pub(super) fn info(&self) -> &(SourceInfo, Type) {
                self.known.get_or_init(|| {
                    let info = self.handler.info();
                    let ty = info.schema.ty();
                    (info, ty)
                })
            }
        }
    };
}
source_info!(DataSourceHandler);
source_info!(EphemeralHandler);

impl Table {
    pub(super) fn new(provider: ProviderTable, address: String) -> Table {
        let mut duplicates = Vec::new();
        let mut resources = BTreeMap::new();
        for handler in &provider.resources {
            insert(&mut resources, handler.type_name(), handler, &mut duplicates);
        }
        let mut data_sources = BTreeMap::new();
        for handler in &provider.data_sources {
            insert(&mut data_sources, handler.type_name(), handler, &mut duplicates);
        }
        let mut ephemerals = BTreeMap::new();
        for handler in &provider.ephemerals {
            insert(&mut ephemerals, handler.type_name(), handler, &mut duplicates);
        }
        Table {
            config_type: provider.config.ty(),
            meta_type: provider.meta.as_ref().map(crate::schema::ObjectSchema::ty),
            provider,
            address,
            resources,
            data_sources,
            ephemerals,
            duplicates,
        }
    }

    pub(super) fn resource(
        &self,
        name: &str,
    ) -> Result<&Entry<dyn ResourceHandler, ResourceInfo>, Diagnostic> {
        find(&self.resources, name, "resource")
    }

    pub(super) fn data_source(
        &self,
        name: &str,
    ) -> Result<&Entry<dyn DataSourceHandler, SourceInfo>, Diagnostic> {
        find(&self.data_sources, name, "data source")
    }

    pub(super) fn ephemeral(
        &self,
        name: &str,
    ) -> Result<&Entry<dyn EphemeralHandler, SourceInfo>, Diagnostic> {
        find(&self.ephemerals, name, "ephemeral resource")
    }

    pub(super) fn function(&self, name: &str) -> Option<&Function> {
        self.provider.functions.iter().find(|function| function.name == name)
    }

    // What is announced is what works: moves only where a resource takes any.
    fn capabilities(&self) -> pb::ServerCapabilities {
        pb::ServerCapabilities {
            plan_destroy: true,
            get_provider_schema_optional: true,
            move_resource_state: self.provider.resources.iter().any(|handler| handler.takes_over()),
            generate_resource_config: false,
        }
    }

    pub(super) fn metadata(&self) -> pb::get_metadata::Response {
        use pb::get_metadata::{DataSourceMetadata, EphemeralMetadata, FunctionMetadata, ResourceMetadata};
        let functions = self.provider.functions.iter();
        pb::get_metadata::Response {
            server_capabilities: Some(self.capabilities()),
            resources: self
                .resources
                .keys()
                .cloned()
                .map(|type_name| ResourceMetadata { type_name })
                .collect(),
            data_sources: self
                .data_sources
                .keys()
                .cloned()
                .map(|type_name| DataSourceMetadata { type_name })
                .collect(),
            ephemeral_resources: self
                .ephemerals
                .keys()
                .cloned()
                .map(|type_name| EphemeralMetadata { type_name })
                .collect(),
            functions: functions.map(|function| FunctionMetadata { name: function.name.clone() }).collect(),
            ..Default::default()
        }
    }

    pub(super) fn functions(&self) -> pb::get_functions::Response {
        pb::get_functions::Response { functions: self.function_schemas(), diagnostics: Vec::new() }
    }

    fn function_schemas(&self) -> BTreeMap<String, pb::Function> {
        let functions = self.provider.functions.iter();
        functions.map(|function| (function.name.clone(), schema::function(function))).collect()
    }

    /// All schemas. What core would refuse is refused here, with what to do. The transport keeps the encoded
    /// answer, so this is asked once for each process.
    pub(super) fn schemas(&self) -> pb::get_provider_schema::Response {
        let mut findings = Diagnostics::new();
        let mut check = |what: String, object: &crate::schema::ObjectSchema, kind: CheckKind| {
            for finding in check_schema(object, kind) {
                findings.error(format!("Invalid schema of {what}"), self.bug(&finding.to_string()));
            }
        };
        check("the provider block".to_owned(), &self.provider.config, CheckKind::Provider);
        let mut resource_schemas = BTreeMap::new();
        let mut stuck = Vec::new();
        for (name, entry) in &self.resources {
            let (info, _) = entry.info();
            check(name.clone(), &info.schema, CheckKind::Resource { resumable: info.resumable });
            if !info.updatable
                && let Some(path) = changes_in_place(&info.schema)
            {
                stuck.push((name.clone(), path));
            }
            resource_schemas.insert(name.clone(), schema::schema(&info.schema, info.version));
        }
        let mut data_source_schemas = BTreeMap::new();
        for (name, entry) in &self.data_sources {
            let (info, _) = entry.info();
            check(name.clone(), &info.schema, CheckKind::DataSource);
            data_source_schemas.insert(name.clone(), schema::schema(&info.schema, 0));
        }
        let mut ephemeral_resource_schemas = BTreeMap::new();
        for (name, entry) in &self.ephemerals {
            let (info, _) = entry.info();
            check(name.clone(), &info.schema, CheckKind::Ephemeral);
            ephemeral_resource_schemas.insert(name.clone(), schema::schema(&info.schema, 0));
        }
        for (name, path) in stuck {
            let what =
                format!("{path} can change, but {name} has no `update`: write one, or mark it `replace`.");
            findings.error(format!("Invalid schema of {name}"), self.bug(&what));
        }
        for name in &self.duplicates {
            findings.error(format!("{name} is there twice"), self.bug("Two parts have the same name."));
        }
        for name in self.resources.keys().chain(self.data_sources.keys()).chain(self.ephemerals.keys()) {
            if !name.starts_with(&format!("{}_", self.provider.name)) {
                findings.error(
                    format!("{name} does not begin with {}_", self.provider.name),
                    self.bug("Terraform finds the provider of a resource by this prefix."),
                );
            }
        }
        pb::get_provider_schema::Response {
            provider: Some(schema::schema(&self.provider.config, 0)),
            provider_meta: self.provider.meta.as_ref().map(|meta| schema::schema(meta, 0)),
            resource_schemas,
            data_source_schemas,
            ephemeral_resource_schemas,
            functions: self.function_schemas(),
            diagnostics: super::convert::diagnostics(&findings),
            server_capabilities: Some(self.capabilities()),
            ..Default::default()
        }
    }

    /// The text of an error for which the provider's author is to blame.
    pub(super) fn bug(&self, what: &str) -> String {
        format!(
            "{what}\n\nThis is a bug in the provider {}, not in your configuration. Please report it at {}.",
            self.address, self.provider.issues
        )
    }
}

/// An attribute that the configuration may change without needing another object. Deadlines and protection are
/// none: they change nothing of the object itself, and need no handler.
fn changes_in_place(object: &ObjectSchema) -> Option<String> {
    let attribute = object.attributes.iter().find_map(|attribute| {
        let needs_update = attribute.presence.is_configurable()
            && !attribute.write_only
            && attribute.fixed.is_none()
            && attribute.role == Role::None
            && !matches!(attribute.replace, Replace::Always);
        match &attribute.kind {
            AttributeKind::Nested(_, inner) if needs_update => {
                changes_in_place(inner).map(|path| format!("{}.{path}", attribute.name))
            }
            _ => needs_update.then(|| attribute.name.clone()),
        }
    });
    attribute.or_else(|| {
        object
            .blocks
            .iter()
            .find_map(|block| changes_in_place(&block.object).map(|path| format!("{}.{path}", block.name)))
    })
}

fn insert<H: ?Sized, I>(
    table: &mut BTreeMap<String, Entry<H, I>>,
    name: String,
    handler: &Arc<H>,
    duplicates: &mut Vec<String>,
) {
    let entry = Entry { handler: Arc::clone(handler), known: OnceLock::new() };
    if table.insert(name.clone(), entry).is_some() {
        duplicates.push(name);
    }
}

fn find<'a, T>(table: &'a BTreeMap<String, T>, name: &str, what: &str) -> Result<&'a T, Diagnostic> {
    table.get(name).ok_or_else(|| {
        let near = validate::nearest(name, table.keys().map(String::as_str));
        let hint = near.map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
        Diagnostic::error(
            format!("There is no {what} {name}"),
            format!("This version of the provider does not have it.{hint}"),
        )
    })
}
