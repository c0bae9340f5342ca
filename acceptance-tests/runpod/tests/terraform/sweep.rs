//! `streamverse sweep --runpod`: a deployment's things go, whatever state knows of them, and nobody else's.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use streamverse_runpod_stand_in::{KEY, StandIn};

use crate::kit::built;

fn sweep(program: &Path, it: &StandIn, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(["sweep", "--deployment", "test", "--runpod", "--runpod-endpoint", &it.endpoint])
        .args(words)
        .env("RUNPOD_API_KEY", KEY)
        .stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains(KEY), "the key was told");
    said
}

#[test]
fn sweep_removes_all_that_a_deployment_has_and_nothing_of_others_whenever_it_is_killed() {
    let program = built("streamverse");
    let it = StandIn::start();
    let make = |path: &str, body: Value| {
        let (status, told) = it.api("POST", path, Some(&body));
        assert_eq!(status, 201, "{told}");
        told["id"].as_str().unwrap().to_owned()
    };
    let gpu = json!({ "id": "NVIDIA L40S" });
    for (of, pod) in [("test", "sv--test--encode--d-l4--1"), ("test-2", "sv--test-2--encode--d-l4--1")] {
        let name = |rest: &str| format!("streamverse.{of}.main{rest}");
        let registry =
            make("/v2/registries", json!({ "name": name("_0badcafe"), "username": "u", "password": "p" }));
        make("/v2/network-volumes", json!({ "name": name(""), "size": 10, "dataCenter": "EU-RO-1" }));
        make("/v2/templates", json!({ "name": name(""), "image": "x", "serverless": true }));
        make(
            "/v2/serverless",
            json!({ "name": name("_1f00ba44"), "image": "x", "type": "QUEUE", "scaling": { "type": "QUEUE_DELAY", "queueDelay": 4 }, "gpu": { "pools": ["ADA_24"] } }),
        );
        // The credential is in use: it cannot go before the pod.
        make("/v2/pods", json!({ "name": pod, "image": "x", "gpu": gpu, "registry": registry }));
    }
    make("/v2/pods", json!({ "name": "by hand", "image": "x", "gpu": gpu }));
    let others = |it: &StandIn| {
        let mut open = it.account().open();
        open.retain(|it| !it.contains(".test.") && !it.contains("--test--"));
        assert_eq!(open.len(), 6, "something of others went: {open:?}");
        it.account().open().len() - open.len()
    };
    assert_eq!(others(&it), 5);
    let done = sweep(&program, &it, &["--dry-run"]).output().unwrap();
    assert!(done.status.success() && said(&done).contains("5 would be removed"), "{}", said(&done));
    assert_eq!(others(&it), 5);
    // Lists have pages, and show what is gone.
    it.settings(&json!({ "page_size": 2, "list_ghost_ms": 1000 }));
    // Killed before a call took effect, and after one did.
    for (what, left) in [("hold_before", 4), ("hold_after", 2)] {
        it.faults(&json!([{ "mutating": true, "after": 1, "what": what }]));
        let mut child = sweep(&program, &it, &[]).stdout(Stdio::null()).spawn().unwrap();
        it.until_held();
        child.kill().unwrap();
        child.wait().unwrap();
        while it.held() > 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(others(&it), left, "{what}");
    }
    // A key that may not see one kind gives back the others, and says so; nor does it say that nothing is there.
    let hidden = json!([{ "method": "GET", "path": "/v2/registries", "what": { "answer": { "status": 403, "detail": "not yours" } }, "times": 99 }]);
    it.faults(&hidden);
    for words in [&["--dry-run"] as &[&str], &[]] {
        let done = sweep(&program, &it, words).output().unwrap();
        let text = said(&done);
        assert!(!done.status.success() && text.contains("403, not yours"), "{text}");
    }
    it.clear_faults();
    assert_eq!(others(&it), 1);
    assert_eq!(it.things("volume").len(), 1, "the other deployment's");
    // One that is refused for a while, and whose answer is lost then.
    it.faults(&json!([
        { "method": "DELETE", "what": { "answer": { "status": 409, "detail": "not now" } } },
        { "method": "DELETE", "what": "lose" },
    ]));
    let done = sweep(&program, &it, &[]).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!((others(&it), it.clear_faults()), (0, 0), "{}", said(&done));
    // Nothing is there: nothing to do. And a wrong key is told.
    let done = sweep(&program, &it, &[]).output().unwrap();
    assert!(done.status.success() && done.stdout.is_empty(), "{}", said(&done));
    let done = sweep(&program, &it, &[]).env("RUNPOD_API_KEY", "rpa_planted-wrong-7").output().unwrap();
    let text = said(&done);
    assert!(!done.status.success() && text.contains("401") && !text.contains("planted-wrong"), "{text}");
    let done = sweep(&program, &it, &[]).env_remove("RUNPOD_API_KEY").output().unwrap();
    assert!(!done.status.success() && said(&done).contains("RUNPOD_API_KEY"), "{}", said(&done));
    assert_eq!(it.violations(), Vec::<String>::new());
}
