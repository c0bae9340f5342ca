//! TLS at the edge: its private key is a secret of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use streamverse_acceptance::{ADDRESS, Node, kit};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

/// A certificate of its own authority, and its key.
fn certificate(folder: &Path, name: &str) -> (String, String) {
    let (key, cert) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.pem")));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"])
        .arg(format!("/CN={name}"))
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (std::fs::read_to_string(cert).unwrap(), std::fs::read_to_string(key).unwrap())
}

#[test]
fn an_edge_speaks_tls_and_its_key_is_nowhere_to_be_read() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [port, front, secure] = node.ports;
    let (one, two) = (certificate(node.folder(), "one"), certificate(node.folder(), "two"));
    let config = |tls: &str, key: &str| {
        format!(
            "{}{}{}{}",
            node.block(),
            kit::stores(),
            kit::origin(port, "64MiB"),
            kit::edge(front, &format!("{tls}\n  {key}"))
        )
    };
    let tls = |pem: &str| format!("tls = {{ port = {secure}, certificate = {pem:?} }}");
    let key =
        |pem: &str, version: u32| format!("private_key_wo = {pem:?}\n  private_key_wo_version = {version}");
    // A line in the middle of the key: it is in no other file.
    let planted = one.1.lines().nth(5).unwrap().to_owned();
    let speaks = |name: &'static str| {
        let folder = node.folder().to_owned();
        move |_: &tfplugin_testing::cli::Context<'_>| {
            let said = Command::new("curl")
                .args([
                    "-sS",
                    "--max-time",
                    "20",
                    "--retry",
                    "20",
                    "--retry-delay",
                    "1",
                    "--retry-all-errors",
                ])
                .args(["-o", "/dev/null", "-w", "%{http_code}", "--cacert"])
                .arg(folder.join(format!("{name}.pem")))
                .arg(format!("https://127.0.0.1:{secure}/catalogue.json"))
                .output()?;
            let code = String::from_utf8_lossy(&said.stdout).into_owned();
            if code == "200" {
                return Ok(());
            }
            Err(format!("{code} {}", String::from_utf8_lossy(&said.stderr)).into())
        }
    };
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .secrets_absent(&[planted.as_str()])
        .step(Step::apply(config(&tls(&one.0), "")).expect_plan_error("TLS without a private key"))
        .step(
            Step::apply(config("", "private_key_ref = \"file:/nowhere\""))
                .expect_plan_error("A private key without TLS"),
        )
        .step(Step::apply(config(&tls(&one.0), &key(&one.1, 1))).after(speaks("one")))
        .step(
            Step::apply(config(&tls(&two.0), &key(&two.1, 2)))
                .named("another certificate")
                .after(speaks("two")),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
