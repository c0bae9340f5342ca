//! A stand-in for a Vault with a transit secrets engine, as its HTTP API is documented ("Transit secrets engine (API)"):
//! encrypt, decrypt and rewrap in batches, a token, versions of a key. It can be sealed, slow, or refuse the token.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The token that it takes.
pub const TOKEN: &str = "hvs.planted-vault-token-31aa";
/// Where its engine is mounted, and the key that it has.
pub const PLACE: (&str, &str) = ("transit/media", "content");

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is sealed: 503 to everything.
    Sealed,
    /// It answers after so long.
    Slow(Duration),
    /// The token may not do that any more: 403.
    Denied,
    /// It answers what is no JSON.
    Garbage,
}

#[derive(Default)]
struct Kept {
    trouble: Option<Trouble>,
    version: u32,
    /// Plaintexts by what stands for them: ours needs no cipher.
    plain: BTreeMap<String, String>,
    /// How often each verb was done.
    done: BTreeMap<String, usize>,
    refused: usize,
}

/// The stand-in. It ends when it is dropped.
pub struct VaultStandIn {
    kept: Arc<Mutex<Kept>>,
    ended: Arc<AtomicBool>,
    /// Where it listens.
    pub port: u16,
}

fn held(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VaultStandIn {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start() -> std::io::Result<VaultStandIn> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let kept = Arc::new(Mutex::new(Kept { version: 1, ..Kept::default() }));
        let ended = Arc::new(AtomicBool::new(false));
        let (shared, told) = (Arc::clone(&kept), Arc::clone(&ended));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if told.load(Ordering::SeqCst) {
                    return;
                }
                let kept = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Ok(VaultStandIn { kept, ended, port })
    }

    /// From now on this is wrong with it, or nothing.
    pub fn trouble(&self, trouble: Option<Trouble>) {
        held(&self.kept).trouble = trouble;
    }

    /// Gives the key another version, as `vault write -f transit/keys/KEY/rotate` does.
    pub fn rotate(&self) {
        held(&self.kept).version += 1;
    }

    /// How often it did something: `encrypt`, `decrypt`, `rewrap`.
    pub fn done(&self, verb: &str) -> usize {
        held(&self.kept).done.get(verb).copied().unwrap_or(0)
    }

    /// How often it refused, or was in trouble.
    pub fn refused(&self) -> usize {
        held(&self.kept).refused
    }
}

impl Drop for VaultStandIn {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(stream: TcpStream, kept: &Mutex<Kept>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    // Connections are kept, as clients of the real one have them.
    while let Some((status, body)) = one(&mut reader, kept) {
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(body.as_bytes())).is_err() {
            return;
        }
    }
}

fn one(reader: &mut BufReader<TcpStream>, kept: &Mutex<Kept>) -> Option<(u16, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut token) = (0, String::new());
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok().filter(|count| *count > 0)?;
        let Some((name, value)) = field.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "x-vault-token" => value.trim().clone_into(&mut token),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let trouble = held(kept).trouble;
    if let Some(Trouble::Slow(time)) = trouble {
        std::thread::sleep(time);
    }
    let (status, answer) = match trouble {
        Some(Trouble::Sealed) => errors(503, "Vault is sealed"),
        Some(Trouble::Denied) => errors(403, "1 error occurred:\n\t* permission denied\n\n"),
        Some(Trouble::Garbage) => (200, "<html>a proxy's page</html>".to_owned()),
        _ if token != TOKEN => errors(403, "permission denied"),
        _ => act(&method, &path, &body, &mut held(kept)),
    };
    if status != 200 || trouble.is_some() {
        held(kept).refused += 1;
    }
    Some((status, answer))
}

fn errors(status: u16, text: &str) -> (u16, String) {
    (status, json!({ "errors": [text] }).to_string())
}

fn act(method: &str, path: &str, body: &[u8], kept: &mut Kept) -> (u16, String) {
    let (mount, key) = PLACE;
    let verb =
        path.strip_prefix(&format!("/v1/{mount}/")).and_then(|rest| rest.strip_suffix(&format!("/{key}")));
    let Some(verb) = verb.filter(|_| ["POST", "PUT"].contains(&method)) else {
        return errors(404, &format!("no handler for route {path:?}. route entry not found."));
    };
    let Ok(asked) = serde_json::from_slice::<Value>(body) else {
        return errors(400, "failed to parse JSON input");
    };
    let items = asked["batch_input"].as_array().cloned().unwrap_or_default();
    if items.is_empty() {
        return errors(400, "missing batch input to process");
    }
    let mut results = Vec::new();
    for item in &items {
        results.push(match verb {
            "encrypt" => encrypt(&item["plaintext"], kept),
            "decrypt" => plain(&item["ciphertext"], kept).map(|text| json!({ "plaintext": text })),
            "rewrap" => match plain(&item["ciphertext"], kept) {
                Ok(text) => encrypt(&json!(text), kept),
                Err(error) => Err(error),
            },
            _ => return errors(404, "unsupported path"),
        });
    }
    *kept.done.entry(verb.to_owned()).or_default() += 1;
    // Documented: where some items failed, the status is 400 and the results tell which.
    let status = if results.iter().any(Result::is_err) { 400 } else { 200 };
    let results: Vec<Value> =
        results.into_iter().map(|it| it.unwrap_or_else(|text| json!({ "error": text }))).collect();
    (status, json!({ "request_id": "x", "data": { "batch_results": results } }).to_string())
}

fn encrypt(plaintext: &Value, kept: &mut Kept) -> Result<Value, String> {
    let text = plaintext.as_str().filter(|text| STANDARD.decode(text).is_ok());
    let text = text.ok_or("failed to base64-decode plaintext")?;
    let stands_for = STANDARD.encode(format!("stands for plaintext {}", kept.plain.len()));
    let sealed = format!("vault:v{}:{stands_for}", kept.version);
    kept.plain.insert(sealed.clone(), text.to_owned());
    Ok(json!({ "ciphertext": sealed, "key_version": kept.version }))
}

fn plain(ciphertext: &Value, kept: &Kept) -> Result<String, String> {
    let found = ciphertext.as_str().and_then(|text| kept.plain.get(text));
    found.cloned().ok_or_else(|| "cipher: message authentication failed".to_owned())
}
