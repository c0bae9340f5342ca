//! The quickstart's channel: what plays in it, how it is protected, and the viewer who may watch it.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::clips::{Clip, Role};
use super::look;
use crate::failure::{Failure, Outcome};

/// Its name.
pub(super) const CHANNEL: &str = "one";
/// Who may watch, and who may not: the page lets one choose.
const VIEWER: &str = "demo";
const STRANGER: &str = "guest";
/// Where ad breaks are: soon, so that one is seen, and then as television has them. Those after a video's end do not count.
const BREAKS: &[&str] =
    &["24s", "10m", "20m", "30m", "40m", "50m", "60m", "70m", "80m", "90m", "100m", "110m"];
/// Longer than the spot, so that slate is seen too.
const BREAK: &str = "12s";

/// Files with secrets, made once, which nobody but their owner may read.
pub(super) struct Secrets {
    folder: PathBuf,
}

impl Secrets {
    /// Makes those that are not there yet. `user` is who the key service runs as, where that is not us.
    pub(super) fn ensure(folder: PathBuf, user: Option<&str>) -> Outcome<Secrets> {
        fs::create_dir_all(&folder).map_err(|error| Failure::io("create", &folder, &error))?;
        // Whoever knows a name may ask for it; the files themselves say no.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711))
            .map_err(|error| Failure::io("close", &folder, &error))?;
        let secrets = Secrets { folder };
        for name in ["key-encryption-key", "access-key", "token-key", "admin-token"] {
            let file = secrets.file(name);
            if !file.is_file() {
                write_secret(&file)?;
            }
        }
        if let Some(user) = user {
            let run = crate::process::Run::new("chown", "chown");
            run.args([user.into(), secrets.file("key-encryption-key").into_os_string()]).output()?;
        }
        Ok(secrets)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn reference(&self, name: &str) -> String {
        format!("file:{}", self.file(name).display())
    }

    /// What `modules/platform` takes as `protection`: where secrets are, never what they are.
    pub(super) fn protection(&self) -> Value {
        json!({
            "key_encryption_key": { "file": self.file("key-encryption-key") },
            "access_key_ref": self.reference("access-key"),
            "admin_token_ref": self.reference("admin-token"),
            "token_key_ref": self.reference("token-key"),
            // A key is used for four segments.
            "crypto_period_segments": 4,
            "viewers": [
                { "id": VIEWER, "title": "With a subscription" },
                { "id": STRANGER, "title": "Without one" },
            ],
        })
    }

    /// Gives the demo viewer the subscription. Again, it changes nothing.
    pub(super) fn grant(&self, admin: &str) -> Outcome {
        let file = self.file("admin-token");
        let token = fs::read_to_string(&file).map_err(|error| Failure::io("read", &file, &error))?;
        let bearer = format!("Bearer {}", token.trim());
        let at = format!("{admin}/admin/v1/accounts/{VIEWER}/grants/quickstart");
        let body = json!({ "kind": "subscription", "package": "all" }).to_string();
        look::patiently_send("PUT", &at, &bearer, &body).map(|_| ())
    }
}

/// 32 random bytes in base64, under another name first: an interrupted run leaves no half secret.
fn write_secret(file: &Path) -> Outcome {
    let mut bytes = [0_u8; 32];
    fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|error| Failure::new(format!("no random numbers: {error}")))?;
    let fresh = file.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let mut made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(|error| Failure::io("create", &fresh, &error))?;
    made.write_all(format!("{}\n", base64(&bytes, STANDARD)).as_bytes())
        .and_then(|()| made.sync_all())
        .map_err(|error| Failure::io("write", &fresh, &error))?;
    fs::rename(&fresh, file).map_err(|error| Failure::io("move", &fresh, &error))
}

/// What `modules/platform` takes as `channels`: the given videos one after the other, and a break.
pub(super) fn channels(clips: &[Clip], port: u16) -> Value {
    let of = |role: Role| -> Vec<&str> {
        clips.iter().filter(|clip| clip.role == role).map(|clip| clip.name.as_str()).collect()
    };
    json!({ CHANNEL: {
        "title": "StreamVerse One",
        "port": port,
        "items": of(Role::Programme),
        "slate": of(Role::Slate).first(),
        "spots": of(Role::Spot),
        "ad_break": BREAK,
        "ad_positions": BREAKS,
    }})
}

/// Whether the demo viewer gets a licence for what is on, as the page would ask for it, and the other one none.
pub(super) fn licensed(page: &str, licence: &str, now: &str) -> Outcome {
    let on: Value = serde_json::from_str(now).map_err(|error| Failure::new(format!("now.json: {error}")))?;
    let kids = on["now"]["kids"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let kids: Vec<String> = kids.filter_map(hex).map(|kid| base64(&kid, URL)).collect();
    if kids.is_empty() {
        return Err(Failure::new("what is on in the channel is not encrypted"));
    }
    let body = json!({ "kids": kids, "type": "temporary" }).to_string();
    let ask = |account: &str| -> Outcome<(u16, String)> {
        let token =
            look::patiently(&format!("{page}/api/token.json?account={account}&device=quickstart"), |_| true)?
                .1;
        let token: Value =
            serde_json::from_str(&token).map_err(|error| Failure::new(format!("token.json: {error}")))?;
        let bearer = format!("Bearer {}", token["token"].as_str().unwrap_or_default());
        look::send("POST", licence, Some(&bearer), &body)
            .map_err(|error| Failure::new(format!("{licence} does not answer: {error}")))
    };
    let (status, text) = ask(VIEWER)?;
    if status != 200 || !text.contains("\"keys\"") {
        // What is refused holds no key.
        return Err(Failure::new(format!(
            "{licence} answers {status} to the viewer with a subscription: {}",
            told(&text)
        )));
    }
    let (status, text) = ask(STRANGER)?;
    if status == 200 {
        return Err(Failure::new(format!("{licence} gives a licence to the viewer without a subscription")));
    }
    println!("  licences: for {VIEWER}, and none for {STRANGER} ({})", told(&text));
    Ok(())
}

fn told(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    answer["code"].as_str().unwrap_or("no code").to_owned()
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 (RFC 4648): with padding in the standard alphabet, without in the other.
fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..=chunk.len() {
            let digit = bits >> (18 - 6 * place) & 63;
            text.push(char::from(alphabet.get(digit as usize).copied().unwrap_or(b'=')));
        }
    }
    while alphabet == STANDARD && !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// The bytes of a key's id, written with or without hyphens.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|it| *it != b'-').collect();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|it| u8::from_str_radix(it, 16).ok()));
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(plain.as_bytes(), STANDARD), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff], URL), "-_8");
        assert_eq!(hex("00ff-10").unwrap(), [0, 255, 16]);
        assert!(hex("xy").is_none());
    }

    #[test]
    fn secrets_are_made_once_and_nobody_else_may_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("secrets");
        let read = |secrets: &Secrets| fs::read_to_string(secrets.file("access-key")).unwrap();
        let first = read(&Secrets::ensure(place.clone(), None).unwrap());
        assert_eq!(first.trim().len(), 44);
        let secrets = Secrets::ensure(place, None).unwrap();
        assert_eq!(read(&secrets), first);
        let mode = |name: &str| fs::metadata(secrets.file(name)).unwrap().permissions().mode() & 0o777;
        assert!(
            ["key-encryption-key", "access-key", "token-key", "admin-token"]
                .iter()
                .all(|it| mode(it) == 0o600)
        );
        // Variables say where they are, and nothing of what they are.
        assert!(!secrets.protection().to_string().contains(first.trim()));
    }

    #[test]
    fn a_channel_has_the_given_videos_the_spot_and_the_slate() {
        let clip = |name: &str, role: Role| Clip {
            name: name.to_owned(),
            file: PathBuf::new(),
            subtitles: Vec::new(),
            role,
        };
        let clips = [
            clip("film", Role::Programme),
            clip("trailer", Role::Trailer),
            clip("spot", Role::Spot),
            clip("slate", Role::Slate),
        ];
        let channel = &channels(&clips, 1)[CHANNEL];
        assert_eq!(channel["items"], json!(["film"]));
        assert_eq!((&channel["spots"], &channel["slate"]), (&json!(["spot"]), &json!("slate")));
    }
}
