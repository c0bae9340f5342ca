//! Memory, disk, ports and programs of the host.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use streamverse_acceptance::{ADDRESS, Node};
use streamverse_model::platform::{Isolation, Object, Owner, Phase};
use streamverse_sites::{Class, Site as _};
use tfplugin_testing::cli::{Case, Cli, Failure, Step, not_tainted};

use crate::kit;
use crate::parts::{because, gone, log, look, ready, run, skipped, until};

#[test]
fn a_service_that_holds_more_than_its_limit_is_ended_says_so_and_is_left_alone_with_a_larger_one() {
    let Some(node) = Node::start() else { return };
    run(async {
        let site = node.site();
        // No program of ours lives on half a mebibyte.
        let (small, large) =
            (log("one", 512 << 10, Isolation::Process), log("one", 256 << 20, Isolation::Process));
        let other = log("two", 256 << 20, Isolation::Process);
        site.apply(&other, &[]).await.unwrap();
        let before = until(&site, &other.owner, "ready", ready).await;
        site.apply(&small, &[]).await.unwrap();
        let ended = until(&site, &small.owner, "ended for its memory", because("memory-limit")).await;
        let text = ended.reason.unwrap().text;
        assert!(text.contains("its limit is 0 MiB") && text.contains(" MiB of memory"), "{text}");
        until(&site, &small.owner, "ended again", |it| it.restarts >= 3).await;
        site.apply(&large, &[]).await.unwrap();
        let settled = until(&site, &large.owner, "ready", ready).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let after = until(&site, &large.owner, "ready still", ready).await;
        assert_eq!(after.pids, settled.pids);
        assert_eq!(until(&site, &other.owner, "ready still", ready).await.pids, before.pids);
        gone(&site, &small.owner).await;
        gone(&site, &other.owner).await;
    });
    node.nothing_left().unwrap();
}

/// A small disk of its own, until it is dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(place: &Path) -> Option<Disk> {
        std::fs::create_dir_all(place).ok()?;
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m,mode=755", "tmpfs"])
            .arg(place)
            .output()
            .ok()?;
        done.status.success().then(|| Disk(place.to_owned()))
    }

    fn fill(&self) {
        let stuffing = self.0.join("stuffing");
        // Until nothing more goes on it; the program says that it could not write, which is the point.
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=4k"])
            .arg(format!("of={}", stuffing.display()))
            .output();
    }

    fn free(&self) {
        let _ = std::fs::remove_file(self.0.join("stuffing"));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        if let Some(folder) = self.0.parent() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

#[test]
fn on_a_full_disk_everything_says_so_nothing_is_lost_and_it_goes_on_when_there_is_space() {
    // Dropped last: the agent must have let go of it.
    let mut disk = None;
    let Some(mut node) = Node::start_with(|folder| {
        disk = Disk::mount(&folder.join("data"));
        Vec::new()
    }) else {
        return;
    };
    let Some(disk) = &disk else { return skipped("no tmpfs can be mounted here") };
    let (one, two) = (log("one", 256 << 20, Isolation::Process), log("two", 256 << 20, Isolation::Process));
    let mut changed = one.clone();
    changed.labels.insert("changed".to_owned(), "yes".to_owned());
    let pid = run(async {
        let site = node.site();
        site.apply(&one, &[]).await.unwrap();
        let pid = until(&site, &one.owner, "ready", ready).await.pids[0];
        disk.fill();
        // What cannot be kept is refused, in words, and what is held stays what it was.
        for bundle in [&two, &changed] {
            let error = site.apply(bundle, &[]).await.unwrap_err();
            assert_eq!(error.class, Class::Retry);
            assert!(format!("{error}").contains("No space left on device"), "{error}");
        }
        assert!(site.observe(&two.owner).await.unwrap().is_none());
        assert_eq!(site.observe(&one.owner).await.unwrap().unwrap().revision, one.revision());
        // What is held and must be started again waits, and says for what.
        assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
        let status = until(&site, &one.owner, "waiting for space", because("disk-full")).await;
        assert!(status.phase == Phase::Waiting || status.phase == Phase::Starting, "{status:?}");
        assert!(status.pids.is_empty(), "{status:?}");
        pid
    });
    // The agent, too, comes up on a full disk, with what it held.
    node.kill_agent();
    node.start_agent();
    run(async {
        let site = node.site();
        let held = site.observe(&one.owner).await.unwrap().unwrap();
        assert_eq!(held.revision, one.revision());
        assert!(site.describe().await.unwrap().problems.iter().any(|it| it.contains("MiB left")));
        until(&site, &one.owner, "waiting still", because("disk-full")).await;
        disk.free();
        let status = until(&site, &one.owner, "ready by itself", ready).await;
        assert_ne!(status.pids, [pid]);
        site.apply(&changed, &[]).await.unwrap();
        site.apply(&two, &[]).await.unwrap();
        until(&site, &two.owner, "ready", ready).await;
        for owner in [&one.owner, &two.owner] {
            gone(&site, owner).await;
        }
    });
    node.nothing_left().unwrap();
}

#[test]
fn a_tool_that_is_not_there_is_named_by_the_job_that_needs_it() {
    let Some(node) = Node::start() else { return };
    std::fs::remove_file(node.tool("ffprobe")).unwrap();
    let file = node.folder().join("film.bin");
    std::fs::write(&file, b"some bytes").unwrap();
    let bundle = look("one", &file.display().to_string());
    run(async {
        let site = node.site();
        site.apply(&bundle, &[]).await.unwrap();
        let status = until(&site, &bundle.owner, "failed", |it| it.phase == Phase::Failed).await;
        let reason = status.reason.unwrap();
        assert_eq!(reason.code, "binary-missing");
        assert!(reason.text.contains("ffprobe is not installed"), "{}", reason.text);
        gone(&site, &bundle.owner).await;
    });
}

fn serves(port: u16, within: Duration) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let until = Instant::now() + within;
    while Instant::now() < until {
        if kit::get(&format!("http://127.0.0.1:{port}/catalogue.json")).0 == 200 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    Err(format!("nothing serves on port {port}").into())
}

#[test]
fn a_port_that_another_process_holds_is_a_warning_that_names_it_and_no_taint() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [port, ..] = node.ports;
    let holder = std::cell::RefCell::new(Some(TcpListener::bind(("127.0.0.1", port)).unwrap()));
    let origin =
        kit::origin(port, "64MiB").replace("  memory ", "  timeouts = { create = \"8s\" }\n  memory ");
    let at = "streamverse_origin.main";
    let us = std::process::id();
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(
            Step::apply(format!("{}{}{origin}", node.block(), kit::stores()))
                .named("somebody else has the port, and the time is short")
                .expect_warning(&format!("(?s)not ready.*port {port} is taken by process {us}"))
                .state(not_tainted(at)),
        )
        .step(
            Step::reapply()
                .named("the port is free")
                .before(|_| {
                    holder.borrow_mut().take();
                    // Nobody applies anything: it is tried again by itself.
                    serves(port, Duration::from_secs(60))
                })
                .state(not_tainted(at)),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn an_engine_that_is_not_installed_is_named_and_found_once_it_is() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(mut node) = Node::start() else { return Ok(()) };
    let programs = node.folder().join("programs");
    std::fs::create_dir(&programs).unwrap();
    let link = |name: &str| {
        let found = ["/usr/bin", "/bin", "/usr/sbin"]
            .iter()
            .map(|it| Path::new(it).join(name))
            .find(|it| it.exists());
        std::os::unix::fs::symlink(found.unwrap(), programs.join(name))
    };
    for name in ["sh", "setsid", "setpriv", "prlimit"] {
        link(name).unwrap();
    }
    node.kill_agent();
    node.finds_programs_in(programs.clone());
    node.start_agent();
    let [port, front, _] = node.ports;
    let owner = Owner::new("test", "ats-edge", "main").unwrap();
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(
            Step::apply(format!(
                "{}{}{}{}",
                node.block(),
                kit::stores(),
                kit::origin(port, "64MiB"),
                kit::edge(front, "")
            ))
            .expect_warning("(?s)not ready.*Traffic Server is not installed on this host")
            .expect_non_empty_plan("what failed is tried again by the next apply")
            .allow_drift("what failed is tried again by the next apply")
            .state(not_tainted("streamverse_ats_edge.main"))
            .after(|_| {
                let status = run(async {
                    until(&node.site(), &owner, "refused", |it| it.phase == Phase::Failed).await
                });
                assert_eq!(status.reason.unwrap().code, "binary-missing");
                Ok(())
            }),
        )
        .step(Step::reapply().named("it is installed, and nobody applies anything").before(|_| {
            for name in ["traffic_server", "traffic_manager", "traffic_ctl"] {
                link(name)?;
            }
            serves(front, Duration::from_secs(90))
        }))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn an_engine_that_holds_more_than_its_limit_is_ended_with_all_its_processes_and_serves_with_a_larger_one()
-> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [port, front, _] = node.ports;
    let owner = Owner::new("test", "ats-edge", "main").unwrap();
    let config =
        format!("{}{}{}{}", node.block(), kit::stores(), kit::origin(port, "64MiB"), kit::edge(front, ""));
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config))
        .step(
            Step::reapply()
                .named("behind Terraform's back it may hold next to nothing, then what it should")
                .before(|_| {
                    run(async {
                        let site = node.site();
                        let good = site.observe(&owner).await.unwrap().unwrap().bundle;
                        let mut small = good.clone();
                        for object in &mut small.objects {
                            if let Object::Engine(engine) = object {
                                engine.resources.memory_bytes = 4 << 20;
                            }
                        }
                        site.apply(&small, &[]).await.unwrap();
                        let ended =
                            until(&site, &owner, "ended for its memory", because("memory-limit")).await;
                        let text = ended.reason.unwrap().text;
                        assert!(text.contains("its limit is 4 MiB"), "{text}");
                        site.apply(&good, &[]).await.unwrap();
                        until(&site, &owner, "ready", ready).await;
                    });
                    serves(front, Duration::from_secs(60))
                }),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
