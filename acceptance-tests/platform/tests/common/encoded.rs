//! What was encoded, as the event log tells it: a record for each finished piece.

use std::collections::BTreeMap;
use std::sync::Arc;

use streamverse_acceptance::servers::{PASSWORD, Servers};
use streamverse_core::log::{EventLog, open_log};

#[path = "../../../../runtime/core/tests/stores/kit.rs"]
mod place;

/// All pieces, by generation and piece.
///
/// # Panics
/// When one was encoded twice.
pub(crate) fn once(servers: &Servers) -> BTreeMap<String, usize> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for record in records(servers) {
        let piece = format!("{} {}", record["generation"], record["piece"]);
        *times.entry(piece).or_default() += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "encoded twice: {twice:?}");
    times
}

/// The records of finished segments, as Kafka has them.
pub(crate) fn records(servers: &Servers) -> Vec<serde_json::Value> {
    let records = ask(servers, async |log| log.read_all("encoded").await.unwrap());
    records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect()
}

/// How many tasks are not done.
#[allow(dead_code, reason = "not every test asks")]
pub(crate) fn undone(servers: &Servers) -> u64 {
    // Nobody has told a task yet where there is no topic.
    ask(servers, async |log| log.lag("transcoders", "transcode").await.unwrap_or(0))
}

/// What Kafka answers.
fn ask<T>(servers: &Servers, question: impl AsyncFnOnce(Arc<dyn EventLog>) -> T) -> T {
    let place = place::Place::new();
    let lay = |name: &str, key: &str, text: &str| {
        let folder = place.cx.credentials_dir.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(key), text).unwrap();
    };
    lay("event-log.main", "password", PASSWORD);
    lay("event-log.main", "ca", &std::fs::read_to_string(servers.file("ca.pem")).unwrap());
    let url = format!(
        "kafka://localhost:{}?prefix=test-&username=streamverse&sasl=SCRAM-SHA-512&tls=true&secret=event-log.main&ca=event-log.main.0",
        servers.kafka
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { question(open_log(&url, &place.cx).await.unwrap()).await })
}
