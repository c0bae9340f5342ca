//! A key service's HCL, those who ask it, and keys to plant.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use streamverse_acceptance::{Node, is_root, secrets};
use streamverse_core::stores::key_wire::AccessKey;
use streamverse_core::stores::{ContentKey, ContentKeys as _, KeyServiceClient, KeyWanted};
use streamverse_model::drm::KeyId;

pub(crate) const AT: &str = "streamverse_key_service.main";
/// The access key and two key-encryption keys: bytes that nothing else has, whose base64 has no `+` and no `/`.
pub(crate) const ACCESS: [u8; 32] = *b"planted-access-key-of-32-bytes!a";
pub(crate) const KEK: [u8; 32] = *b"planted-key-encryption-key-one!b";
pub(crate) const OTHER_KEK: [u8; 32] = *b"planted-key-encryption-key-two!c";

pub(crate) fn text(key: &[u8; 32]) -> String {
    STANDARD.encode(key)
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A key service at a port with this in its block.
pub(crate) fn service(name: &str, port: u16, rest: &str) -> String {
    format!(
        r#"
resource "streamverse_catalogue" "{name}" {{ name = "{name}" }}
resource "streamverse_key_service" "{name}" {{
  name           = "{name}"
  port           = {port}
  catalogue      = streamverse_catalogue.{name}.url
  access_key_ref = "env:PLANTED_ACCESS"
  {rest}
}}
"#
    )
}

pub(crate) fn by_secret(variable: &str) -> String {
    format!("{{ secret = {{ value_ref = \"env:{variable}\" }} }}")
}

/// Files beside the node's: what is in the node's folder is searched.
pub(crate) struct Files(pub(crate) tempfile::TempDir);

impl Files {
    pub(crate) fn new() -> Files {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Files(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with the mode 0600 of the user that services run as.
    pub(crate) fn private(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        for (program, word) in [("chmod", "600"), ("chown", "trafficserver")] {
            if program == "chmod" || is_root() {
                assert!(Command::new(program).arg(word).arg(&path).status().unwrap().success());
            }
        }
        path
    }
}

/// Somebody who knows the access key.
pub(crate) fn client(port: u16) -> KeyServiceClient {
    let access = AccessKey::parse(&text(&ACCESS)).unwrap();
    KeyServiceClient::new(&format!("127.0.0.1:{port}"), "test/packager", access).unwrap()
}

pub(crate) fn wanted(asset: &str, numbers: std::ops::Range<u32>) -> Vec<KeyWanted> {
    let one = |number| KeyWanted {
        kid: KeyId::derive("test", asset, "g", "all", number),
        asset: asset.to_owned(),
        track: "all".to_owned(),
    };
    numbers.map(one).collect()
}

pub(crate) fn obtain(port: u16, asset: &str, numbers: std::ops::Range<u32>) -> Vec<ContentKey> {
    runtime().block_on(client(port).obtain(&wanted(asset, numbers))).unwrap()
}

/// All forms of everything that must be nowhere: the planted keys, and these content keys.
pub(crate) fn planted(keys: &[ContentKey]) -> Vec<Vec<u8>> {
    let all = [&ACCESS[..], &KEK, &OTHER_KEK].into_iter().chain(keys.iter().map(|key| &key.secret()[..]));
    all.flat_map(secrets::forms).collect()
}

/// `streamverse keys …` as an operator calls it, with the access key in a file.
pub(crate) fn keys(node: &Node, port: u16, access: &Path, words: &[&str]) -> Output {
    Command::new(node.folder().join("streamverse"))
        .args([
            "keys",
            "--service",
            &format!("127.0.0.1:{port}"),
            "--as",
            "operator/test",
            "--access-key-file",
        ])
        .arg(access)
        .args(words)
        .output()
        .unwrap()
}

pub(crate) fn must(said: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{text}");
    text
}
