//! `corner_validated`: every kind of refusal, of values and between attributes; and what is deprecated.

use tfplugin_framework::schema::Computed;
use tfplugin_framework::{Findings, Schema};

use crate::kept::kept;

/// Values with limits.
#[derive(Clone, Schema)]
#[schema(exactly_one_of(by_name, by_number), required_together(user, group))]
pub(crate) struct Validated {
    /// Assigned by the provider.
    id: Computed<String>,
    /// A DNS label.
    #[attribute(validate(length = 1..=63, regex = r"^[a-z0-9-]+$"))]
    label: String,
    /// A port.
    #[attribute(validate(range = 1..=65_535))]
    port: Option<u32>,
    /// One of a few.
    #[attribute(validate(one_of = ["tcp", "udp", "quic"]))]
    protocol: Option<String>,
    /// Not twice the same.
    #[attribute(validate(unique, length = ..=5))]
    tags: Option<Vec<String>>,
    /// One way to say which.
    by_name: Option<String>,
    /// The other way.
    by_number: Option<u32>,
    /// With `group` only.
    user: Option<String>,
    /// With `user` only.
    group: Option<String>,
    /// Needed for QUIC.
    #[attribute(required_when(protocol = "quic"))]
    certificate: Option<String>,
    /// Not together with `port`.
    #[attribute(conflicts_with = [port])]
    socket: Option<String>,
    /// Rules at any depth.
    rules: Option<Vec<ValidatedRule>>,
    /// The former name of `label`.
    #[attribute(deprecated = "Use `label` instead.")]
    title: Option<String>,
}

/// A rule with limits.
#[derive(Clone, Schema)]
pub(crate) struct ValidatedRule {
    /// From this port.
    #[attribute(validate(range = 1..=65_535))]
    from: u32,
    /// Up to this port.
    to: u32,
}

kept!("validated", Validated, ValidatedComputed, {
    fn validate(config: &ValidatedView, findings: &mut Findings) {
        for (index, rule) in config.rules.known().into_iter().flatten().enumerate() {
            let Some(rule) = rule.known() else { continue };
            if let (Some(from), Some(to)) = (rule.from.known(), rule.to.known())
                && from > to
            {
                findings.refuse(
                    Validated::rules().at(index).to(),
                    "An empty range of ports",
                    "`to` must not be below `from`.",
                );
            }
        }
        if config.port.is_known_and(|port| *port == 80) {
            findings.warn(Validated::port(), "Port 80 is not encrypted", "Use 443 with a certificate.");
        }
    }
});
