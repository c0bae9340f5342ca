//! Paths that others than the origins answer: remap rules before the last one, each with rules of its own.

use std::fmt::Write as _;

use super::{AtsEdgeSpec, NO_POST, Paths, Route, asks_for};

/// The longest path first: Traffic Server takes the first rule that fits.
pub(super) fn sorted(spec: &AtsEdgeSpec) -> Vec<&Route> {
    let mut all: Vec<&Route> = spec.routes.iter().flatten().collect();
    all.sort_by(|a, b| (b.path.len(), &a.path).cmp(&(a.path.len(), &b.path)));
    all
}

/// Whether some route takes POST.
pub(super) fn post(spec: &AtsEdgeSpec) -> bool {
    spec.routes.iter().flatten().any(|route| !route.cache)
}

/// The file with the rules of a route.
pub(super) fn file(number: usize) -> String {
    format!("route-{number}.config")
}

pub(super) fn is_file(name: &str) -> bool {
    name.starts_with("route-")
}

/// The host that several stand for.
pub(super) fn host(number: usize) -> String {
    format!("route-{number}.invalid")
}

/// The rules of remap.config.
pub(super) fn maps(spec: &AtsEdgeSpec, paths: &Paths) -> String {
    let mut text = String::new();
    for (number, route) in sorted(spec).into_iter().enumerate() {
        let target = match (route.fallbacks.as_deref(), route.url.split_once("://")) {
            (Some([_, ..]), Some((scheme, _))) => format!("{scheme}://{}", host(number)),
            _ => route.url.clone(),
        };
        let _ = write!(text, "map {} {target}{}", route.path, route.path);
        if let Some(guard) = &paths.purge_guard {
            let _ = write!(text, " @plugin=header_rewrite.so @pparam={guard}");
        }
        let _ = writeln!(text, " @plugin=header_rewrite.so @pparam={}/{}", paths.config, file(number));
    }
    text
}

/// What is done to requests of a route, by header_rewrite.
pub(super) fn rules(route: &Route) -> Result<String, String> {
    let mut text = format!("# {}\n", route.path);
    if !route.cache {
        text.push_str("cond %{REMAP_PSEUDO_HOOK}\nset-config proxy.config.http.cache.http 0\n");
    } else {
        text.push_str(NO_POST);
        // A part of what is cached and out of date never comes from 9.2.9: the client waits for ever. Playlists and guides
        // are small, and a server may answer with the whole (RFC 9110 section 14.2).
        text.push_str("\ncond %{REMAP_PSEUDO_HOOK}\nrm-header Range\n");
        // 9.2.9 knows nothing of the `stale-if-error` of an answer (RFC 5861).
        let _ = write!(
            text,
            "\ncond %{{REMAP_PSEUDO_HOOK}}\nset-config proxy.config.http.cache.max_stale_age {}\n",
            route.stale.0.as_secs()
        );
    }
    if route.fallbacks.as_ref().is_some_and(|all| !all.is_empty()) {
        text.push_str(&asks_for(&route.url)?);
    }
    Ok(text)
}
