//! What the agent keeps away from itself, and what it tells of itself.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use streamverse_acceptance::{Node, is_root};
use streamverse_model::platform::Isolation;
use streamverse_sites::Site as _;

use crate::kit;
use crate::parts::{ask, gone, log, ready, run, service_user, skipped, until};

#[test]
fn what_strangers_sent_is_parsed_as_the_service_user_and_never_as_root() {
    if !is_root() {
        return skipped("only root runs services as somebody else");
    }
    let Some(node) = Node::start() else { return };
    let (file, _) = kit::clip(&node, "film.mp4", 2);
    // In the place of ffprobe: one that writes down as whom it runs, then does the same.
    let seen = node.folder().join("seen");
    std::fs::create_dir(&seen).unwrap();
    std::fs::set_permissions(&seen, std::fs::Permissions::from_mode(0o777)).unwrap();
    let (tool, real) = (node.tool("ffprobe"), node.folder().join("ffprobe.real"));
    std::fs::rename(&tool, &real).unwrap();
    let words = format!(
        "#!/bin/sh\nid -u >> {0}/uids\ngrep -E 'Max (data|core)' /proc/self/limits >> {0}/limits\nexec {1} \"$@\"\n",
        seen.display(),
        real.display()
    );
    std::fs::write(&tool, words).unwrap();
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    let probe = |url: &str| {
        let body = format!("{{\"source\": \"{url}\"}}");
        let words = ["-X", "POST", "-H", "content-type: application/json", "-d", &body];
        ask(&node, &words, "/v1/deployments/test/probe")
    };
    let facts = probe(&format!("file://{}", file.display()));
    assert!(facts.contains("\"height\":360"), "{facts}");
    let uids = std::fs::read_to_string(seen.join("uids")).unwrap();
    assert_eq!(uids.trim(), service_user().0);
    let limits = std::fs::read_to_string(seen.join("limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.trim_start_matches(name).split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(limit("Max core file size"), "0");
    assert_ne!(limit("Max data size"), "unlimited");
    // What only root may read is not read.
    let private = node.folder().join("private.mp4");
    std::fs::copy(&file, &private).unwrap();
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600)).unwrap();
    let refused = probe(&format!("file://{}", private.display()));
    assert!(refused.contains("\"code\"") && !refused.contains("\"height\""), "{refused}");
    let left = |folder: &str| {
        std::fs::read_dir(node.folder().join(folder).join(".probes")).map_or(0, Iterator::count)
    };
    assert_eq!((left("data"), left("run")), (0, 0), "folders of probes are left");
}

/// Samples by name and labels; every rule of the format that can be checked by hand (OpenMetrics 1.0).
fn parsed(page: &str) -> BTreeMap<String, f64> {
    let (mut families, mut samples) = (BTreeMap::new(), BTreeMap::new());
    let word = |text: &str| {
        !text.is_empty()
            && text.chars().all(|it| it.is_ascii_alphanumeric() || it == '_' || it == ':')
            && !text.starts_with(|it: char| it.is_ascii_digit())
    };
    let mut lines: Vec<&str> = page.lines().collect();
    assert_eq!(lines.pop(), Some("# EOF"));
    for line in lines {
        if let Some(about) = line.strip_prefix("# ") {
            let parts: Vec<&str> = about.splitn(3, ' ').collect();
            let [what, family, text] = parts[..] else { panic!("{line}") };
            assert!(["TYPE", "HELP", "UNIT"].contains(&what) && word(family) && !text.is_empty(), "{line}");
            if what == "TYPE" {
                assert!(
                    families.insert(family.to_owned(), text.to_owned()).is_none(),
                    "{family} is there twice"
                );
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap();
        for label in labels.split("\",").filter(|it| !it.is_empty()) {
            let (key, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(word(key) && !value.trim_end_matches('"').contains('"'), "{line}");
        }
        let of = |end: &str, kind: &str| {
            name.strip_suffix(end).is_some_and(|family| families.get(family).is_some_and(|it| it == kind))
        };
        let known = families.get(name).is_some_and(|kind| kind == "gauge")
            || of("_total", "counter")
            || ["_bucket", "_sum", "_count"].iter().any(|end| of(end, "histogram"));
        assert!(known, "{line} belongs to no family");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(samples.insert(series.to_owned(), value).is_none(), "{series} is there twice");
    }
    samples
}

#[test]
fn the_agent_counts_what_it_holds_and_does() {
    let Some(node) = Node::start() else { return };
    let page = || ask(&node, &[], "/metrics");
    let empty = parsed(&page());
    assert_eq!(empty["streamverse_node_owners"], 0.0);
    assert_eq!(empty["streamverse_node_applies_total{outcome=\"applied\"}"], 0.0);
    let bundle = log("one", 256 << 20, Isolation::Process);
    let mut refused = bundle.clone();
    refused.objects.push(refused.objects[0].clone());
    run(async {
        let site = node.site();
        site.apply(&bundle, &[]).await.unwrap();
        site.rehearse(&bundle).await.unwrap();
        site.apply(&refused, &[]).await.unwrap_err();
        let pid = until(&site, &bundle.owner, "ready", ready).await.pids[0];
        std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
        until(&site, &bundle.owner, "started again", |it| it.restarts == 1 && ready(it)).await;
    });
    ask(&node, &["-X", "INVENTED"], "/v1/node");
    ask(&node, &[], "/nothing/of/ours");
    let samples = parsed(&page());
    let is =
        |series: &str| samples.get(series).copied().unwrap_or_else(|| panic!("no {series} in {samples:?}"));
    assert_eq!(is("streamverse_node_owners"), 1.0);
    assert_eq!(is("streamverse_node_objects{type=\"service\",phase=\"ready\"}"), 1.0);
    assert_eq!(is("streamverse_node_objects{type=\"engine\",phase=\"failed\"}"), 0.0);
    assert_eq!(is("streamverse_node_restarts_total{type=\"service\"}"), 1.0);
    for outcome in ["applied", "dry_run", "refused"] {
        assert_eq!(is(&format!("streamverse_node_applies_total{{outcome=\"{outcome}\"}}")), 1.0);
    }
    assert!(is("streamverse_node_free_bytes") > 0.0);
    // Routes, never paths: names of owners are in none.
    let requests: Vec<&String> = samples
        .keys()
        .filter(|it| it.starts_with("streamverse_node_request_duration_seconds_count"))
        .collect();
    assert!(
        requests.iter().any(|it| it.contains("/owners/{kind}/{name}\"") && it.contains("PUT")),
        "{requests:?}"
    );
    assert!(requests.iter().any(|it| it.contains("route=\"other\"")), "{requests:?}");
    assert!(!page().contains("INVENTED") && !page().contains("/nothing"), "{requests:?}");
    run(async { gone(&node.site(), &bundle.owner).await });
    assert_eq!(parsed(&page())["streamverse_node_owners"], 0.0);
}
