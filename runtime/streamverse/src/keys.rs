//! `streamverse keys`: what people do with the content keys of a key service. Secrets come from files and the
//! environment, never from arguments, which everybody on the host sees.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use streamverse_core::stores::KeyServiceClient;
use streamverse_core::stores::key_wire::AccessKey;
use streamverse_core::{Error, Result};
use streamverse_drm::keys::backup::{Backup, read_file, write_private};
use streamverse_drm::keys::cpix::{self, Recipient, RecipientKey};
use streamverse_drm::keys::{AuditEntry, KeyKeeper};
use streamverse_model::drm::KeyId;
use streamverse_model::platform::StoreUrl;

/// The variable of the environment that may hold the access key.
const ACCESS_KEY: &str = "STREAMVERSE_KEYS_ACCESS_KEY";
/// Bytes of a file with a key or a certificate.
const LARGEST_PEM: u64 = 64 << 10;
const LARGEST_DOCUMENT: u64 = 256 << 20;

/// Which key service, and what to do.
#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    /// The key service: HOST:PORT, or the `url` of a `streamverse_key_service`.
    #[arg(long)]
    service: String,
    /// A file with its access key, 32 bytes in base64; STREAMVERSE_KEYS_ACCESS_KEY where none is given.
    #[arg(long)]
    access_key_file: Option<PathBuf>,
    /// Who asks, as the audit log has it; `operator/` and the user's name where none is given.
    #[arg(long = "as")]
    client: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write all keys, sealed as they are kept, to a new file. It is of use only with the same key-encryption key.
    Backup {
        /// The file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Give back the keys of a backup. What is there stays; another key under an identifier is refused.
    Restore {
        /// The file.
        file: PathBuf,
    },
    /// Write keys as a CPIX 2.4 document that only the owners of certificates can read.
    Export {
        /// The certificate of who is to read it, PEM, with an RSA key of 2048 bits or more. May be repeated.
        #[arg(long = "recipient", required = true)]
        recipients: Vec<PathBuf>,
        /// Only the keys of this asset; of all without it. May be repeated.
        #[arg(long = "asset")]
        assets: Vec<String>,
        /// The new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Take the keys of a CPIX document. What is there stays; another key under an identifier is refused.
    Import {
        /// The document.
        file: PathBuf,
        /// A file with the private key of its recipient, PKCS #8, PEM.
        #[arg(long)]
        private_key_file: PathBuf,
    },
    /// Seal all data keys anew, under the key-encryption key that the service has now, in its newest version.
    Rotate,
    /// Who asked for which keys, when, and what came of it.
    Audit {
        /// Only requests that named this key.
        #[arg(long)]
        kid: Option<String>,
        /// One JSON object per line.
        #[arg(long)]
        json: bool,
    },
}

fn usage(text: impl Into<String>) -> Error {
    Error::permanent("usage", text)
}

#[allow(clippy::print_stdout, reason = "what it did is its answer")]
pub(crate) async fn run(args: KeysArgs) -> Result<()> {
    let keeper = keeper(&args)?;
    match args.command {
        Command::Backup { out } => {
            is_new(&out)?;
            let backup = Backup::new(keeper.backup().await?);
            backup.write(&out)?;
            println!("{} keys, sealed, are in {}", backup.keys.len(), out.display());
        }
        Command::Restore { file } => {
            let backup = Backup::read(&file)?;
            let all = backup.keys.len();
            let new = keeper.restore(backup.keys).await?;
            println!("{new} of {all} keys were not there and are now");
        }
        Command::Export { recipients, assets, out } => {
            let read = |path: &PathBuf| Recipient::parse(&read_file(path, LARGEST_PEM)?);
            is_new(&out)?;
            let recipients = recipients.iter().map(read).collect::<Result<Vec<_>>>()?;
            let keys = keeper.export(&assets).await?;
            if keys.is_empty() {
                return Err(usage("the key service has no keys yet"));
            }
            write_private(&out, cpix::write(&keys, &recipients)?.as_bytes())?;
            println!("{} keys are in {}", keys.len(), out.display());
        }
        Command::Import { file, private_key_file } => {
            let private = zeroize::Zeroizing::new(read_file(&private_key_file, LARGEST_PEM)?);
            let keys = cpix::read(&read_file(&file, LARGEST_DOCUMENT)?, &RecipientKey::parse(&private)?)?;
            let new = keeper.import(&keys).await?;
            println!("{new} of {} keys were not there and are now", keys.len());
        }
        Command::Rotate => {
            let done = keeper.rotate().await?;
            println!("{} of {} keys were sealed anew", done.rewrapped, done.looked_at);
            if done.damaged > 0 {
                println!(
                    "{} keys are damaged and stay as they are: restore them from a backup",
                    done.damaged
                );
            }
            if done.unknown > 0 {
                return Err(usage(format!(
                    "{} keys are under a key-encryption key that the service does not have: give it as `previous_key_encryption_key`",
                    done.unknown
                )));
            }
        }
        Command::Audit { kid, json } => {
            let kid = kid.map(|text| KeyId::parse(&text).map_err(|error| usage(error.to_string())));
            let kid = kid.transpose()?;
            for entry in keeper.audit().await? {
                if kid.is_some_and(|kid| !entry.kids.contains(&kid)) {
                    continue;
                }
                println!("{}", shown(&entry, json)?);
            }
        }
    }
    Ok(())
}

/// Nothing is asked for what could not be written then.
fn is_new(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(_) => Err(usage(format!("{} is there already: give another file", path.display()))),
        Err(_) => Ok(()),
    }
}

fn keeper(args: &KeysArgs) -> Result<KeyKeeper> {
    let place = match args.service.contains("://") {
        false => args.service.clone(),
        true => match StoreUrl::parse(&args.service) {
            Ok(StoreUrl::Remote { url, .. }) if url.scheme() == "keys" => {
                let port = url.port().unwrap_or(streamverse_model::platform::KEYS_PORT);
                format!("{}:{port}", url.host_str().unwrap_or_default())
            }
            _ => return Err(usage(format!("--service {:?} is no keys:// address", args.service))),
        },
    };
    let text = match &args.access_key_file {
        Some(path) => String::from_utf8(read_file(path, LARGEST_PEM)?).unwrap_or_default(),
        None => std::env::var(ACCESS_KEY)
            .map_err(|_| usage(format!("give --access-key-file, or the access key as {ACCESS_KEY}")))?,
    };
    let access = AccessKey::parse(&zeroize::Zeroizing::new(text))?;
    let user = || format!("operator/{}", std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned()));
    let client = args.client.clone().unwrap_or_else(user);
    Ok(KeyKeeper::new(KeyServiceClient::new(&place, &client, access)?))
}

fn shown(entry: &AuditEntry, json: bool) -> Result<String> {
    if json {
        return serde_json::to_string(entry)
            .map_err(|error| Error::permanent("audit", "an entry cannot be written").because(error));
    }
    let kids: Vec<String> = entry.kids.iter().map(ToString::to_string).collect();
    let outcome = entry.code.as_deref().unwrap_or("answered");
    let (made, missing) = (entry.made, entry.missing);
    let time = i64::try_from(entry.time_ms).ok().and_then(|it| jiff::Timestamp::from_millisecond(it).ok());
    Ok(format!(
        "{} {} {} {outcome} made={made} missing={missing} {}",
        time.unwrap_or_default(),
        entry.client,
        entry.what,
        kids.join(",")
    ))
}
