use super::super::kit::{World, ask, spec, text};

#[tokio::test]
async fn look() {
    let world = World::new().await;
    world.usual().await;
    let one = world.replica(&spec()).await;
    one.turn().await;
    for path in [
        "hls.m3u8",
        "video/360p.m3u8",
        "audio/de.m3u8?_HLS_skip=YES",
        "text/en.m3u8",
        "dash.mpd",
        "now.json",
        "time",
    ] {
        println!("== {path}\n{}", text(&one, path).await);
    }
    println!("{:?}", one.announced.trouble());
    println!("{:?}", ask(&one, "cues/en/film/g1/1/1.vtt").await);
    println!("{:?}", ask(&one, "cues/en/film/g1/0/1/1.vtt").await);
}
