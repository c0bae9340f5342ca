//! A film that a rented worker encodes: the job that packages it stays on the site, the stores are Kafka and S3 by TLS alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use streamverse_acceptance::servers::{PASSWORD, Servers};
use streamverse_acceptance::{binaries, kit as assets};
use streamverse_core::ServiceContext;
use streamverse_core::log::open_log;
use streamverse_fleet::workers::Workers as _;
use streamverse_model::compute::Phase;
use streamverse_model::platform::Name;

use crate::kit::{ONE, Setting, Stores};
use crate::{Container, PATIENCE};

const S3_SECRET: &str = "planted-s3-key-5e1f";

/// What a site gives its job: stores, tools, and the transcoder's spec.
fn site(folder: &Path, tools: &Value, stores: &Stores) -> ServiceContext {
    let at = |name: &str| {
        let path = folder.join("site").join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    for (secret, key, value) in &stores.secrets {
        let place = at(&format!("credentials/{secret}"));
        std::fs::write(place.join(key), value).unwrap();
    }
    let transcoder = json!({
        "concurrency": 1, "workers": 1, "scratch": "1GiB", "memory": "1GiB",
        "event_log": stores.log, "object_store": stores.objects, "catalogue": "sqlite://here/main",
    });
    std::fs::write(at("specs").join("transcoder.main.json"), transcoder.to_string()).unwrap();
    let context = json!({
        "site": "here", "owner": { "deployment": "prod", "kind": "asset", "name": "film" }, "object": "job/vod",
        "data_dir": at("data"), "scratch_dir": at("scratch"), "run_dir": at("run"),
        "credentials_dir": at("credentials"), "specs_dir": at("specs"), "tools": tools, "bind": "127.0.0.1",
    });
    std::fs::write(folder.join("job.context"), context.to_string()).unwrap();
    serde_json::from_value(context).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_encoded_by_a_rented_worker_that_was_given_the_secrets_of_two_stores() {
    let mut tools = BTreeMap::new();
    for (tool, variable) in [
        ("ffmpeg", "STREAMVERSE_FFMPEG"),
        ("ffprobe", "STREAMVERSE_FFPROBE"),
        ("packager", "STREAMVERSE_PACKAGER"),
    ] {
        let Some(path) = std::env::var_os(variable) else {
            assert!(std::env::var_os("CI").is_none(), "{variable} is not set");
            eprintln!("SKIPPED: {variable} is not set: `cargo xtask tools` prints it");
            return;
        };
        tools.insert(tool, std::path::PathBuf::from(path));
    }
    let Some(servers) = tokio::task::spawn_blocking(Servers::start).await.unwrap() else { return };
    let ca = std::fs::read_to_string(servers.file("ca.pem")).unwrap();
    let stores = || Stores {
        log: format!(
            "kafka://localhost:{}?prefix=rented-&partitions=2&replication=1&username=streamverse&sasl=SCRAM-SHA-512&tls=true&secret=event-log.work&ca=event-log.work.0",
            servers.kafka
        ),
        objects: format!(
            "s3://media/rented?endpoint=https://localhost:{}&path_style=true&secret=object-store.media&ca=object-store.media.0",
            servers.s3
        ),
        secrets: vec![
            ("event-log.work", "password", PASSWORD.to_owned()),
            ("event-log.work", "ca", ca.clone()),
            ("object-store.media", "access-key", "streamverse".to_owned()),
            ("object-store.media", "secret-key", S3_SECRET.to_owned()),
            ("object-store.media", "ca", ca.clone()),
        ],
        ..Stores::default()
    };
    let it = Setting::with(stores()).await;
    let folder = tempfile::tempdir().unwrap();
    // On a rented machine its tools are where programs are.
    let programs = folder.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    std::os::unix::fs::symlink(&tools["ffmpeg"], programs.join("ffmpeg")).unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let mut container =
        Container::new(folder.path(), "one", it.environment(ONE), binaries().join("streamverse"));
    container.start(&path);

    let clip = folder.path().join("film.mp4");
    let drawn = "-v error -f lavfi -i testsrc2=s=320x180:r=25:d=6 -f lavfi -i sine=440:d=6 -pix_fmt yuv420p -c:v libx264 -preset ultrafast -c:a aac";
    let drawn = Command::new(&tools["ffmpeg"]).args(drawn.split(' ')).arg(&clip).status().unwrap();
    assert!(drawn.success());
    let cx = site(folder.path(), &json!(tools), &stores());
    let spec = json!({
        "name": "film", "transcoder": "main",
        "asset": {
            "title": "A film", "subtitles": null, "thumbnails": null,
            "source": { "url": format!("file://{}", clip.display()), "digest": assets::digest(&clip), "allow_private": false },
        },
        "ladder": {
            "segment_duration": "2s", "acceleration": "none", "backend": "ffmpeg", "gpu": null,
            "video": [{ "name": "180p", "codec": "h264", "height": 180, "frame_rate": null, "bit_rate": 200_000, "max_bit_rate": null, "gop": null }],
            "audio": [{ "name": "stereo", "codec": "aac", "layout": "stereo", "bit_rate": 96_000, "sample_rate": 48_000, "loudness": null }],
        },
    });
    std::fs::write(folder.path().join("job.spec"), spec.to_string()).unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut job = tokio::process::Command::new(binaries().join("streamverse"));
    job.args(["run", "--target", "vod", "--spec"]).arg(file("job.spec"));
    job.arg("--context").arg(file("job.context")).arg("--outcome").arg(file("job.outcome"));
    job.arg("--admin").arg(format!("unix:{}", file("job.sock").display()));
    job.stdin(Stdio::null()).stderr(std::fs::File::create(file("job.log")).unwrap()).kill_on_drop(true);
    let job = tokio::time::timeout(std::time::Duration::from_secs(240), job.status()).await;
    let said = std::fs::read_to_string(file("job.log")).unwrap();
    assert!(matches!(job, Ok(Ok(status)) if status.success()), "{said}\n{}", container.log());

    // All of it was made by the rented worker, once.
    let log = open_log(&stores().log, &cx).await.unwrap();
    let pieces: Vec<Value> = log
        .read_all("encoded")
        .await
        .unwrap()
        .iter()
        .map(|record| serde_json::from_slice(&record.value).unwrap())
        .collect();
    let once: BTreeSet<_> = pieces.iter().filter_map(|it| it["piece"].as_str()).collect();
    assert_eq!((pieces.len(), once.len()), (4, 4), "{pieces:?}");
    assert!(servers.objects().iter().any(|it| it.starts_with("rented/vod/film/")), "{:?}", servers.objects());

    // The controller knows how long a task took, and that there is none now.
    let fleet = Name::parse("encode").unwrap();
    let idle = || it.registry.told(ONE).is_some_and(|it| it.idle_since_ms.is_some());
    container.until("it is idle", || idle() && it.registry.job_ms(&fleet).is_some()).await;
    let credential = |path: &Path| path.components().any(|it| it.as_os_str() == "credentials");
    for secret in [PASSWORD, S3_SECRET] {
        assert_eq!(container.finds(secret, credential), Vec::<String>::new());
        assert!(!container.finds(secret, |_| false).is_empty(), "nothing was searched");
    }

    // An agent that is killed does not leave its worker behind. Started again it goes on.
    let worker = container.worker();
    let agent = container.pid().to_string();
    assert!(Command::new("kill").args(["-KILL", &agent]).status().unwrap().success());
    container.ends().await;
    // What has ended has no arguments any more, whoever asks how it ended.
    let arguments = format!("/proc/{worker}/cmdline");
    let ended = || std::fs::read(&arguments).unwrap_or_default().is_empty();
    let end = std::time::Instant::now() + PATIENCE;
    while !ended() {
        if std::time::Instant::now() > end {
            let _ = Command::new("kill").args(["-KILL", &worker.to_string()]).status();
            panic!("its worker goes on without it: {}", container.log());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    container.start(&path);
    container.until("it goes on", || container.log().matches("The work begins").count() == 2).await;

    // RunPod's way to end a pod.
    let agent = container.pid().to_string();
    assert!(Command::new("kill").args(["-TERM", &agent]).status().unwrap().success());
    assert_eq!(container.ends().await, 0, "{}", container.log());
    assert_eq!(it.registry.told(ONE).unwrap().phase, Phase::Drained);
    container.nothing_left();
    for secret in [PASSWORD, S3_SECRET] {
        assert_eq!(container.finds(secret, |_| false), Vec::<String>::new());
    }
    it.end().await;
}
