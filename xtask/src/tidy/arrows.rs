//! Who may depend on whom, and which crates alone may name a cloud's SDK.

use super::{Finding, Tree};
use crate::workspace::Member;

/// A crate of ours, what it may depend on, what its tests may use besides, and why.
struct Arrow {
    from: &'static str,
    to: &'static [&'static str],
    tests: &'static [&'static str],
    reason: &'static str,
}

const ARROWS: &[Arrow] = &[
    Arrow {
        from: "tfplugin-schema",
        to: &["tfplugin-derive"],
        tests: &[],
        reason: "a runtime that knows nothing of Terraform uses it: no gRPC, no async",
    },
    Arrow {
        from: "tfplugin-derive",
        to: &[],
        tests: &["tfplugin-schema", "tfplugin-framework"],
        reason: "a proc macro emits paths; a dependency would be a cycle",
    },
    Arrow {
        from: "tfplugin-framework",
        to: &["tfplugin-schema", "tfplugin-derive"],
        tests: &["tfplugin-testing"],
        reason: "the protocol, and nothing about who tests or documents it",
    },
    Arrow {
        from: "tfplugin-testing",
        to: &["tfplugin-framework", "tfplugin-schema"],
        tests: &["tfplugin-derive"],
        reason: "it drives any provider, also one not written with our derive",
    },
    Arrow {
        from: "tfplugin-docs",
        to: &["tfplugin-framework", "tfplugin-schema"],
        tests: &["tfplugin-derive"],
        reason: "pages come from schemas alone",
    },
    Arrow {
        from: "terraform-provider-corner",
        to: &["tfplugin-framework", "tfplugin-schema", "tfplugin-docs"],
        tests: &["tfplugin-testing"],
        reason: "a provider as anyone would write it: no test code inside",
    },
    Arrow {
        from: "terraform-provider-first",
        to: &["tfplugin-framework", "tfplugin-docs"],
        tests: &["tfplugin-testing"],
        reason: "the provider of the guide: what the guide does not name is not used",
    },
    Arrow {
        from: "streamverse-model",
        to: &["tfplugin-schema"],
        tests: &[],
        reason: "pure: no I/O, no Terraform, no clock; the runtime and the provider read the same specs",
    },
    Arrow {
        from: "streamverse-compute",
        to: &["streamverse-model"],
        tests: &[],
        reason: "the policy and the trait of clouds: each cloud is a leaf crate that depends on it",
    },
    Arrow {
        from: "streamverse-sites",
        to: &["streamverse-model"],
        tests: &["streamverse-platform", "streamverse-core"],
        reason: "a client of agents and clusters; it runs nothing itself",
    },
    Arrow {
        from: "streamverse-compute-runpod",
        to: &["streamverse-compute", "streamverse-model"],
        tests: &[],
        reason: "a cloud's client knows that cloud alone",
    },
    Arrow {
        from: "terraform-provider-streamverse",
        to: &[
            "tfplugin-framework",
            "tfplugin-docs",
            "tfplugin-schema",
            "streamverse-compute",
            "streamverse-compute-runpod",
            "streamverse-model",
            "streamverse-sites",
        ],
        tests: &["tfplugin-testing"],
        reason: "thin: what may be asked for is in model, how it gets there in sites",
    },
    Arrow {
        from: "streamverse-core",
        to: &["streamverse-model"],
        tests: &[],
        reason: "what every service shares knows no service",
    },
    Arrow {
        from: "streamverse-drm",
        to: &["streamverse-core", "streamverse-model"],
        tests: &[],
        reason: "what holds keys shares nothing with what parses media",
    },
    Arrow {
        from: "streamverse-media",
        to: &["streamverse-core", "streamverse-model"],
        tests: &[],
        reason: "a domain of the runtime: it knows no other domain",
    },
    Arrow {
        from: "streamverse-delivery",
        to: &["streamverse-core", "streamverse-model"],
        tests: &[],
        reason: "a domain of the runtime: it knows no other domain",
    },
    Arrow {
        from: "streamverse-fleet",
        to: &["streamverse-compute", "streamverse-core", "streamverse-model"],
        tests: &[],
        reason: "the controller knows clouds by their trait: which ones there are, the binary says",
    },
    Arrow {
        from: "streamverse-platform",
        to: &["streamverse-core", "streamverse-model"],
        tests: &["streamverse-delivery"],
        reason: "the agent gets its targets and engines from the binary, as a table",
    },
    Arrow {
        from: "streamverse",
        to: &[
            "streamverse-compute",
            "streamverse-compute-runpod",
            "streamverse-core",
            "streamverse-delivery",
            "streamverse-drm",
            "streamverse-fleet",
            "streamverse-media",
            "streamverse-model",
            "streamverse-platform",
            "streamverse-sites",
        ],
        tests: &[],
        reason: "the binary puts the domains together",
    },
    Arrow {
        from: "streamverse-edge",
        to: &["streamverse-core", "streamverse-model"],
        tests: &[],
        reason: "the small binary: no cloud SDK, no librdkafka, no domain",
    },
    Arrow {
        from: "streamverse-acceptance",
        to: &[
            "tfplugin-testing",
            "streamverse-core",
            "streamverse-model",
            "streamverse-sites",
            "streamverse-stand-in",
        ],
        tests: &[
            "streamverse-delivery",
            "streamverse-fleet",
            "streamverse-media",
            "streamverse-platform",
            "streamverse-runpod-stand-in",
        ],
        reason: "it drives binaries as users do; specs and clients only to look behind them",
    },
    Arrow {
        from: "streamverse-stand-in",
        to: &[],
        tests: &[],
        reason: "what stand-ins are made of knows no cloud, and nothing of us",
    },
    Arrow {
        from: "streamverse-runpod-stand-in",
        to: &["streamverse-stand-in"],
        tests: &[
            "streamverse-acceptance",
            "streamverse-compute",
            "streamverse-compute-runpod",
            "streamverse-core",
            "streamverse-fleet",
            "streamverse-model",
            "tfplugin-testing",
        ],
        reason: "a cloud as its description has it: what it stands in for knows nothing of us",
    },
    Arrow {
        from: "streamverse-zones-stand-in",
        to: &[
            "streamverse-compute",
            "streamverse-core",
            "streamverse-fleet",
            "streamverse-model",
            "streamverse-stand-in",
        ],
        tests: &["streamverse-acceptance"],
        reason: "clouds with groups, their adapter, and a controller that is built from the fleet's parts and it",
    },
    Arrow {
        from: "acceptance-tests",
        to: &[
            "tfplugin-testing",
            "tfplugin-framework",
            "tfplugin-schema",
            "tfplugin-docs",
            "terraform-provider-corner",
        ],
        tests: &[],
        reason: "it uses the crates as a provider's author does",
    },
    Arrow {
        from: "tfplugin-bench",
        to: &["tfplugin-framework"],
        tests: &[],
        reason: "it measures providers as their authors write them, and nothing depends on it",
    },
    Arrow {
        from: "streamverse-bench",
        to: &["streamverse-core", "streamverse-delivery", "streamverse-model"],
        tests: &[],
        reason: "it measures binaries as sites run them, the event log as its clients use it, and many channels in one process",
    },
    Arrow {
        from: "streamverse-fleet-bench",
        to: &["streamverse-compute", "streamverse-core", "streamverse-fleet", "streamverse-model"],
        tests: &[],
        reason: "it measures policy and controller with a cloud at hand; the drain agent it runs as a program",
    },
    Arrow { from: "xtask", to: &[], tests: &[], reason: "it must compile in seconds" },
];

/// What tests alone need of ours must not stay in a published manifest: crates that test each other could not be
/// published in any order.
pub(super) fn test_arrows_are_by_path_alone(_: &Tree, members: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members.iter().filter(|member| member.published) {
        for one in member.dependencies.iter().filter(|one| one.dev && one.versioned) {
            let Some(target) = members.iter().find(|member| member.name == one.name) else { continue };
            let text = format!(
                "`{}` in [dev-dependencies] has a version: write `{} = {{ path = \"…/{}\" }}`, or publishing goes in a circle",
                one.name, one.name, target.folder
            );
            findings.push(Finding::new(format!("{}/Cargo.toml", member.folder), text));
        }
    }
    findings
}

/// Beginnings of the names of cloud SDKs.
const SDKS: &[&str] = &["aws-sdk-", "aws-config", "aws-smithy-", "google-cloud-", "gcp-", "azure_", "azure-"];
/// The folder whose crates may use them, one crate per cloud.
const LEAVES: &str = "provider/compute/";

pub(super) fn only_the_listed_ones(_: &Tree, members: &[Member]) -> Vec<Finding> {
    members.iter().flat_map(|member| check(member, members)).collect()
}

fn check(member: &Member, members: &[Member]) -> Vec<Finding> {
    let place = format!("{}/Cargo.toml", member.folder);
    let Some(arrow) = ARROWS.iter().find(|arrow| arrow.from == member.name) else {
        return vec![Finding::new(
            place,
            format!(
                "`{}` has no row in xtask/src/tidy/arrows.rs: say what it may depend on, and why",
                member.name
            ),
        )];
    };
    let ours = member.dependencies.iter().filter(|one| members.iter().any(|member| member.name == one.name));
    // A crate that names itself in its tests only asks for another feature of itself.
    ours.filter(|one| one.name != member.name)
        .filter(|one| {
            !(arrow.to.contains(&one.name.as_str()) || one.dev && arrow.tests.contains(&one.name.as_str()))
        })
        .map(|one| {
            let kind = if one.dev { " in its tests" } else { "" };
            Finding::new(
                &place,
                format!("`{}` must not depend on `{}`{kind}: {}", member.name, one.name, arrow.reason),
            )
        })
        .collect()
}

pub(super) fn cloud_sdks_in_leaf_crates(_: &Tree, members: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members.iter().filter(|member| !member.folder.starts_with(LEAVES)) {
        for one in member.dependencies.iter().filter(|one| SDKS.iter().any(|sdk| one.name.starts_with(sdk))) {
            let text =
                format!("`{}` is a cloud's SDK: only a leaf crate under {LEAVES} may use it", one.name);
            findings.push(Finding::new(format!("{}/Cargo.toml", member.folder), text));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn member(name: &str, folder: &str, dependencies: &[(&str, bool)]) -> Member {
        let dependencies = dependencies
            .iter()
            .map(|(name, dev)| Dependency { name: (*name).to_owned(), dev: *dev, versioned: !dev })
            .collect();
        Member { name: name.to_owned(), folder: folder.to_owned(), dependencies, published: true }
    }

    fn house(schema_needs: &[(&str, bool)]) -> Vec<Finding> {
        let members = [
            member("tfplugin-schema", "provider/schema", schema_needs),
            member("tfplugin-derive", "provider/derive", &[("tfplugin-schema", true), ("syn", false)]),
            member("tfplugin-framework", "provider/framework", &[("tfplugin-schema", false)]),
        ];
        only_the_listed_ones(&Tree::default(), &members)
    }

    #[test]
    fn an_arrow_that_points_back_is_refused_with_its_reason() {
        assert_eq!(house(&[("serde", false), ("tfplugin-derive", false), ("tfplugin-schema", true)]), []);
        let findings = house(&[("tfplugin-framework", false)]);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "provider/schema/Cargo.toml");
        assert!(
            findings[0].text.contains("must not depend on `tfplugin-framework`: a runtime"),
            "{findings:?}"
        );
    }

    #[test]
    fn what_tests_may_use_is_still_refused_outside_tests() {
        let members = [
            member("tfplugin-derive", "provider/derive", &[("tfplugin-schema", false)]),
            member("tfplugin-schema", "provider/schema", &[]),
        ];
        assert_eq!(only_the_listed_ones(&Tree::default(), &members).len(), 1);
    }

    #[test]
    fn a_test_dependency_with_a_version_is_refused_in_a_crate_that_is_published() {
        let mut members = [
            member("tfplugin-schema", "provider/schema", &[]),
            member("tfplugin-derive", "provider/derive", &[("tfplugin-schema", true)]),
        ];
        assert_eq!(test_arrows_are_by_path_alone(&Tree::default(), &members), []);
        members[1].dependencies[0].versioned = true;
        assert_eq!(test_arrows_are_by_path_alone(&Tree::default(), &members).len(), 1);
        members[1].published = false;
        assert_eq!(test_arrows_are_by_path_alone(&Tree::default(), &members), []);
    }

    #[test]
    fn a_new_crate_needs_a_row() {
        let findings =
            only_the_listed_ones(&Tree::default(), &[member("streamverse-new", "provider/new", &[])]);
        assert!(findings[0].text.contains("has no row"), "{findings:?}");
    }

    #[test]
    fn a_cloud_sdk_outside_its_leaf_is_refused() {
        let needs = [("aws-sdk-ec2", false), ("aws-lc-rs", false)];
        let outside =
            cloud_sdks_in_leaf_crates(&Tree::default(), &[member("x", "provider/framework", &needs)]);
        assert_eq!(outside.len(), 1, "{outside:?}");
        let inside =
            cloud_sdks_in_leaf_crates(&Tree::default(), &[member("x", "provider/compute/aws", &needs)]);
        assert_eq!(inside, []);
    }
}
