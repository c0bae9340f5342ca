//! Everything that the framework promises to do: RPC × behaviour × who must have seen it. In the words of the tests,
//! which note with `.covers(rpc, behaviour)` or `coverage!` what they prove. What stands here and is proved by
//! nobody fails `cargo xtask docs --check`.

use tfplugin_testing::coverage::{IN_PROCESS, InScope};

/// The host is a real command line: both products must have run it.
const CLI: &[&str] = &["terraform", "opentofu"];
/// The host is the test's own process: no command line calls it, or none can be made to.
const KIT: &[&str] = &[IN_PROCESS];

const fn cli(rpc: &'static str, behaviour: &'static str) -> InScope<'static> {
    InScope { rpc, behaviour, hosts: CLI }
}

/// Of command lines that are too old for something; every OpenTofu that we run is new enough.
const fn old(rpc: &'static str, behaviour: &'static str) -> InScope<'static> {
    InScope { rpc, behaviour, hosts: &["terraform"] }
}

const fn kit(rpc: &'static str, behaviour: &'static str) -> InScope<'static> {
    InScope { rpc, behaviour, hosts: KIT }
}

const fn later(rpc: &'static str) -> InScope<'static> {
    InScope { rpc, behaviour: LATER, hosts: KIT }
}

/// What is said of an RPC that a later version of the framework will have.
pub const LATER: &str = "answers Unimplemented";

/// What must be proved, RPC by RPC, in the order of a provider's life.
pub const SCOPE: &[InScope<'static>] = &[
    // Schemas and configuration.
    kit("GetMetadata", "the same as the schemas"),
    kit("GetProviderSchema", "valid by core's rules; truthful capabilities"),
    kit("GetProviderSchema", "core's rules of a valid schema fire"),
    cli("GetProviderSchema", "types, nesting, deprecation and sensitivity arrive"),
    old("GetProviderSchema", "what a command line does not know does not disturb it"),
    kit("ValidateProviderConfig", "errors at attributes"),
    cli("ValidateProviderConfig", "a value of another type is refused"),
    kit("ConfigureProvider", "values may be unknown"),
    cli("ConfigureProvider", "unknown until apply"),
    cli("ConfigureProvider", "a refusal is an error at its attribute"),
    cli("ConfigureProvider", "twenty aliases"),
    // Validation.
    kit("ValidateResourceConfig", "unions, and unknown parts are not judged"),
    kit("ValidateResourceConfig", "a valid configuration passes"),
    kit("ValidateResourceConfig", "errors at attributes"),
    kit("ValidateResourceConfig", "write-only values need a host that knows them"),
    cli("ValidateResourceConfig", "validators at the attribute"),
    cli("ValidateResourceConfig", "rules between attributes"),
    cli("ValidateResourceConfig", "the resource's own validation, at depth"),
    cli("ValidateResourceConfig", "unknown values are not judged"),
    cli("ValidateResourceConfig", "a union has exactly one member"),
    cli("ValidateResourceConfig", "a number that does not fit its type"),
    cli("ValidateResourceConfig", "a panic becomes an error"),
    cli("ValidateResourceConfig", "a secret has exactly one way in"),
    cli("ValidateResourceConfig", "a reference that is none is refused"),
    old("ValidateResourceConfig", "write-only attributes on old command lines name version and way out"),
    // Stored states of earlier versions.
    kit("UpgradeResourceState", "a state of the current version stays as it is"),
    kit("UpgradeResourceState", "a chain of versions, and straight to the current one"),
    kit("UpgradeResourceState", "a newer version, and a state of another shape"),
    kit("UpgradeResourceState", "a flat map of Terraform 0.11 is refused with what to do"),
    cli("UpgradeResourceState", "the current version"),
    cli("UpgradeResourceState", "two old versions, chained"),
    cli("UpgradeResourceState", "a broken old state is an error"),
    // Reading.
    kit("ReadResource", "unknown and write-only values are found"),
    kit("ReadResource", "a failed read keeps the object"),
    kit("ReadResource", "finds what is stored, and what is gone"),
    kit("ReadResource", "an unknown value is named"),
    kit("ReadResource", "unreadable input is an error and loses nothing"),
    cli("ReadResource", "drift found and repaired"),
    cli("ReadResource", "the prior spelling is kept"),
    cli("ReadResource", "private state"),
    cli("ReadResource", "write-only values stay null"),
    // Planning.
    kit("PlanResourceChange", "core's rules of the final plan fire"),
    kit("PlanResourceChange", "core's rules of a valid plan fire"),
    kit("PlanResourceChange", "blocks of every kind, unions, spellings"),
    kit("PlanResourceChange", "create, update and no-op, with defaults at depth"),
    kit("PlanResourceChange", "requires replace"),
    kit("PlanResourceChange", "unknown values become known at apply"),
    kit("PlanResourceChange", "a plan that core would refuse is named with both values"),
    kit("PlanResourceChange", "values may come as JSON"),
    cli("PlanResourceChange", "create, update and destroy"),
    cli("PlanResourceChange", "defaults at depth"),
    cli("PlanResourceChange", "computed values keep their prior value"),
    cli("PlanResourceChange", "computed values inside nested attributes keep their prior value"),
    cli("PlanResourceChange", "changes_with makes computed values unknown"),
    cli("PlanResourceChange", "modify_plan sets, replaces and warns"),
    cli("PlanResourceChange", "refinements promised in a plan"),
    cli("PlanResourceChange", "destroy plans reach modify_plan"),
    cli("PlanResourceChange", "replacement always, if configured, by condition, at depth"),
    cli("PlanResourceChange", "deletion protection"),
    cli("PlanResourceChange", "fixed attributes refuse a change"),
    cli("PlanResourceChange", "another spelling is no change"),
    cli("PlanResourceChange", "null and empty stay different"),
    cli("PlanResourceChange", "unknown set elements stay apart"),
    cli("PlanResourceChange", "decimals and u64 survive"),
    cli("PlanResourceChange", "nested blocks"),
    cli("PlanResourceChange", "core's rules are checked first"),
    cli("PlanResourceChange", "a pending create plans an update in place"),
    cli("PlanResourceChange", "a panic becomes an error"),
    cli("PlanResourceChange", "write-only values are never in the plan"),
    // Applying.
    kit("ApplyResourceChange", "secrets by value and by reference"),
    kit("ApplyResourceChange", "a resource without update"),
    kit("GetProviderSchema", "a resource that could not be updated is refused"),
    kit("CloseEphemeralResource", "what was half opened is closed"),
    kit("ApplyResourceChange", "provider meta and warnings"),
    kit("ApplyResourceChange", "core's rules of a consistent result fire"),
    kit("ApplyResourceChange", "a panic is an error with the resource's name"),
    kit("ApplyResourceChange", "a failed delete keeps the object"),
    kit("ApplyResourceChange", "a failed create keeps what was saved, tainted"),
    kit("ApplyResourceChange", "a deadline ends the handler"),
    kit("ApplyResourceChange", "a create that fails leaves nothing"),
    kit("ApplyResourceChange", "create, update and delete"),
    kit("ApplyResourceChange", "private state goes from plan to apply, to read and back"),
    kit("ApplyResourceChange", "write-only values are not stored"),
    kit("ApplyResourceChange", "a result that differs from the plan is named with both values"),
    kit("ApplyResourceChange", "unknown, absent and mistyped results are named, what exists is kept"),
    kit("ApplyResourceChange", "a resumable create is finished by an update"),
    kit("ApplyResourceChange", "calls at the same time keep their own warnings and private state"),
    kit("ApplyResourceChange", "10 MB values and sets of 10,000 objects"),
    cli("ApplyResourceChange", "create, update and destroy"),
    cli("ApplyResourceChange", "decimals and u64 survive"),
    cli("ApplyResourceChange", "2^80 survives"),
    cli("ApplyResourceChange", "sets correlate"),
    cli("ApplyResourceChange", "unions and enums"),
    cli("ApplyResourceChange", "dynamic attributes"),
    cli("ApplyResourceChange", "the planned spelling is kept"),
    cli("ApplyResourceChange", "a value of 10 MB"),
    cli("ApplyResourceChange", "private state"),
    cli("ApplyResourceChange", "provider meta"),
    cli("ApplyResourceChange", "core's rules are checked first"),
    cli("ApplyResourceChange", "a panic becomes an error"),
    cli("ApplyResourceChange", "partial state after a failed create is kept, tainted"),
    cli("ApplyResourceChange", "a resumable create that fails is continued"),
    cli("ApplyResourceChange", "a resumable create that times out is continued"),
    cli("ApplyResourceChange", "a time-out ends the handler and saves the state"),
    cli("ApplyResourceChange", "throttled calls are tried again"),
    cli("ApplyResourceChange", "a resource written by hand, on values"),
    cli("ApplyResourceChange", "write-only values are never in the state"),
    cli("ApplyResourceChange", "write-only values from ephemeral resources"),
    cli("ApplyResourceChange", "secrets by reference"),
    cli("ApplyResourceChange", "a secret that cannot be read is an error"),
    cli("ApplyResourceChange", "with TF_LOG unset nothing is logged"),
    cli("ApplyResourceChange", "TF_LOG_PROVIDER gives a line with fields for each RPC"),
    cli("ApplyResourceChange", "a provider that dies leaves a state that is true"),
    cli("GetProviderSchema", "in reattach mode"),
    cli("ApplyResourceChange", "in reattach mode"),
    kit("StopProvider", "ends what is running"),
    cli("StopProvider", "in reattach mode the next run works"),
    cli("StopProvider", "Ctrl-C ends a running create and saves the state"),
    cli("StopProvider", "a resumable create that is interrupted is continued"),
    // Import and move.
    kit("ImportResourceState", "by id, then read; the generated configuration plans no change"),
    kit("ImportResourceState", "what does not exist is an error"),
    cli("ImportResourceState", "import by id"),
    cli("ImportResourceState", "import block"),
    cli("ImportResourceState", "generated configuration"),
    cli("ImportResourceState", "an id of nothing is an error"),
    cli("ImportResourceState", "a type without import says so"),
    cli("ImportResourceState", "write-only values stay null"),
    kit("MoveResourceState", "from a type of another provider"),
    kit("MoveResourceState", "a type that is not taken is refused"),
    cli("MoveResourceState", "between types of one provider"),
    cli("MoveResourceState", "from another provider"),
    cli("MoveResourceState", "from a type that is not taken"),
    cli("MoveResourceState", "to a type that takes none"),
    // Data sources, ephemeral resources, functions.
    kit("ValidateDataResourceConfig", "errors at attributes"),
    cli("ValidateDataResourceConfig", "values are validated"),
    kit("ReadDataSource", "reads, computes, and refuses at an attribute"),
    cli("ReadDataSource", "read while planning"),
    cli("ReadDataSource", "read in apply while its configuration is unknown"),
    cli("ReadDataSource", "an error at its attribute says what to do next"),
    cli("ReadDataSource", "timeouts"),
    cli("ReadDataSource", "many at once"),
    kit("ValidateEphemeralResourceConfig", "errors at attributes"),
    cli("ValidateEphemeralResourceConfig", "values are validated"),
    kit("OpenEphemeralResource", "values, and when to renew"),
    cli("OpenEphemeralResource", "opened in plan and apply"),
    cli("OpenEphemeralResource", "an error says what could not be opened"),
    kit("RenewEphemeralResource", "private state and the next time"),
    cli("RenewEphemeralResource", "renewed while apply takes long"),
    kit("CloseEphemeralResource", "private state and warnings"),
    cli("CloseEphemeralResource", "closed after its last use"),
    kit("GetFunctions", "the same as beside the schemas"),
    kit("CallFunction", "variadic, and errors at an argument"),
    cli("CallFunction", "variadic arguments: none, one, many"),
    cli("CallFunction", "dynamic arguments and results"),
    cli("CallFunction", "null arguments"),
    cli("CallFunction", "unknown arguments"),
    cli("CallFunction", "decimals and 2^80 survive"),
    cli("CallFunction", "an error points at its argument"),
    cli("CallFunction", "arguments of another type are refused"),
    cli("CallFunction", "a panic becomes an error"),
    // What a later version will have.
    later("GetResourceIdentitySchemas"),
    later("UpgradeResourceIdentity"),
    later("GenerateResourceConfig"),
    later("ListResource"),
    later("ValidateListResourceConfig"),
    later("ValidateActionConfig"),
    later("PlanAction"),
    later("InvokeAction"),
    later("ValidateStateStoreConfig"),
    later("ConfigureStateStore"),
    later("ReadStateBytes"),
    later("WriteStateBytes"),
    later("LockState"),
    later("UnlockState"),
    later("GetStates"),
    later("DeleteState"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The RPCs of protocol 6.11, from the proto file itself.
    fn rpcs() -> BTreeSet<&'static str> {
        let proto = include_str!("../../provider/framework/proto/tfplugin6.proto");
        let of_line = |line: &'static str| line.trim().strip_prefix("rpc ")?.split(['(', ' ']).next();
        proto.lines().filter_map(of_line).collect()
    }

    #[test]
    fn every_rpc_of_the_protocol_is_in_scope_or_said_to_come_later() {
        let rpcs = rpcs();
        assert_eq!(rpcs.len(), 36);
        let listed: BTreeSet<&str> = SCOPE.iter().map(|what| what.rpc).collect();
        assert_eq!(rpcs.difference(&listed).collect::<Vec<_>>(), Vec::<&&str>::new());
    }

    #[test]
    fn what_comes_later_promises_nothing_else() {
        for what in SCOPE.iter().filter(|what| what.behaviour == LATER) {
            assert_eq!(SCOPE.iter().filter(|other| other.rpc == what.rpc).count(), 1, "{}", what.rpc);
        }
    }

    #[test]
    fn nothing_is_listed_twice() {
        let mut seen = BTreeSet::new();
        for what in SCOPE {
            assert!(seen.insert((what.rpc, what.behaviour)), "{}: {}", what.rpc, what.behaviour);
        }
    }
}
