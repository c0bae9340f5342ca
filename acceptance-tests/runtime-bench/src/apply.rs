//! A changed edge: how long `terraform apply` takes, and when the edge does what was applied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::edge::ByHand;
use crate::figures::{Rounds, Row};
use crate::platform::Platform;
use crate::{Outcome, Setup, tell};

/// Until an edge does what was applied.
const LIMIT: Duration = Duration::from_secs(120);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Measures on a platform that runs. Its edge is turned to one origin and back.
///
/// # Errors
/// What stopped it.
pub async fn measure(setup: &Setup, platform: &Platform) -> Outcome<Vec<Row>> {
    let ends = [End::start("first").await?, End::start("second").await?];
    let by_hand = ByHand::start(&ends[1].address).await?;
    let (mut applies, mut served) = (Rounds::default(), Rounds::default());
    let mut failed = 0;
    for round in 1..=setup.rounds(5) {
        let end = &ends[(round + 1) % 2];
        platform.configure(&format!("\"{}\"", end.address))?;
        let watch = Watch::start(platform.edge, end.name);
        let changed = platform.apply().await?.took;
        let seen = watch.seen().await?;
        let nothing = platform.apply().await?;
        if !nothing.stdout.contains("0 added, 0 changed, 0 destroyed") {
            return Err(format!("the second apply changed something:\n{}", nothing.stdout).into());
        }
        let watch = Watch::start(by_hand.port, end.name);
        by_hand.turn_to(&end.address).await?;
        let seen_by_hand = watch.seen().await?;
        applies.push(changed.as_secs_f64(), nothing.took.as_secs_f64());
        served.push(seen.after.as_secs_f64(), seen_by_hand.after.as_secs_f64());
        failed += seen.failed;
        tell(format!(
            "changed edge, round {round}: applied in {:.2} s (nothing changed: {:.2} s), serves after {:.2} s (by hand: {:.2} s)",
            changed.as_secs_f64(),
            nothing.took.as_secs_f64(),
            seen.after.as_secs_f64(),
            seen_by_hand.after.as_secs_f64()
        ));
    }
    Ok(vec![
        applies.row("apply of a changed edge / of nothing changed", "s", "terraform apply; less is better"),
        served.row(
            "changed edge serves, from the start of apply / edit and reload by hand",
            "s",
            format!("{failed} requests failed in the meantime; less is better"),
        ),
    ])
}

/// An origin that answers every request with its name, for no cache to keep.
struct End {
    name: &'static str,
    address: String,
    task: tokio::task::JoinHandle<()>,
}

impl End {
    async fn start(name: &'static str) -> Outcome<End> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, name));
            }
        });
        Ok(End { name, address, task })
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request, one answer: an edge asks again when it must.
async fn answer(mut stream: TcpStream, name: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 16 << 10 {
        head.push(stream.read_u8().await?);
    }
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{name}",
        name.len()
    );
    stream.write_all(answer.as_bytes()).await
}

/// What was seen of an edge.
struct Seen {
    /// From the start until the first answer of the new origin.
    after: Duration,
    /// Requests that got no answer, or none with 200.
    failed: u32,
}

/// Asks an edge again and again until the wanted origin answers.
struct Watch {
    task: tokio::task::JoinHandle<Outcome<Seen>>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    fn start(port: u16, wanted: &'static str) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
            let (started, mut failed, mut count) = (Instant::now(), 0, 0_u32);
            while started.elapsed() < LIMIT && !told.load(Ordering::Relaxed) {
                count += 1;
                let asked = client.get(format!("http://127.0.0.1:{port}/which/{count}")).send().await;
                match asked.and_then(reqwest::Response::error_for_status) {
                    Ok(answer) => match answer.text().await {
                        Ok(name) if name == wanted => {
                            return Ok(Seen { after: started.elapsed(), failed });
                        }
                        // The origin of before, which is as it should be.
                        Ok(_) => {}
                        Err(_) => failed += 1,
                    },
                    // The platform's own origin has no such path.
                    Err(error) if error.status() == Some(reqwest::StatusCode::NOT_FOUND) => {}
                    Err(_) => failed += 1,
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(format!("the edge does not do what was applied after {} s", started.elapsed().as_secs())
                .into())
        });
        Watch { task, stop }
    }

    async fn seen(mut self) -> Outcome<Seen> {
        (&mut self.task).await?
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
