//! What an edge refuses.

use tfplugin_schema::{Diagnostics, Maybe, Path};

use super::ats_edge::{AtsEdgeSpec, AtsEdgeSpecView};

/// Refuses what cannot work. What is not known yet is not judged.
pub fn check(view: &AtsEdgeSpecView, out: &mut Diagnostics) {
    let or = |port: &Maybe<u16>, usual: u16| match port {
        Maybe::Known(port) => Some(*port),
        Maybe::Null => Some(usual),
        Maybe::Unknown => None,
    };
    let http = or(&view.port, 8081);
    let https = view.tls.known().and_then(|tls| or(&tls.port, 8443));
    if let (Some(http), Some(https)) = (http, https)
        && http == https
    {
        out.error_at(
            Path::attribute("tls").attr("port"),
            "One port for two protocols",
            format!("HTTP and HTTPS would both listen on port {http}; tls.port is 8443 where none is given. Choose another for one of them."),
        );
    }
    origins(view, out);
    routes(view, out);
}

/// Each path once, none of our own, and all who answer one asked by one scheme.
fn routes(view: &AtsEdgeSpecView, out: &mut Diagnostics) {
    let mut seen: Vec<&str> = Vec::new();
    for (at, route) in view.routes.known().into_iter().flatten().enumerate() {
        let Some(route) = route.known() else { continue };
        let place = || AtsEdgeSpec::routes().at(at);
        if let Some(path) = route.path.known() {
            if path.starts_with("/_edge/") {
                out.error_at(
                    place().path(),
                    "A path of the edge itself",
                    "What begins with /_edge/ is answered by the edge: its metrics lie there. Give the route another path.",
                );
            }
            if seen.contains(&path.as_str()) {
                out.error_at(
                    place().path(),
                    "A path with two routes",
                    format!("{path} has a route already. Remove one of them; for another replica of the same service there is `fallbacks`."),
                );
            }
            seen.push(path);
        }
        let scheme = route.url.known().and_then(|url| url.split_once("://")).map(|(scheme, _)| scheme);
        for (number, other) in route.fallbacks.known().into_iter().flatten().enumerate() {
            let Some(other) = other.known() else { continue };
            let address = url::Url::parse(other).ok().filter(|it| {
                ["http", "https"].contains(&it.scheme())
                    && it.path() == "/"
                    && !other.ends_with('/')
                    && it.query().is_none()
            });
            let told = match (&address, scheme) {
                (None, _) => "It must be http://HOST:PORT or https://HOST:PORT, without a path.".to_owned(),
                (Some(address), Some(scheme)) if address.scheme() != scheme => {
                    format!("All who answer a route are asked by one scheme, and its `url` is {scheme}://.")
                }
                _ => continue,
            };
            out.error_at(place().fallbacks().at(number), "A fallback that cannot be asked", told);
        }
    }
}

/// All origins are asked the same way: the scheme is the one of the first.
fn origins(view: &AtsEdgeSpecView, out: &mut Diagnostics) {
    let mut first: Option<&str> = None;
    for (at, origin) in view.origins.known().into_iter().flatten().enumerate() {
        let scheme =
            origin.known().and_then(|origin| origin.url.known()).and_then(|url| url.split_once("://"));
        let Some((scheme, _)) = scheme else { continue };
        match first {
            None => first = Some(scheme),
            Some(other) if other != scheme => out.error_at(
                AtsEdgeSpec::origins().at(at).url(),
                "Origins of two schemes",
                format!("An edge asks all its origins by one scheme, and another one is {other}://. Give all of them http:// or all of them https://."),
            ),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tfplugin_schema::Field as _;

    use super::*;

    fn found(change: &serde_json::Value) -> Vec<String> {
        let mut spec = json!({
            "port": 8081, "tls": null, "origins": [{ "url": "http://a:1" }], "policy": "first_live",
            "health_check": null, "storage": "1GiB", "memory": "128MiB", "cache": null, "congestion_control": null,
        });
        for (name, value) in change.as_object().unwrap() {
            spec[name] = value.clone();
        }
        let spec: AtsEdgeSpec = serde_json::from_value(spec).unwrap();
        let view = AtsEdgeSpec::view(&AtsEdgeSpec::write(&spec)).unwrap();
        let mut out = Diagnostics::new();
        check(view.known().unwrap(), &mut out);
        out.iter().map(|it| format!("{}: {}", it.path.clone().unwrap_or_default(), it.summary)).collect()
    }

    #[test]
    fn http_and_https_need_a_port_each() {
        let tls = |port: u16| json!({ "port": 8443, "tls": { "port": port, "certificate": "x" } });
        assert_eq!(found(&tls(8444)), [""; 0]);
        assert_eq!(found(&tls(8443)), ["tls.port: One port for two protocols"]);
    }

    #[test]
    fn a_route_has_a_path_of_its_own_and_fallbacks_like_its_url() {
        let routes = |all: serde_json::Value| found(&json!({ "routes": all }));
        let route = |path: &str, fallback: &str| json!({ "path": path, "url": "http://a:1", "fallbacks": [fallback], "cache": true });
        assert_eq!(routes(json!([route("/a/", "http://b:1"), route("/a/b/", "http://b")])), [""; 0]);
        assert_eq!(
            routes(json!([route("/a/", "http://b:1"), route("/_edge/x/", "https://b"), route("/a/", "b/c")])),
            [
                "routes[1].path: A path of the edge itself",
                "routes[1].fallbacks[0]: A fallback that cannot be asked",
                "routes[2].path: A path with two routes",
                "routes[2].fallbacks[0]: A fallback that cannot be asked"
            ]
        );
    }

    #[test]
    fn origins_are_asked_by_one_scheme() {
        let origins = |urls: &[&str]| {
            let all: Vec<_> = urls.iter().map(|url| json!({ "url": url })).collect();
            found(&json!({ "origins": all }))
        };
        assert_eq!(origins(&["https://a", "https://b:1"]), [""; 0]);
        assert_eq!(
            origins(&["http://a", "http://b", "https://c"]),
            ["origins[2].url: Origins of two schemes"]
        );
    }
}
