//! Who asks many servers in turn, which `wrk` does not: each connection is kept, and 32 at a time wait for an answer.

use std::io::Write as _;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Outcome;
use crate::channels::place;

/// How many ask at a time.
const AT_A_TIME: u32 = 32;
/// A playlist is smaller.
const LARGEST: usize = 1 << 20;
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks `count` channels for their playlists and prints what it counted as `wrk` does here.
///
/// # Errors
/// A request that was not answered with 200.
pub async fn ask(count: u32, port: u16, time: Duration) -> Outcome<()> {
    let until = Instant::now() + time;
    let asking = (0..AT_A_TIME).map(|first| tokio::spawn(in_turn(first, count, port, until)));
    let begun = Instant::now();
    let (mut micros, mut bytes) = (Vec::new(), 0);
    for one in futures::future::join_all(asking).await {
        let (waited, read) = one??;
        micros.extend(waited);
        bytes += read;
    }
    let spent = begun.elapsed().as_micros();
    micros.sort_unstable();
    let at = |percent: usize| micros.get(micros.len() * percent / 100).copied().unwrap_or_default();
    let (p99, p50) = (at(99), at(50));
    Ok(writeln!(std::io::stdout(), "result {} {bytes} {spent} 0 0 {p99} {p50}", micros.len())?)
}

/// Every 32nd of the channels from one on; a channel that is alone has all 32.
async fn in_turn(first: u32, count: u32, port: u16, until: Instant) -> Outcome<(Vec<u64>, usize)> {
    let mut all = Vec::new();
    for number in (first..count.max(AT_A_TIME)).step_by(AT_A_TIME as usize) {
        let number = number % count.max(1);
        let stream = TcpStream::connect(place(number, port)).await?;
        stream.set_nodelay(true)?;
        let request = |path: &str| format!("GET /channel/c{number}/{path} HTTP/1.1\r\nHost: bench\r\n\r\n");
        all.push((stream, [request("video/720p.m3u8"), request("dash.mpd")]));
    }
    let (mut micros, mut bytes, mut buffer) = (Vec::new(), 0, Vec::new());
    for turn in 0.. {
        for (stream, requests) in &mut all {
            if Instant::now() > until {
                return Ok((micros, bytes));
            }
            let asked = Instant::now();
            let request = &requests[turn % requests.len()];
            stream.write_all(request.as_bytes()).await?;
            tokio::time::timeout(PATIENCE, answer(stream, &mut buffer)).await??;
            micros.push(u64::try_from(asked.elapsed().as_micros())?);
            bytes += buffer.len();
        }
    }
    Ok((micros, bytes))
}

/// Reads an answer whole.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Outcome<()> {
    buffer.clear();
    let mut whole = None;
    while whole.is_none_or(|whole| buffer.len() < whole) {
        if stream.read_buf(buffer).await? == 0 || buffer.len() > LARGEST {
            return Err(format!("an answer broke off after {} bytes", buffer.len()).into());
        }
        if whole.is_none() {
            whole = length(buffer)?;
        }
    }
    Ok(())
}

/// How long an answer is with its head, once that is there.
fn length(read: &[u8]) -> Outcome<Option<usize>> {
    let Some(end) = read.windows(4).position(|it| it == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(read.get(..end).unwrap_or_default()).to_lowercase();
    if !head.starts_with("http/1.1 200") {
        return Err(format!("the answer is {head}").into());
    }
    let body =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    Ok(Some(end + 4 + body.ok_or("an answer without a length")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{channel, channels, folder, free_port, origin};

    #[test]
    fn an_answer_is_as_long_as_it_says_and_anything_but_200_is_a_failure() -> Outcome<()> {
        assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")?, Some(43));
        assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n")?, None);
        assert!(length(b"HTTP/1.1 503 Wait\r\nContent-Length: 5\r\n\r\n").is_err());
        assert!(length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn three_channels_in_one_process_are_asked_in_turn_and_all_answer() -> Outcome<()> {
        let folder = folder()?;
        channel::assets(&origin::context(folder.path(), "fast-channel")?).await?;
        let port = free_port()?;
        let stop = channels::start(3, port, folder.path()).await?;
        for first in 0..3 {
            let until = Instant::now() + Duration::from_millis(100);
            let (micros, bytes) = in_turn(first, 3, port, until).await?;
            assert!(!micros.is_empty() && bytes > 1000, "{micros:?} {bytes}");
        }
        stop.stop();
        Ok(())
    }
}
