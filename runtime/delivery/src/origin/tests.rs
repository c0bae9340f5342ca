//! The origin over a real socket, on stores of this machine.

use super::kit::running;

#[tokio::test]
async fn a_stable_address_leads_to_what_is_shown_and_that_never_changes() {
    let origin = running().await;
    let answer = origin.get("/vod/film/hls.m3u8").send().await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], "/vod/film/g1/hls.m3u8");
    assert!(
        answer.headers()["cache-control"]
            .to_str()
            .unwrap()
            .starts_with("public, max-age=2, stale-while-revalidate=60")
    );
    let answer =
        origin.get("/vod/film/g1/hls.m3u8").header("origin", "https://tv.example").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/vnd.apple.mpegurl");
    assert_eq!(answer.headers()["cache-control"], "public, max-age=86400, immutable");
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://tv.example");
    let tag = answer.headers()["etag"].clone();
    let again = origin.get("/vod/film/g1/hls.m3u8").header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    let other =
        origin.get("/vod/film/g1/hls.m3u8").header("origin", "https://else.example").send().await.unwrap();
    assert!(!other.headers().contains_key("access-control-allow-origin"));
    origin.stop.stop();
}

#[tokio::test]
async fn parts_are_served_under_their_conditions() {
    let origin = running().await;
    let path = "/vod/film/g1/video/1.m4s";
    let part = origin.get(path).header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!(
        (part.status().as_u16(), part.headers()["content-range"].to_str().unwrap()),
        (206, "bytes 2-4/10")
    );
    assert_eq!(part.text().await.unwrap(), "234");
    let stale =
        origin.get(path).header("range", "bytes=2-4").header("if-range", "\"other\"").send().await.unwrap();
    assert_eq!(stale.status(), 200);
    assert_eq!(origin.get(path).header("range", "bytes=10-").send().await.unwrap().status(), 416);
    // A range is for GET alone (RFC 9110 section 14.2).
    let head = origin.client.head(format!("{}{path}", origin.base)).header("range", "bytes=2-4").send();
    let head = head.await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-length"], "10");
    assert_eq!(origin.client.post(format!("{}{path}", origin.base)).send().await.unwrap().status(), 405);
    origin.stop.stop();
}

#[tokio::test]
async fn conditions_are_judged_as_the_standard_says() {
    let origin = running().await;
    let path = "/vod/film/g1/video/1.m4s";
    let plain = origin.get(path).send().await.unwrap();
    let (tag, date) = (plain.headers()["etag"].clone(), plain.headers()["last-modified"].clone());
    let (tag, date) = (tag.to_str().unwrap(), date.to_str().unwrap());
    let (old, late) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Thu, 31 Dec 2099 23:59:59 GMT");
    for (fields, wanted) in [
        (vec![("if-modified-since", date)], 304),
        (vec![("if-modified-since", late)], 304),
        (vec![("if-modified-since", "Thursday, 31-Dec-65 23:59:59 GMT")], 304),
        (vec![("if-modified-since", "Thu Dec 31 23:59:59 2099")], 304),
        (vec![("if-modified-since", old)], 200),
        (vec![("if-modified-since", "yesterday")], 200),
        // The tag decides alone where there is one.
        (vec![("if-modified-since", late), ("if-none-match", "\"other\"")], 200),
        (vec![("if-none-match", "\"a,b\", \"other\""), ("if-none-match", tag)], 304),
        (vec![("if-none-match", "*")], 304),
        (vec![("if-match", tag)], 200),
        (vec![("if-match", "\"other\"")], 412),
        (vec![("if-unmodified-since", old)], 412),
        (vec![("range", "bytes=0-1"), ("if-range", tag)], 206),
        (vec![("range", "bytes=0-1"), ("if-range", &format!("W/{tag}"))], 200),
        (vec![("range", "bytes=0-1"), ("if-range", old)], 200),
        (vec![("range", "bytes=0-1,3-4")], 200),
        (vec![("range", "bytes=, 0-1")], 206),
        (vec![("range", "Bytes=-2")], 206),
        (vec![("range", "bytes=-0")], 416),
        (vec![("range", "bytes=0-1"), ("range", "bytes=3-4")], 200),
    ] {
        let mut request = origin.get(path);
        for (name, value) in &fields {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), wanted, "{fields:?}");
        if wanted == 304 {
            assert_eq!(answer.headers()["etag"], tag);
        }
    }
    origin.stop.stop();
}

#[tokio::test]
async fn nothing_outside_of_packages_is_reached() {
    let origin = running().await;
    std::fs::write(origin.cx.data_dir.join("secret"), "x").unwrap();
    for path in [
        "/vod/film/../../../secret",
        "/vod/film/g1/%2e%2e/%2e%2e/x",
        "/vod/film/g1/..%2f..%2fx",
        "/vod//film/g1/x",
        "/vod/film/g1/a%00b",
        "/vod/nobody/hls.m3u8",
        "/vod/film/other.m3u8",
        "/vod/film",
        "/catalogues/main.sqlite",
    ] {
        // A raw request: a client would tidy the path.
        let mut stream =
            tokio::net::TcpStream::connect(origin.base.trim_start_matches("http://")).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
    origin.stop.stop();
}

#[tokio::test]
async fn what_is_known_is_served_on_while_the_catalogue_is_away() {
    let origin = running().await;
    assert_eq!(origin.get("/vod/film/hls.m3u8").send().await.unwrap().status(), 302);
    let file = origin.cx.data_dir.join("catalogues/main.sqlite");
    rusqlite_breaks(&file);
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let answer = origin.get("/vod/film/hls.m3u8").send().await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["x-stale"], "catalogue");
    assert_eq!(origin.get("/readyz").send().await.unwrap().status(), 200);
    origin.stop.stop();
}

/// Overwrites the database with what is none.
fn rusqlite_breaks(file: &std::path::Path) {
    for end in ["", "-wal", "-shm"] {
        let path = std::path::PathBuf::from(format!("{}{end}", file.display()));
        if path.exists() {
            std::fs::write(path, vec![7; 8192]).unwrap();
        }
    }
}
