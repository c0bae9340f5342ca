//! Each resource from its creation to its end: empty second plan, update in place, drift repaired, import, nothing left.

use std::path::PathBuf;
use std::process::Command;

use streamverse_acceptance::{ADDRESS, Node, binaries};
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, value, with_each};

use crate::kit::{asset, clip, edge, get, origin, stores};

#[test]
fn stores_and_an_origin_live_on_a_node() -> Result<(), Failure> {
    let clis = Cli::all()?;
    with_each(&clis, |cli| {
        let Some(node) = Node::start() else { return Case::new(cli).run() };
        let [port, ..] = node.ports;
        let config = |memory: &str| format!("{}{}{}", node.block(), stores(), origin(port, memory));
        let at = "streamverse_origin.main";
        Case::new(cli)
            .provider(ADDRESS, node.provider())
            .step(
                Step::apply(config("64MiB"))
                    .plan(action(at, Action::Create))
                    .state(value(at, "address", format!("http://127.0.0.1:{port}").as_str()))
                    .state(value("streamverse_object_store.media", "url", "file://default/media"))
                    .state(value("streamverse_catalogue.main", "url", "sqlite://default/main")),
            )
            .step(Step::apply(config("32MiB")).plan(action(at, Action::Update)))
            .step(
                Step::reapply()
                    .named("somebody emptied what it has")
                    .before(|_| {
                        node.behind("origin", "main", true)?;
                        Ok(())
                    })
                    .plan(action(at, Action::Update)),
            )
            .step(
                Step::reapply()
                    .named("somebody removed it")
                    .before(|_| {
                        node.behind("origin", "main", false)?;
                        Ok(())
                    })
                    .plan(action(at, Action::Create)),
            )
            .step(Step::import(at, Id::attribute("name")))
            .step(Step::import("streamverse_object_store.media", Id::attribute("name")))
            .step(Step::import("streamverse_event_log.work", Id::attribute("name")))
            .check_destroyed(|_| node.nothing_left().map_err(Into::into))
            .run()
    })
}

#[test]
fn an_edge_is_changed_without_a_gap_and_a_bad_change_is_refused() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [port, front, _] = node.ports;
    let config =
        |rest: &str| format!("{}{}{}{}", node.block(), stores(), origin(port, "64MiB"), edge(front, rest));
    let at = "streamverse_ats_edge.main";
    let serves = |_: &tfplugin_testing::cli::Context<'_>| {
        let (status, _) = get(&format!("http://127.0.0.1:{front}/catalogue.json"));
        if status == 200 { Ok(()) } else { Err(format!("the edge answers {status}").into()) }
    };
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config("")).plan(action(at, Action::Create)).after(serves))
        .step(
            Step::apply(config("cache = { manifests = \"5s\" }"))
                .named("a reload")
                .plan(action(at, Action::Update))
                .after(serves),
        )
        .step(
            Step::apply(config("plugins = [\"absent.so\"]"))
                .named("a plugin that is not there")
                .expect_plan_error("absent\\.so"),
        )
        .step(Step::apply(config("")).named("back again").after(serves))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

/// What was made of the asset.
const MADE: &str = "\ndata \"streamverse_vod_asset\" \"film\" { name = streamverse_vod_asset.film.name }\n";

#[test]
fn an_asset_follows_its_transcoder_to_other_stores() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [port, ..] = node.ports;
    let (file, digest) = clip(&node, "one.mp4", 3);
    let config = |store: &str| {
        let all = format!("{}{}{}{}", node.block(), stores(), origin(port, "64MiB"), asset(&file, &digest))
            + "\nresource \"streamverse_object_store\" \"other\" { name = \"other\" }\n"
            + "resource \"streamverse_catalogue\" \"other\" { name = \"other\" }\n";
        all.replace(
            "transcoder = streamverse_transcoder.main.name",
            "transcoder = streamverse_transcoder.main.name\n  stores = streamverse_transcoder.main.stores",
        )
        .replace("= streamverse_object_store.media.url", &format!("= streamverse_object_store.{store}.url"))
        .replace(
            "= streamverse_catalogue.main.url",
            &format!("= streamverse_catalogue.{}.url", if store == "media" { "main" } else { "other" }),
        )
    };
    let plays = |_: &tfplugin_testing::cli::Context<'_>| {
        let (status, master) = get(&format!("http://127.0.0.1:{port}/vod/film/hls.m3u8"));
        if status == 200 && master.contains("180p") {
            Ok(())
        } else {
            Err(format!("{status}: {master}").into())
        }
    };
    let at = "streamverse_vod_asset.film";
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config("media")).plan(action(at, Action::Create)).after(plays))
        .step(
            Step::apply(config("other"))
                .named("the transcoder and the origin have other stores")
                .plan(action(at, Action::Update))
                .expect_warning("stays in the other store")
                .after(plays),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn an_asset_is_made_shown_made_anew_and_taken_away() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [port, ..] = node.ports;
    let (first, one) = clip(&node, "one.mp4", 5);
    let (second, two) = clip(&node, "two.mp4", 7);
    let config = |file, digest: &str| {
        format!("{}{}{}{}", node.block(), stores(), origin(port, "64MiB"), asset(file, digest))
    };
    let at = "streamverse_vod_asset.film";
    let plays = |segments: usize| {
        move |_: &tfplugin_testing::cli::Context<'_>| {
            let (status, master) = get(&format!("http://127.0.0.1:{port}/vod/film/hls.m3u8"));
            let (_, mpd) = get(&format!("http://127.0.0.1:{port}/vod/film/dash.mpd"));
            if status != 200 || !master.contains("180p/index.m3u8") || !mpd.contains("<MPD") {
                return Err(format!("{status}: {master}").into());
            }
            // The media playlist lies beside the master, behind its redirect.
            let said = std::process::Command::new("curl")
                .args([
                    "-sL",
                    "--max-time",
                    "10",
                    "-o",
                    "/dev/null",
                    "-w",
                    "%{url_effective}",
                    &format!("http://127.0.0.1:{port}/vod/film/hls.m3u8"),
                ])
                .output()?;
            let address = String::from_utf8_lossy(&said.stdout).replace("hls.m3u8", "video/180p/index.m3u8");
            let (_, list) = get(&address);
            let found = list.matches("#EXTINF").count();
            if found == segments { Ok(()) } else { Err(format!("{found} segments: {list}").into()) }
        }
    };
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config(&first, &one)).state(value(at, "duration_ms", 5000)).after(plays(3)))
        .step(
            Step::apply(config(&first, &one) + MADE)
                .named("what was made is read")
                .state(value("data.streamverse_vod_asset.film", "duration_ms", 5000))
                .state(value("data.streamverse_vod_asset.film", "renditions[0].name", "180p"))
                .state(value("data.streamverse_vod_asset.film", "renditions[0].height", 180)),
        )
        .step(
            Step::apply(config(&second, &two))
                .named("another digest")
                .plan(action(at, Action::Update))
                .after(plays(4)),
        )
        .step(
            Step::apply(config(&first, &two))
                .named("a file that is not what is declared")
                .expect_apply_error("(?s)digest"),
        )
        .step(Step::apply(config(&second, &two)).named("as before").after(plays(4)))
        .step(Step::replan().named("after a rehearsal").before(|_| rehearsal(&node).map_err(Into::into)))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

/// Files below a folder whose path has a word.
fn below(folder: &std::path::Path, word: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            below(&path, word, found);
        } else if path.to_string_lossy().contains(word) {
            found.push(path);
        }
    }
}

/// The queue of the node's transcoder is given work for two seconds, and then nothing of it is left.
fn rehearsal(node: &Node) -> Result<(), String> {
    let mut contexts = Vec::new();
    below(node.folder(), "context.json", &mut contexts);
    let of_transcoder =
        |it: &PathBuf| std::fs::read_to_string(it).is_ok_and(|it| it.contains("\"service/transcoder\""));
    contexts.retain(of_transcoder);
    let Some(context) = contexts.first() else { return Err("no context of the transcoder".to_owned()) };
    let (spec, context) =
        (context.with_file_name("spec.json").display().to_string(), context.display().to_string());
    let run = |kind: &str| {
        let mut command = Command::new(binaries().join("streamverse"));
        command.args([
            "simulate",
            "load",
            "--type",
            kind,
            "--duration",
            "300",
            "--most",
            "6",
            "--waiting",
            "4",
            "--height",
            "90",
            "--spec",
            &spec,
            "--context",
            &context,
        ]);
        let said = command.output().map_err(|error| error.to_string())?;
        let told =
            format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        Ok::<_, String>((said.status.success(), told))
    };
    let (success, told) = run("cpu")?;
    if !success || !told.contains("waiting: 0 before") || !told.contains("0 now") || !told.contains("settle")
    {
        return Err(told);
    }
    let (success, told) = run("gpu")?;
    if success || !told.contains("h264_nvenc") {
        return Err(format!("without a GPU: {told}"));
    }
    let mut left = Vec::new();
    below(node.folder(), "rehearsal-", &mut left);
    if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
}

#[test]
fn a_duration_that_only_the_job_can_find_out_is_known_when_it_is_made() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [port, ..] = node.ports;
    let (file, digest) = clip(&node, "film.mp4", 3);
    let beside = format!("{}{}{}", node.block(), stores(), origin(port, "32MiB"));
    // In the transcoder's own store, which the agent cannot look into.
    let film = asset(&file, &digest).replace(&format!("file://{}", file.display()), "s3://media/in/film.mp4");
    let at = "streamverse_vod_asset.film";
    let made = || {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(90);
        while get(&format!("http://127.0.0.1:{port}/vod/film/hls.m3u8")).0 != 200 {
            if std::time::Instant::now() > until {
                return Err("it is not made".into());
            }
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        Ok(())
    };
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(beside.clone()).after(|_| {
            let folder = node.folder().join("data/test/stores/media/in");
            std::fs::create_dir_all(&folder)?;
            std::fs::copy(&file, folder.join("film.mp4"))?;
            Ok(())
        }))
        .step(
            Step::apply(format!("{beside}{film}"))
                .named("nobody can look at it yet")
                .expect_warning("The source was not looked at")
                .state(value(at, "duration_ms", 3000))
                .after(|_| made()),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
