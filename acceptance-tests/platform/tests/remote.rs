//! A node agent over TCP: mutual TLS, and nothing for those whom it does not know.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

use std::process::Command;

use streamverse_acceptance::{ADDRESS, Node, certificates, free_port, kit};
use tfplugin_testing::cli::{Case, Cli, Failure, Step, value};

/// An agent that offers its API over TCP, and where.
fn listening() -> Option<(Node, String)> {
    let port = free_port();
    let node = Node::start_with(|folder| {
        let signed = [("server", "ca"), ("client", "ca"), ("stranger", "stranger-ca")];
        certificates::make(folder, &["ca", "stranger-ca"], &signed);
        let file = |name: &str| folder.join(name).display().to_string();
        let listen = format!("127.0.0.1:{port}");
        let words = ["--listen", &listen, "--certificate", &file("server.pem"), "--key", &file("server.key")];
        let mut words: Vec<String> = words.map(str::to_owned).to_vec();
        words.extend(["--client-ca".to_owned(), file("ca.pem")]);
        words
    })?;
    Some((node, format!("https://127.0.0.1:{port}")))
}

#[test]
fn a_node_elsewhere_is_reached_by_mutual_tls_alone() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some((node, address)) = listening() else { return Ok(()) };
    let block = |who: &str| {
        let file = |name: &str| node.folder().join(name).display().to_string();
        let socket = format!("socket = \"{}\"", node.socket().display());
        let tcp = format!(
            "address = \"{address}\", ca_file = \"{}\", certificate_file = \"{}\", key_file = \"{}\"",
            file("ca.pem"),
            file(&format!("{who}.pem")),
            file(&format!("{who}.key")),
        );
        node.block().replace(&socket, &tcp)
    };
    let asks = |who: Option<&str>| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", "ca.pem"]);
        if let Some(who) = who {
            curl.args(["--cert", &format!("{who}.pem"), "--key", &format!("{who}.key")]);
        }
        let said = curl.arg(format!("{address}/v1/node")).current_dir(node.folder()).output().unwrap();
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    assert_eq!(asks(Some("client")), "200");
    assert_eq!(asks(None), "000", "an answer for somebody without a certificate");
    assert_eq!(asks(Some("stranger")), "000", "an answer for a stranger");
    let [origin, ..] = node.ports;
    let rest = format!("{}{}", kit::stores(), kit::origin(origin, "64MiB"));
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(
            Step::apply(format!("{}{rest}", block("stranger")))
                .named("a stranger")
                .expect_apply_error("(?s)does not answer at https://127.0.0.1"),
        )
        .step(Step::apply(format!("{}{rest}", block("client"))).state(value(
            "streamverse_origin.main",
            "address",
            format!("http://127.0.0.1:{origin}").as_str(),
        )))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

/// What the description says is what the API does, whatever it is asked: no 5xx, no shape or status that is not described.
#[test]
fn the_api_is_as_its_description_says() {
    let Some((node, address)) = listening() else { return };
    let Some(site) = std::env::var_os("STREAMVERSE_PYTHON_SITE") else {
        assert!(std::env::var_os("CI").is_none(), "STREAMVERSE_PYTHON_SITE is not set");
        eprintln!("SKIPPED: STREAMVERSE_PYTHON_SITE is not set: `cargo xtask tools` prints it");
        return;
    };
    let seed = std::env::var("STREAMVERSE_SEED").unwrap_or_else(|_| std::process::id().to_string());
    println!("STREAMVERSE_SEED={seed}");
    let fuzz = || {
        Command::new("python3")
            .args(["-m", "schemathesis.cli", "run", "--max-examples", "40", "--no-color", "--seed", &seed])
            .args(["--phases", "examples,coverage,fuzzing", "--max-time", "30", "--request-timeout", "20"])
            .args([
                "--checks",
                "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            ])
            .args(["--suppress-health-check", "all", "--warnings", "off"])
            .args(["--tls-verify", "ca.pem", "--request-cert", "client.pem", "--request-cert-key", "client.key"])
            .arg(format!("{address}/openapi.json"))
            .env("PYTHONPATH", &site)
            .current_dir(node.folder())
            .output()
            .unwrap()
    };
    let mut said = fuzz();
    // A kept connection may be cut in the moment in which it is used again (RFC 9112 section 9.5): nothing was answered that
    // the description does not say, and the next run must find nothing.
    if !said.status.success() && String::from_utf8_lossy(&said.stdout).contains("Network Error") {
        said = fuzz();
    }
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{text}{}", String::from_utf8_lossy(&said.stderr));
    let tested =
        text.lines().find_map(|line| line.trim().strip_prefix("Tested:")?.trim().parse::<u32>().ok());
    assert!(tested.is_some_and(|count| count >= 5), "too few operations were tested: {text}");
    // Whoever fuzzes may have left owners of any deployment: the agent is well all the same.
    let well = Command::new("curl")
        .args(["-s", "--max-time", "10", "--unix-socket"])
        .arg(node.socket())
        .arg("http://n/v1/node")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&well.stdout).contains("\"version\""));
}
