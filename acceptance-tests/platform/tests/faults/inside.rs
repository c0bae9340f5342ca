//! A service inside of the agent, with the real program.

use std::process::{Command, Stdio};
use std::time::Duration;

use streamverse_acceptance::Node;
use streamverse_model::platform::Isolation;
use streamverse_sites::Site as _;
use streamverse_sites::node::{NodeConfig, NodeSite};

use crate::parts::{gone, log, ready, run, until};

/// An agent that runs services as its own user, with folders of its own.
struct Agent<'n>(&'n Node, std::process::Child);

impl<'n> Agent<'n> {
    fn start(node: &'n Node) -> Agent<'n> {
        let child = Command::new(node.folder().join("streamverse"))
            .args(["node", "run", "--data"])
            .arg(node.folder().join("own"))
            .arg("--run")
            .arg(node.folder().join("r"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Agent(node, child);
        for _ in 0..600 {
            if std::os::unix::net::UnixStream::connect(node.folder().join("r/node.sock")).is_ok() {
                return agent;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the agent does not answer");
    }

    fn site(&self) -> NodeSite {
        NodeSite::new(NodeConfig::socket("default", self.0.folder().join("r/node.sock")))
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        let _ = self.1.kill();
        let _ = self.1.wait();
    }
}

#[test]
fn a_service_inside_of_the_agent_has_no_process_and_comes_back_with_the_next_agent() {
    let Some(node) = Node::start() else { return };
    let bundle = log("one", 256 << 20, Isolation::InProcess);
    let apart = log("one", 256 << 20, Isolation::Process);
    let mut agent = Agent::start(&node);
    run(async {
        let site = agent.site();
        site.apply(&bundle, &[]).await.unwrap();
        let status = until(&site, &bundle.owner, "ready", ready).await;
        assert_eq!((status.pids, status.restarts), (vec![agent.1.id()], 0));
    });
    // A crash of the agent ends it; nothing is torn, and the next agent starts it.
    drop(agent);
    agent = Agent::start(&node);
    run(async {
        let site = agent.site();
        until(&site, &bundle.owner, "ready", ready).await;
        // Moved into a process and back, it is one after the other: an event log has one owner.
        for _ in 0..2 {
            site.apply(&apart, &[]).await.unwrap();
            let pid =
                until(&site, &bundle.owner, "a process", |it| ready(it) && it.pids != [agent.1.id()]).await;
            assert_eq!(pid.pids.len(), 1);
            site.apply(&bundle, &[]).await.unwrap();
            until(&site, &bundle.owner, "inside", |it| ready(it) && it.pids == [agent.1.id()]).await;
        }
        gone(&site, &bundle.owner).await;
    });
    assert!(!node.folder().join("own/test").exists());
}
