//! The keys of log fields. They are the ones of providers written in Go, so that one search finds the lines of all.
//!
//! In a macro they stand in braces: `tracing::debug!({ keys::RESOURCE_TYPE } = name, "Reading.")`.

/// The RPC, such as `PlanResourceChange`.
pub const RPC: &str = "tf_rpc";
/// Different for each request.
pub const REQUEST_ID: &str = "tf_req_id";
/// How long the request took, in milliseconds.
pub const REQUEST_DURATION_MS: &str = "tf_req_duration_ms";
/// The provider's source address.
pub const PROVIDER_ADDRESS: &str = "tf_provider_addr";
/// The protocol's version, such as `6.11`.
pub const PROTOCOL_VERSION: &str = "tf_proto_version";
/// The managed resource's type.
pub const RESOURCE_TYPE: &str = "tf_resource_type";
/// The data source's type.
pub const DATA_SOURCE_TYPE: &str = "tf_data_source_type";
/// The ephemeral resource's type.
pub const EPHEMERAL_RESOURCE_TYPE: &str = "tf_ephemeral_resource_type";
/// The list resource's type.
pub const LIST_RESOURCE_TYPE: &str = "tf_list_resource_type";
/// The action's type.
pub const ACTION_TYPE: &str = "tf_action_type";
/// The function's name.
pub const FUNCTION: &str = "tf_function";
/// Where in the configuration, such as `pool[0].size`.
pub const ATTRIBUTE_PATH: &str = "tf_attribute_path";
/// How many errors the answer carries.
pub const ERROR_COUNT: &str = "diagnostic_error_count";
/// How many warnings the answer carries.
pub const WARNING_COUNT: &str = "diagnostic_warning_count";
/// What went wrong.
pub const ERROR: &str = "error";
