//! The host's side of go-plugin, for what is measured without a command line.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ResolvesClientCert};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, SignatureScheme};
use tfplugin_framework::proto::tfplugin6::provider_client::ProviderClient;
use tonic::transport::{Channel, Endpoint};

use super::Outcome;

/// What providers written in Go accept.
const MAX_MESSAGE: usize = 256 << 20;

/// A provider's process after its handshake.
pub struct Plugin {
    child: Child,
    line: String,
    stderr: ChildStderr,
    /// Kept open: a provider that cannot write to it might end.
    _stdout: BufReader<ChildStdout>,
    sockets: tempfile::TempDir,
    /// From the start of the process to the handshake line.
    pub handshake: Duration,
    started: Instant,
}

/// A host's certificate as go-plugin makes it: a P-521 authority, signed by itself.
pub struct Identity {
    pem: String,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// A new one.
    pub fn new() -> Outcome<Identity> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512)?;
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key)?;
        Ok(Identity {
            pem: certificate.pem(),
            certificate: certificate.into(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    fn config(&self, server: Vec<u8>) -> Outcome<ClientConfig> {
        let crypto = Arc::new(aws_lc_rs::default_provider());
        let key = crypto.key_provider.load_private_key(self.key.clone_key())?;
        let shown = Arc::new(CertifiedKey::new(vec![self.certificate.clone()], key));
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&crypto))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Announced { server, crypto }))
            .with_client_cert_resolver(Arc::new(Shown(shown)));
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

impl Plugin {
    /// Starts a provider as Terraform does.
    pub fn start(binary: &Path, host: &Identity) -> Outcome<Plugin> {
        let sockets = tempfile::tempdir()?;
        let mut command = Command::new(binary);
        command
            .env_clear()
            .env("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
            .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
            .env("PLUGIN_CLIENT_CERT", &host.pem)
            .env("PLUGIN_UNIX_SOCKET_DIR", sockets.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn()?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err("the child has no pipes".into());
        };
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let handshake = started.elapsed();
        Ok(Plugin { child, line, stderr, _stdout: stdout, sockets, handshake, started })
    }

    /// Since the process was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Processor seconds and peak megabytes so far.
    pub fn usage(&self) -> Option<(f64, f64)> {
        super::watch::usage(self.child.id())
    }

    /// Connects, with mutual TLS.
    pub async fn connect(&self, host: &Identity) -> Outcome<ProviderClient<Channel>> {
        let parts: Vec<&str> = self.line.trim_end().split('|').collect();
        let [_, _, "unix", socket, "grpc", certificate] = parts[..] else {
            return Err(format!("no handshake: {:?}", self.line).into());
        };
        let server = base64::engine::general_purpose::STANDARD_NO_PAD.decode(certificate)?;
        let tls = tokio_rustls::TlsConnector::from(Arc::new(host.config(server)?));
        let socket = socket.to_owned();
        let connector = tower::service_fn(move |_| {
            let (socket, tls) = (socket.clone(), tls.clone());
            async move {
                let stream = tokio::net::UnixStream::connect(socket).await?;
                let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
                Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(tls.connect(name, stream).await?))
            }
        });
        let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await?;
        Ok(ProviderClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE))
    }

    /// Ends the process, and answers what it wrote to standard error.
    pub fn end(mut self) -> Outcome<Vec<u8>> {
        // As a host's terminal would: the provider may say what it likes until its end.
        Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status()?;
        let mut said = Vec::new();
        self.stderr.read_to_end(&mut said)?;
        self.child.wait()?;
        drop(self.sockets);
        Ok(said)
    }
}

/// Trusts exactly the certificate of the handshake line.
struct Announced {
    server: Vec<u8>,
    crypto: Arc<CryptoProvider>,
}

impl fmt::Debug for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Announced")
    }
}

impl ServerCertVerifier for Announced {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match end_entity.as_ref() == self.server {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(rustls::Error::General("not the announced certificate".to_owned())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.crypto.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.crypto.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.crypto.signature_verification_algorithms.supported_schemes()
    }
}

#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
