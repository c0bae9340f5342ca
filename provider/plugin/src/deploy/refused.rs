//! What a site did not do, in the words of an error, at the attribute that it is about.

use streamverse_model::platform::{Bundle, Object};
use streamverse_sites::Class as SiteClass;
use tfplugin_framework::schema::Path;
use tfplugin_framework::{Class, Error};

/// Why a site did not take a bundle, at the attribute where it is about one.
pub(crate) fn told(error: streamverse_sites::Error, bundle: &Bundle) -> Error {
    let at = error.field.as_deref().and_then(|pointer| attribute(pointer, bundle));
    let told = asked(error, format!("applying {}", bundle.owner));
    match at {
        Some(at) => told.at(at),
        None => told,
    }
}

/// The attribute that a place in a bundle comes from: specs are flattened, so that `/objects/0/spec/x` is `x`.
fn attribute(pointer: &str, bundle: &Bundle) -> Option<Path> {
    let mut steps = pointer.strip_prefix("/objects/")?.split('/');
    let object = bundle.objects.get(steps.next()?.parse::<usize>().ok()?)?;
    let ports = match object {
        Object::Service(it) => it.ports.as_slice(),
        Object::Engine(it) => it.ports.as_slice(),
        _ => &[],
    };
    match steps.next()? {
        "ports" => {
            let port = ports.get(steps.next()?.parse::<usize>().ok()?)?;
            Some(match port.name.as_str() {
                "https" => Path::attribute("tls").attr("port"),
                "admin-api" => Path::attribute("admin_port"),
                _ => Path::attribute("port"),
            })
        }
        "of" => Some(Path::attribute("target")),
        // What a fleet's job uses first is the spec of its controller.
        "uses" if bundle.owner.kind.as_str() == "runpod-fleet" && steps.next() != Some("1") => {
            Some(Path::attribute("controller"))
        }
        // What other jobs use is the spec of their transcoder.
        "uses" => Some(Path::attribute("transcoder")),
        "replicas" if bundle.owner.kind.as_str() == "transcoder" => Some(Path::attribute("workers")),
        "replicas" => Some(Path::attribute("replicas")),
        // The spec of an asset's job and that of a licence service hold the attributes one step further down.
        "spec" => steps.find(|step| !["asset", "service"].contains(step)).map(Path::attribute),
        _ => None,
    }
}

/// Why a site did not do what it was asked.
#[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(crate) fn asked(error: streamverse_sites::Error, doing: impl Into<String>) -> Error {
    let class = match error.class {
        SiteClass::Unreachable | SiteClass::Retry => Class::Retry,
        SiteClass::Denied => Class::Denied,
        SiteClass::Invalid | SiteClass::Unsupported | SiteClass::Conflict => Class::Invalid,
        SiteClass::Permanent => Class::Permanent,
    };
    let mut wrapped = Error::new(class, error.message.clone()).context(doing);
    if let Some(next) = error.next.clone() {
        wrapped = wrapped.next(next);
    }
    match std::error::Error::source(&error).map(ToString::to_string) {
        Some(cause) => wrapped.because(std::io::Error::other(cause)),
        None => wrapped,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use streamverse_model::platform::Owner;

    use super::*;

    fn bundle(kind: &str, object: serde_json::Value) -> Bundle {
        let owner = Owner::new("demo", kind, "main").unwrap();
        Bundle::new(owner, vec![serde_json::from_value(object).unwrap()])
    }

    #[test]
    fn a_place_in_a_bundle_is_an_attribute() {
        let edge = bundle(
            "ats-edge",
            json!({ "type": "engine", "name": "ats-edge", "engine": "traffic_server", "spec": {},
                "ports": [{ "name": "http", "number": 1 }, { "name": "https", "number": 2 }] }),
        );
        let workers = bundle(
            "transcoder",
            json!({ "type": "service", "name": "t", "target": "transcoder", "spec": {} }),
        );
        let job = bundle(
            "vod-asset",
            json!({ "type": "job", "name": "vod-asset", "target": "vod", "spec": {}, "deadline_seconds": 1 }),
        );
        for (bundle, pointer, wanted) in [
            (&edge, "/objects/0/ports/0/number", Some("port")),
            (&edge, "/objects/0/ports/1/number", Some("tls.port")),
            (&edge, "/objects/0/ports/7/number", None),
            (&edge, "/objects/0/spec/cache/manifests", Some("cache")),
            (&edge, "/objects/0/replicas", Some("replicas")),
            (&workers, "/objects/0/replicas", Some("workers")),
            (&job, "/objects/0/uses", Some("transcoder")),
            (&job, "/objects/0/spec/asset/source/url", Some("source")),
            (&job, "/objects/4/spec/x", None),
            (&job, "/bundle", None),
        ] {
            let found = attribute(pointer, bundle).map(|path| path.to_string());
            assert_eq!(found.as_deref(), wanted, "{pointer}");
        }
    }

    #[test]
    fn what_was_done_is_told() {
        let error =
            || streamverse_sites::Error::new(SiteClass::Permanent, "it is closed").field("/objects/0/uses");
        let job = bundle(
            "vod-asset",
            json!({ "type": "job", "name": "vod-asset", "target": "vod", "spec": {}, "deadline_seconds": 1 }),
        );
        let applying = told(error(), &job);
        assert_eq!(applying.path().map(ToString::to_string).as_deref(), Some("transcoder"));
        let removing = asked(error(), format!("removing {}", job.owner)).diagnostic();
        let text = format!("{} {}", removing.summary, removing.detail).to_lowercase();
        assert!(text.contains("removing") && !text.contains("applying"), "{text}");
    }
}
