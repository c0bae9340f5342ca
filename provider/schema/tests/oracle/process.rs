//! The oracle as a process: built if need be, asked line by line, never waited for without a deadline.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value as Json, json};
use tfplugin_schema::Type;

const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const BUILD_LIMIT: Duration = Duration::from_secs(300);

/// What the oracle says.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) ty: Vec<u8>,
    pub(crate) msgpack: Vec<u8>,
    pub(crate) json: Option<Vec<u8>>,
    pub(crate) same: bool,
    pub(crate) value: String,
    pub(crate) error: String,
}

pub(crate) enum Encoding<'a> {
    Msgpack(&'a [u8]),
    Json(&'a [u8]),
}

pub(crate) fn generate(seed: u64, count: u64) -> Json {
    json!({"op": "generate", "seed": seed, "count": count})
}

pub(crate) fn decode_msgpack(ty: &Type, wire: &[u8]) -> Json {
    json!({"op": "decode", "type": type_json(ty), "msgpack": BASE64_STANDARD.encode(wire)})
}

pub(crate) fn decode_json(ty: &Type, text: &[u8]) -> Json {
    json!({"op": "decode", "type": type_json(ty), "json": BASE64_STANDARD.encode(text)})
}

pub(crate) fn same(ty: &Type, one: &Encoding<'_>, other: &Encoding<'_>) -> Json {
    let mut question = one.json();
    question["op"] = "same".into();
    question["type"] = type_json(ty);
    question["other"] = other.json();
    question
}

impl Encoding<'_> {
    fn json(&self) -> Json {
        match self {
            Encoding::Msgpack(wire) => json!({"msgpack": BASE64_STANDARD.encode(wire)}),
            Encoding::Json(text) => json!({"json": BASE64_STANDARD.encode(text)}),
        }
    }
}

fn type_json(ty: &Type) -> Json {
    serde_json::from_str(&ty.to_json()).unwrap()
}

pub(crate) struct Oracle {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Oracle {
    /// None, said aloud, where there is neither the oracle nor a Go to build it with; in CI that is a failure.
    pub(crate) fn start() -> Option<Oracle> {
        let Some(program) = program() else {
            let why = "neither TFPLUGIN_CODEC_ORACLE nor a go on PATH to build the codec oracle with";
            assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty() || ci == "false"), "{why}");
            eprintln!("SKIPPED: {why}");
            return None;
        };
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {}: {e}", program.display()));
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, answers) = sync_channel(64);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Some(Oracle { input: child.stdin.take(), child, answers })
    }

    /// Asks all, and waits for that many answers.
    pub(crate) fn ask(&mut self, questions: &[Json], answers: usize) -> Vec<Answer> {
        let mut lines = Vec::new();
        for question in questions {
            serde_json::to_writer(&mut lines, question).unwrap();
            lines.push(b'\n');
        }
        let mut input = self.input.take().unwrap();
        // The oracle answers while it is still being asked: who only writes would block it, and it us.
        let writer =
            std::thread::spawn(move || input.write_all(&lines).and_then(|()| input.flush()).map(|()| input));
        let found = (0..answers)
            .map(|n| match self.answers.recv_timeout(ANSWER_LIMIT) {
                Ok(line) => parse(&line),
                Err(e) => panic!("no answer {n} of {answers} from the oracle: {e}"),
            })
            .collect();
        self.input = Some(writer.join().unwrap().unwrap());
        found
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(line: &str) -> Answer {
    let json: Json = serde_json::from_str(line).unwrap();
    let bytes = |key: &str| json[key].as_str().map(|text| BASE64_STANDARD.decode(text).unwrap());
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    Answer {
        ty: bytes("type").unwrap_or_default(),
        msgpack: bytes("msgpack").unwrap_or_default(),
        json: bytes("json"),
        same: json["same"] == true,
        value: text("value"),
        error: text("error"),
    }
}

fn program() -> Option<PathBuf> {
    match std::env::var_os("TFPLUGIN_CODEC_ORACLE") {
        Some(path) if !path.is_empty() => Some(path.into()),
        _ => build(),
    }
}

// Builds the oracle into the cache, named after its content.
fn build() -> Option<PathBuf> {
    let go = std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join("go"))
        .find(|go| go.is_file())?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle");
    let mut content = DefaultHasher::new();
    for file in ["go.mod", "go.sum", "generate.go", "main.go"] {
        std::fs::read(source.join(file)).unwrap_or_else(|e| panic!("{file}: {e}")).hash(&mut content);
    }
    let cache = match std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
    };
    let folder = cache.join("streamverse/tools").join(format!("codec-oracle-test-{:016x}", content.finish()));
    let program = folder.join("codec-oracle");
    if program.is_file() {
        return Some(program);
    }
    std::fs::create_dir_all(&folder).unwrap();
    // Two tests may build at once: each its own file, and the last one stays.
    let fresh = folder.join(format!("building-{}-{:?}", std::process::id(), std::thread::current().id()));
    let mut child =
        Command::new(go).arg("build").arg("-o").arg(&fresh).arg(".").current_dir(source).spawn().unwrap();
    let started = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) => break assert!(status.success(), "go build of the codec oracle failed: {status}"),
            None if started.elapsed() > BUILD_LIMIT => {
                let _ = child.kill();
                panic!("go build of the codec oracle took longer than {BUILD_LIMIT:?}");
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    std::fs::rename(&fresh, &program).unwrap();
    Some(program)
}
