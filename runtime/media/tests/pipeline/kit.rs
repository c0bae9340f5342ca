//! A platform in a temporary folder: stores, an event log, workers and jobs in this process, tools from the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use streamverse_core::log::EVENT_LOG;
use streamverse_core::{JobHandle, Metrics, Ready, Result, ServiceContext, Start, Stop, Target};
use streamverse_media::{TRANSCODER, VOD};
use streamverse_model::platform::{Name, Owner};
use tempfile::TempDir;
use tokio::task::JoinHandle;

pub(crate) struct Platform {
    pub(crate) folder: TempDir,
    tools: BTreeMap<String, PathBuf>,
    log: Option<(Stop, JoinHandle<Result<()>>)>,
}

impl Platform {
    /// None, told aloud, without the tools.
    pub(crate) async fn new() -> Option<Platform> {
        let mut tools = BTreeMap::new();
        for (name, variable) in [
            ("ffmpeg", "STREAMVERSE_FFMPEG"),
            ("ffprobe", "STREAMVERSE_FFPROBE"),
            ("packager", "STREAMVERSE_PACKAGER"),
        ] {
            match std::env::var_os(variable) {
                Some(path) => tools.insert(name.to_owned(), path.into()),
                None => {
                    assert!(std::env::var("CI").is_err(), "{variable} is not set");
                    eprintln!("SKIPPED: {variable} is not set: `cargo xtask tools` prints it");
                    return None;
                }
            };
        }
        let folder = tempfile::tempdir().unwrap();
        let mut platform = Platform { folder, tools, log: None };
        let stop = Stop::new();
        let task =
            serve(&EVENT_LOG, json!({ "name": "main" }), platform.cx("event-log"), &stop).await.unwrap();
        platform.log = Some((stop, task));
        Some(platform)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn tool(&self, name: &str) -> &Path {
        &self.tools[name]
    }

    pub(crate) fn cx(&self, name: &str) -> ServiceContext {
        let at = |folder: &str| {
            let path = self.folder.path().join(folder);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let specs = at("specs");
        std::fs::write(specs.join("transcoder.main.json"), self.transcoder().to_string()).unwrap();
        ServiceContext {
            site: Name::parse("here").unwrap(),
            owner: Owner::new("test", "transcoder", "main").unwrap(),
            object: format!("service/{name}"),
            data_dir: at("data"),
            scratch_dir: at(&format!("scratch/{name}")),
            run_dir: at("run"),
            credentials_dir: at("credentials"),
            specs_dir: specs,
            tools: self.tools.clone(),
            bind: [127, 0, 0, 1].into(),
            metrics: Metrics::new(),
        }
    }

    pub(crate) fn transcoder(&self) -> Value {
        json!({
            "concurrency": 2, "workers": 1, "scratch": "1GiB", "memory": "1GiB",
            "event_log": "embedded://here/main", "object_store": "file://here/media", "catalogue": "sqlite://here/main",
        })
    }

    pub(crate) async fn worker(&self, name: &str) -> (Stop, JoinHandle<Result<()>>) {
        self.worker_in(self.cx(name), self.transcoder()).await
    }

    /// A worker with a context and a spec of its own.
    pub(crate) async fn worker_in(&self, cx: ServiceContext, spec: Value) -> (Stop, JoinHandle<Result<()>>) {
        self.worker_until(cx, spec, Stop::new()).await
    }

    /// … that is told to stop by this.
    pub(crate) async fn worker_until(
        &self,
        cx: ServiceContext,
        spec: Value,
        stop: Stop,
    ) -> (Stop, JoinHandle<Result<()>>) {
        let task = serve(&TRANSCODER, spec, cx, &stop).await.unwrap();
        (stop, task)
    }

    /// Runs a job to its end.
    pub(crate) async fn job(&self, target: &Target, spec: Value) -> Result<Value> {
        let Start::Job(start) = target.start else { panic!("{} is no job", target.name) };
        let job = start(spec, self.cx("job")).await?;
        job.run(JobHandle::new(), Stop::new()).await
    }

    pub(crate) async fn vod(&self, name: &str, source: &Path) -> Result<Value> {
        self.job(&VOD, spec(name, source)).await
    }

    /// Draws a clip with these arguments of ffmpeg.
    pub(crate) fn draw(&self, name: &str, args: &str) -> PathBuf {
        let path = self.path(name);
        let done = Command::new(self.tool("ffmpeg"))
            .args(["-v", "error", "-y"])
            .args(args.split_whitespace())
            .arg(&path)
            .status()
            .unwrap();
        assert!(done.success());
        path
    }

    /// What ffprobe says of a file, as lines.
    pub(crate) fn probe(&self, file: &Path, args: &str) -> Vec<String> {
        let out = Command::new(self.tool("ffprobe"))
            .args(["-v", "error"])
            .args(args.split_whitespace())
            .arg(file)
            .output();
        let out = out.unwrap();
        String::from_utf8_lossy(&out.stdout)
            .lines()
            .map(|line| line.trim_end_matches(',').to_owned())
            .collect()
    }

    /// Init segment and media segments of a rendition, in one file.
    pub(crate) fn joined(&self, package: &Path, rendition: &str) -> PathBuf {
        let folder = package.join(rendition);
        let mut names: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| name.ends_with(".m4s"));
        names.sort();
        let mut bytes = std::fs::read(folder.join("init.mp4")).unwrap();
        for name in names {
            bytes.extend(std::fs::read(folder.join(name)).unwrap());
        }
        let file = self.path("joined.mp4");
        std::fs::write(&file, bytes).unwrap();
        file
    }

    pub(crate) async fn end(mut self) {
        if let Some((stop, task)) = self.log.take() {
            stop.stop();
            task.await.unwrap().unwrap();
        }
    }
}

pub(crate) fn digest(file: &Path) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(std::fs::read(file).unwrap())))
}

pub(crate) fn spec(name: &str, source: &Path) -> Value {
    json!({
        "name": name,
        "asset": {
            "title": "A film", "source": { "url": format!("file://{}", source.display()), "digest": digest(source), "allow_private": false },
            "subtitles": null, "thumbnails": { "interval": "5s", "height": 90 },
        },
        "ladder": {
            "segment_duration": "2s", "acceleration": "none", "backend": "ffmpeg", "gpu": null,
            "video": [
                { "name": "360p", "codec": "h264", "height": 360, "frame_rate": null, "bit_rate": 500_000, "max_bit_rate": null, "gop": null },
                { "name": "180p", "codec": "h264", "height": 180, "frame_rate": null, "bit_rate": 200_000, "max_bit_rate": null, "gop": null },
            ],
            "audio": [{ "name": "stereo", "codec": "aac", "layout": "stereo", "bit_rate": 96_000, "sample_rate": 48_000, "loudness": null }],
        },
        "transcoder": "main",
    })
}

async fn serve(
    target: &Target,
    spec: Value,
    cx: ServiceContext,
    stop: &Stop,
) -> Result<JoinHandle<Result<()>>> {
    let Start::Service(start) = target.start else { panic!("{} is no service", target.name) };
    let service = start(spec, cx).await?;
    let (ready, mut is_ready) = Ready::new();
    let task = tokio::spawn(service.run(ready, stop.clone()));
    is_ready.wait_for(|ready| *ready).await.unwrap();
    Ok(task)
}
