//! Keys leave and come: a CPIX document that PyPI's cpix reads and validates and PyPI's cryptography decrypts, another
//! key service, with another key-encryption key, whose keys then decode what was encrypted before, a backup, and who asked
//! for what. A whole catalogue moves in `moved.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use streamverse_acceptance::{ADDRESS, Node, secrets};
use streamverse_core::stores::ContentKey;
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::kit::{ACCESS, Files, KEK, OTHER_KEK, by_secret, keys, must, obtain, planted, service, text};

/// Reads a document with programs that are not ours, and prints what they found.
const READER: &str = r#"
import base64, json, sys
import cpix
from lxml import etree
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

text = open(sys.argv[1], "rb").read()
private = serialization.load_pem_private_key(open(sys.argv[2], "rb").read(), None)
valid, why = cpix.validate(text)
document = cpix.parse(text)
oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
opened = lambda value: private.decrypt(base64.b64decode(value), oaep)
delivery = document.delivery_datas[0]
key, mac_key = opened(delivery.document_key.cipher_value), opened(delivery.mac_method.cipher_value)
tracks = {str(rule.kid): rule.intended_track_type for rule in document.usage_rules}
keys = []
for one in document.content_keys:
    sealed = base64.b64decode(one.cek)
    mac = hmac.HMAC(mac_key, hashes.SHA512())
    mac.update(sealed)
    mac.verify(base64.b64decode(one.value_mac))
    cipher = Cipher(algorithms.AES256(key), modes.CBC(sealed[:16])).decryptor()
    plain = cipher.update(sealed[16:]) + cipher.finalize()
    keys.append({"kid": str(one.kid), "key": plain[:-plain[-1]].hex(), "track": tracks[str(one.kid)]})
print(json.dumps({"valid": valid, "why": str(why), "version": document.version, "asset": document.content_id,
    "certificate": delivery.delivery_key.certificate, "rules": document.validate_content()[0], "keys": keys}))
"#;

fn hex(key: &ContentKey) -> String {
    key.secret().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn python(script: &str, args: &[&std::path::Path]) -> Option<Value> {
    let Some(site) = std::env::var_os("STREAMVERSE_PYTHON_SITE") else {
        assert!(std::env::var_os("CI").is_none(), "STREAMVERSE_PYTHON_SITE is missing");
        eprintln!("SKIPPED: STREAMVERSE_PYTHON_SITE is not set: `cargo xtask tools` prints it");
        return None;
    };
    let said =
        Command::new("python3").arg("-c").arg(script).args(args).env("PYTHONPATH", site).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    Some(serde_json::from_slice(&said.stdout).unwrap())
}

/// Media that Shaka Packager encrypts with a key, as the pipeline has it do: two seconds of 25 pictures each.
fn encrypted(node: &Node, files: &Files, scheme: &str, key: &ContentKey) -> PathBuf {
    let (clear, out) = (files.path("clear.mp4"), files.path(&format!("{scheme}.mp4")));
    let drawn = Command::new(node.tool("ffmpeg"))
        .args([
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=320x180:r=25:d=2",
            "-pix_fmt",
            "yuv420p",
        ])
        .args(["-c:v", "libx264", "-preset", "ultrafast"])
        .arg(&clear)
        .status();
    assert!(drawn.unwrap().success());
    let packed = Command::new(node.tool("packager"))
        .arg(format!("in={},stream=video,output={}", clear.display(), out.display()))
        .args(["--enable_raw_key_encryption", "--clear_lead", "0", "--protection_scheme", scheme])
        .arg(format!("--keys=label=:key_id={}:key={}", key.kid.hex(), hex(key)))
        .output()
        .unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    out
}

/// How many pictures ffmpeg decodes of a file with a key, and whether without a complaint.
fn decoded(node: &Node, file: &Path, key: &ContentKey) -> (usize, bool) {
    let said = Command::new(node.tool("ffmpeg"))
        .args(["-v", "error", "-nostdin", "-decryption_key", &hex(key), "-i"])
        .arg(file)
        .args(["-f", "framemd5", "-"])
        .output()
        .unwrap();
    let lines = String::from_utf8_lossy(&said.stdout).into_owned();
    let frames = lines.lines().filter(|line| !line.starts_with('#')).count();
    (frames, said.status.success() && said.stderr.is_empty())
}

#[test]
fn keys_move_to_another_service_in_a_document_that_others_read_too() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let files = Files::new();
    let access = files.private("access", &text(&ACCESS));
    let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&rsa).unwrap().pem();
    let private = files.private("recipient.key", &rsa.serialize_pem());
    let recipient = files.path("recipient.pem");
    std::fs::write(&recipient, &certificate).unwrap();
    let [here, there, third] = node.ports;
    let kek = |variable: &str| format!("key_encryption_key = {}", by_secret(variable));
    let config = format!(
        "{}{}{}{}",
        node.block(),
        service("main", here, &kek("PLANTED_KEK")),
        service("there", there, &kek("PLANTED_OTHER_KEK")),
        service("third", third, &kek("PLANTED_KEK")),
    );
    let path = |name: &str| files.path(name).display().to_string();
    let (document, whole, backup) = (path("film.cpix.xml"), path("all.cpix.xml"), path("backup.json"));
    let (recipient, key_file) = (recipient.display().to_string(), private.display().to_string());
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .env("PLANTED_ACCESS", text(&ACCESS))
        .env("PLANTED_KEK", text(&KEK))
        .env("PLANTED_OTHER_KEK", text(&OTHER_KEK))
        .step(Step::apply(config).expect_no_warnings().after(|_| {
            let (film, other) = (obtain(here, "film", 0..5), obtain(here, "other", 0..3));
            let all = [film.clone(), other.clone()].concat();
            let run = |port: u16, words: &[&str]| keys(&node, port, &access, words);
            must(&run(here, &["export", "--recipient", &recipient, "--asset", "film", "--out", &document]));
            must(&run(here, &["export", "--recipient", &recipient, "--out", &whole]));
            must(&run(here, &["backup", "--out", &backup]));
            for file in [&document, &whole, &backup] {
                use std::os::unix::fs::PermissionsExt as _;
                let about = std::fs::metadata(file).unwrap();
                assert_eq!(about.permissions().mode() & 0o777, 0o600, "{file}");
                let text = std::fs::read(file).unwrap();
                for form in planted(&all) {
                    assert!(!text.windows(form.len()).any(|part| part == form), "{file} has a key in clear");
                }
            }
            assert!(!run(here, &["backup", "--out", &backup]).status.success(), "nothing is written over");
            if let Some(found) = python(READER, &[document.as_ref(), private.as_path()]) {
                assert_eq!(found["valid"], true, "{}", found["why"]);
                assert_eq!(
                    (&found["version"], &found["asset"], &found["rules"]),
                    (&"2.4".into(), &"film".into(), &true.into())
                );
                let pem: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
                assert_eq!(found["certificate"], pem);
                let read: BTreeMap<String, String> = found["keys"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|it| {
                        (it["kid"].as_str().unwrap().to_owned(), it["key"].as_str().unwrap().to_owned())
                    })
                    .collect();
                let ours: BTreeMap<String, String> =
                    film.iter().map(|key| (key.kid.to_string(), hex(key))).collect();
                assert_eq!(read, ours);
                assert!(found["keys"].as_array().unwrap().iter().all(|it| it["track"] == "all"));
            }
            // Another service, under another key-encryption key: the same keys.
            let taken = must(&run(there, &["import", &whole, "--private-key-file", &key_file]));
            assert!(taken.starts_with("8 of 8 keys"), "{taken}");
            let again = must(&run(there, &["import", &whole, "--private-key-file", &key_file]));
            assert!(again.starts_with("0 of 8 keys"), "{again}");
            assert_eq!(obtain(there, "film", 0..5), film);
            assert_eq!(obtain(there, "other", 0..3), other);
            // What is encrypted with a key of here decodes with the one of there, and with no other key.
            let moved = obtain(there, "film", 0..5);
            for (scheme, number) in [("cbcs", 0), ("cenc", 4)] {
                let media = encrypted(&node, &files, scheme, &film[number]);
                assert_eq!(decoded(&node, &media, &moved[number]), (50, true), "{scheme}");
                let wrong = decoded(&node, &media, &moved[2]);
                assert!(!wrong.1, "{scheme}: {wrong:?}");
            }
            // A backup is of use under its own key-encryption key alone.
            let refused = run(there, &["restore", &backup]);
            let told = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(
                !refused.status.success() && told.contains("sealed under the key-encryption key"),
                "{told}"
            );
            let restored = must(&run(third, &["restore", &backup]));
            assert!(restored.starts_with("8 of 8 keys"), "{restored}");
            assert_eq!(obtain(third, "film", 0..5), film);
            // Who asked for which.
            let log = must(&run(here, &["audit", "--json", "--kid", &film[0].kid.to_string()]));
            let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let told: Vec<(&str, &str)> = lines
                .iter()
                .map(|it| (it["client"].as_str().unwrap(), it["what"].as_str().unwrap()))
                .collect();
            assert_eq!(
                told,
                [
                    ("test/packager", "obtain"),
                    ("operator/test", "find"),
                    ("operator/test", "find"),
                    ("operator/test", "backup"),
                ]
            );
            secrets::planted_nowhere(&node, &planted(&all)).map_err(Into::into)
        }))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
