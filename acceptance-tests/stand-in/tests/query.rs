//! A stand-in that speaks a protocol of neither paths nor JSON, as EC2's: the operation is in a form, answers and refusals are XML.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use streamverse_stand_in::{
    Answers, Call, Ledger, Minute, Reply, Said, Steering, around, call_text, lock, read_ledger, respond,
    serve,
};

type Response = <Reply as IntoIterator>::Item;

/// How this cloud refuses.
#[derive(Clone, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Refusal {
    Throttle,
}

struct World {
    steering: Steering<Refusal>,
    ledger: Ledger<Value>,
}

struct Asked<'a> {
    world: &'a Mutex<World>,
    action: String,
}

fn xml(status: u16, retry_after: Option<u64>, text: String) -> Response {
    let mut headers = vec![("content-type", "text/xml".to_owned())];
    headers.extend(retry_after.map(|it| ("retry-after", it.to_string())));
    respond(status, &headers, text)
}

fn error(code: &str) -> String {
    format!("<Error><Code>{code}</Code></Error>")
}

impl Asked<'_> {
    fn note(&self, what: impl std::fmt::Display) {
        lock(self.world).steering.calls.push(format!("{} {what}", self.action));
    }
}

impl Answers<Refusal> for Asked<'_> {
    fn done(&self) -> Response {
        lock(self.world).ledger.write(&json!({ "did": self.action }));
        self.note(200);
        xml(200, None, format!("<{}Response/>", self.action))
    }

    fn instead(&self, said: Said<Refusal>, retry_after: Option<u64>) -> Response {
        let (status, code) = match said {
            Said::Refusal(Refusal::Throttle) => (503, "RequestLimitExceeded".to_owned()),
            Said::Status(status, text) => (status, text),
            Said::Failure => return xml(500, None, error("InternalError")),
            Said::Garbage(body) => return xml(200, None, body.to_string()),
        };
        self.note(status);
        xml(status, retry_after, error(&code))
    }

    fn dropped(&self) {
        self.note("dropped");
    }
}

async fn answer(world: Arc<Mutex<World>>, call: Call) -> Reply {
    let form = call.form();
    let action = form.iter().find(|(name, _)| name == "Action").map(|(_, it)| it.clone()).unwrap_or_default();
    let (fault, holds) = {
        let mut world = lock(&world);
        (world.steering.faults.meet(&call.method, &action), Arc::clone(&world.steering.holds))
    };
    around(fault, &holds, &Asked { world: &world, action }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_of_forms_and_xml_meets_each_fault_in_its_own_words_and_is_done_or_not_as_the_fault_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let world =
        Arc::new(Mutex::new(World { steering: Steering::default(), ledger: Ledger::new(&path).unwrap() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let shared = Arc::clone(&world);
    let served = tokio::spawn(serve(listener, move |call| answer(Arc::clone(&shared), call)));
    let ask = move |action: &'static str| {
        let endpoint = endpoint.clone();
        tokio::task::spawn_blocking(move || {
            call_text(&endpoint, "POST", "/", &[], &format!("Version=1&Action={action}")).ok()
        })
    };
    let cases = [
        (
            json!({ "refuse": { "why": "throttle", "retry_after": 2 } }),
            Some((503, error("RequestLimitExceeded"))),
            0,
        ),
        (
            json!({ "answer": { "status": 400, "message": "AuthFailure" } }),
            Some((400, error("AuthFailure"))),
            0,
        ),
        (json!("drop"), None, 0),
        (json!("lose"), None, 1),
        (json!("done_then500"), Some((500, error("InternalError"))), 1),
        (json!({ "late": 5 }), Some((200, "<RunResponse/>".to_owned())), 1),
        (json!({ "garbage": [1] }), Some((200, "[1]".to_owned())), 1),
    ];
    let mut done = 0;
    for (what, told, does) in cases {
        let faults = json!([{ "path": "Run", "after": 1, "what": what }]);
        lock(&world).steering.control("POST", &["faults"], &faults).unwrap();
        // One that it does not fit, one that it leaves alone, one that meets it, and one behind it.
        assert_eq!(ask("Describe").await.unwrap().unwrap().1, "<DescribeResponse/>");
        assert_eq!(ask("Run").await.unwrap().unwrap().1, "<RunResponse/>");
        assert_eq!(ask("Run").await.unwrap(), told, "{what}");
        assert_eq!(ask("Run").await.unwrap().unwrap().1, "<RunResponse/>");
        done += 3 + does;
        assert_eq!(read_ledger::<Value>(&path).len(), done, "{what}");
    }
    let calls = lock(&world).steering.control("GET", &["calls"], &Value::Null).unwrap().1;
    assert_eq!(calls.as_array().unwrap().len(), 28, "{calls}");
    for (what, before) in [("hold_before", 0), ("hold_after", 1)] {
        lock(&world).steering.control("POST", &["faults"], &json!([{ "what": what }])).unwrap();
        let held = ask("Run");
        while lock(&world).steering.holds.count() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(read_ledger::<Value>(&path).len(), done + before, "{what}");
        lock(&world).steering.control("DELETE", &["held"], &Value::Null).unwrap();
        assert_eq!(held.await.unwrap().unwrap().1, "<RunResponse/>");
        done += 1;
        assert_eq!(
            (read_ledger::<Value>(&path).len(), lock(&world).steering.holds.count()),
            (done, 0),
            "{what}"
        );
    }
    let wrong = lock(&world).steering.control("POST", &["faults"], &json!([{ "what": "nonsense" }])).unwrap();
    assert_eq!(wrong.0, 422);
    served.abort();
}

#[test]
fn a_minute_begins_with_its_first_call_and_lets_in_no_more_than_its_limit_until_the_next_one() {
    let mut minute = Minute::default();
    let mut admit = |now_ms| {
        let it = minute.admit(now_ms, 2);
        (it.yes, it.left, it.wait_ms)
    };
    assert_eq!(admit(50_000), (true, 1, 60_000));
    assert_eq!(admit(80_000), (true, 0, 30_000));
    assert_eq!(admit(109_999), (false, 0, 1));
    assert_eq!(admit(110_000), (true, 1, 60_000));
}

#[test]
fn the_last_line_of_a_ledger_counts_once_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    Ledger::new(&path).unwrap().write(&json!({ "n": 1 }));
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{whole}{{\"n\":")).unwrap();
    assert_eq!(read_ledger::<Value>(&path), [json!({ "n": 1 })]);
}
