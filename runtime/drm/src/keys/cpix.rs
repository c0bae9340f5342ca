//! Content keys as a CPIX document (DASH-IF Content Protection Information Exchange Format, version 2.4), encrypted to
//! whoever has the private key of a certificate: a document key for AES-256-CBC and a MAC key for HMAC-SHA512, both under
//! RSA-OAEP, as section 8.1 and RFC 6030 have it. One asset is the document's `contentId`; of several, each key has its own
//! (section 6.4.7).

use std::fmt::Write as _;

use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::{hmac, iv};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::escape;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::ParsedCertificate;
use streamverse_core::stores::{ContentKey, key_wire};
use streamverse_core::{Error, Result};
use zeroize::Zeroizing;

use super::keeper::Portable;

mod read;

const AES_CBC: &str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
const RSA_OAEP: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
const HMAC_SHA512: &str = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512";
/// NIST SP 800-131A.
const SMALLEST_RSA: usize = 2048;
const IV: usize = 16;

/// Whom a document is for.
pub struct Recipient {
    certificate: CertificateDer<'static>,
    key: OaepPublicEncryptingKey,
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recipient")
    }
}

impl Recipient {
    /// The owner of a certificate, PEM.
    ///
    /// # Errors
    /// What is no certificate of an RSA key of 2048 bits or more.
    pub fn parse(pem: &[u8]) -> Result<Recipient> {
        let refused =
            |why: &str| Error::permanent("cpix-recipient", format!("the recipient's certificate {why}"));
        let certificate =
            CertificateDer::from_pem_slice(pem).map_err(|_| refused("is not PEM: give BEGIN CERTIFICATE"))?;
        let parsed =
            ParsedCertificate::try_from(&certificate).map_err(|_| refused("is no X.509 certificate"))?;
        let key = PublicEncryptingKey::from_der(&parsed.subject_public_key_info())
            .map_err(|_| refused("has no RSA key, which CPIX needs"))?;
        if key.key_size_bits() < SMALLEST_RSA {
            return Err(refused("has an RSA key of less than 2048 bits"));
        }
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| refused("has no key that can encrypt"))?;
        Ok(Recipient { certificate: certificate.into_owned(), key })
    }

    fn wrap(&self, secret: &[u8]) -> Result<String> {
        let mut sealed = vec![0; self.key.ciphertext_size()];
        let sealed = self.key.encrypt(&OAEP_SHA1_MGF1SHA1, secret, &mut sealed, None);
        sealed
            .map(|sealed| STANDARD.encode(sealed))
            .map_err(|_| failed("cannot be encrypted to its recipient"))
    }
}

/// The private key of a recipient. It does not print.
pub struct RecipientKey(OaepPrivateDecryptingKey);

impl std::fmt::Debug for RecipientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecipientKey")
    }
}

impl RecipientKey {
    /// PKCS #8, PEM.
    ///
    /// # Errors
    /// What is no such key, without repeating it.
    pub fn parse(pem: &[u8]) -> Result<RecipientKey> {
        let refused = || {
            Error::permanent(
                "cpix-recipient",
                "the recipient's private key is no RSA key in PKCS #8, PEM: `openssl pkcs8 -topk8 -nocrypt` makes it one",
            )
        };
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| refused())?;
        let key = PrivateDecryptingKey::from_pkcs8(key.secret_pkcs8_der()).map_err(|_| refused())?;
        OaepPrivateDecryptingKey::new(key).map(RecipientKey).map_err(|_| refused())
    }

    fn unwrap(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut plain = Zeroizing::new(vec![0; self.0.min_output_size()]);
        let length = self.0.decrypt(&OAEP_SHA1_MGF1SHA1, sealed, &mut plain, None).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

/// Writes keys as a document for these recipients.
///
/// # Errors
/// No recipient, or no randomness.
pub fn write(keys: &[Portable], recipients: &[Recipient]) -> Result<String> {
    if recipients.is_empty() {
        return Err(failed("has no recipient"));
    }
    let document_key = key_wire::fresh::<32>()?;
    let mac_key = key_wire::fresh::<64>()?;
    let cipher =
        UnboundCipherKey::new(&AES_256, &*document_key).and_then(PaddedBlockEncryptingKey::cbc_pkcs7);
    let cipher = cipher.map_err(|_| failed("cannot be encrypted"))?;
    let mac = hmac::Key::new(hmac::HMAC_SHA512, &*mac_key);
    let first = keys.first().map(|it| it.key.asset.as_str());
    let one = first.filter(|first| keys.iter().all(|it| it.key.asset == *first));
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let content_id = |asset: Option<&str>| {
        asset.map(|asset| format!(" contentId=\"{}\"", escape(asset))).unwrap_or_default()
    };
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "<CPIX xmlns=\"{}\" xmlns:pskc=\"{}\" xmlns:ds=\"{}\" xmlns:enc=\"{}\"{} version=\"2.4\">",
        read::CPIX,
        read::PSKC,
        read::DS,
        read::ENC,
        content_id(one)
    );
    text.push_str("  <DeliveryDataList>\n");
    for recipient in recipients {
        let certificate = STANDARD.encode(&recipient.certificate);
        let document = encrypted(RSA_OAEP, &recipient.wrap(&*document_key)?);
        let mac = encrypted(RSA_OAEP, &recipient.wrap(&*mac_key)?);
        let _ = write!(
            text,
            "    <DeliveryData>\n      <DeliveryKey><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate>\
             </ds:X509Data></DeliveryKey>\n      <DocumentKey Algorithm=\"{AES_CBC}\"><Data><pskc:Secret>\
             <pskc:EncryptedValue>{document}</pskc:EncryptedValue></pskc:Secret></Data></DocumentKey>\n      \
             <MACMethod Algorithm=\"{HMAC_SHA512}\"><pskc:MACKey>{mac}</pskc:MACKey></MACMethod>\n    </DeliveryData>\n"
        );
    }
    text.push_str("  </DeliveryDataList>\n  <ContentKeyList>\n");
    for it in keys {
        let sealed = seal(&cipher, &it.key)?;
        let tag = STANDARD.encode(hmac::sign(&mac, &sealed));
        let own = content_id(Some(it.key.asset.as_str()).filter(|_| one.is_none()));
        let value = encrypted(AES_CBC, &STANDARD.encode(&sealed));
        let _ = writeln!(
            text,
            "    <ContentKey kid=\"{}\"{own}><Data><pskc:Secret><pskc:EncryptedValue>{value}</pskc:EncryptedValue>\
             <pskc:ValueMAC>{tag}</pskc:ValueMAC></pskc:Secret></Data></ContentKey>",
            it.key.kid
        );
    }
    text.push_str("  </ContentKeyList>\n  <ContentKeyUsageRuleList>\n");
    for it in keys {
        let track = escape(it.track.as_str());
        let _ =
            writeln!(text, "    <ContentKeyUsageRule kid=\"{}\" intendedTrackType=\"{track}\"/>", it.key.kid);
    }
    text.push_str("  </ContentKeyUsageRuleList>\n</CPIX>\n");
    Ok(text)
}

fn encrypted(algorithm: &str, value: &str) -> String {
    format!(
        "<enc:EncryptionMethod Algorithm=\"{algorithm}\"/><enc:CipherData><enc:CipherValue>{value}</enc:CipherValue>\
         </enc:CipherData>"
    )
}

/// The initialisation vector, then the ciphertext (XML Encryption section 5.2).
fn seal(cipher: &PaddedBlockEncryptingKey, key: &ContentKey) -> Result<Vec<u8>> {
    let refused = || failed("cannot be encrypted");
    let iv = key_wire::fresh::<IV>()?;
    // As long as it will be, so that no copy of the key is left behind.
    let mut body = Vec::with_capacity(2 * IV);
    body.extend_from_slice(key.secret());
    let context = aws_lc_rs::cipher::EncryptionContext::Iv128(FixedLength::from(&*iv));
    cipher.less_safe_encrypt(&mut body, context).map_err(|_| refused())?;
    Ok([&iv[..], &body].concat())
}

/// Reads a document with the private key of one of its recipients.
///
/// # Errors
/// What is no such document, is for somebody else, has keys in clear or without a MAC, or was changed.
pub fn read(text: &[u8], recipient: &RecipientKey) -> Result<Vec<Portable>> {
    let document = read::parse(text)?;
    let mut opened = None;
    for delivery in &document.deliveries {
        let (Some(key), Some(mac)) =
            (recipient.unwrap(&delivery.document_key), recipient.unwrap(&delivery.mac_key))
        else {
            continue;
        };
        opened = Some((key, mac));
        break;
    }
    let (key, mac) =
        opened.ok_or_else(|| failed("is for somebody else than the owner of this private key"))?;
    let unusable = || failed("has a document key that is none of AES-256");
    let mac = hmac::Key::new(hmac::HMAC_SHA512, &mac);
    // XML Encryption pads as ISO 10126 does, of which PKCS #7 is one way.
    let cipher = || UnboundCipherKey::new(&AES_256, &key).and_then(PaddedBlockDecryptingKey::cbc_iso10126);
    let mut keys = Vec::with_capacity(document.keys.len());
    for sealed in document.keys {
        let changed = || failed(&format!("has a key {} that was changed on the way", sealed.kid));
        hmac::verify(&mac, &sealed.value, &sealed.mac).map_err(|_| changed())?;
        let (head, body) = sealed.value.split_at_checked(IV).ok_or_else(changed)?;
        let head = iv::FixedLength::<IV>::try_from(head).map_err(|_| changed())?;
        let mut body = Zeroizing::new(body.to_vec());
        let cipher = cipher().map_err(|_| unusable())?;
        let plain = cipher.decrypt(&mut body, DecryptionContext::Iv128(head)).map_err(|_| changed())?;
        let mut secret = Zeroizing::new([0; 16]);
        if plain.len() != secret.len() {
            return Err(changed());
        }
        secret.copy_from_slice(plain);
        let asset = sealed.asset.or_else(|| document.content_id.clone());
        let asset = asset
            .ok_or_else(|| failed(&format!("does not say whose the key {} is: contentId", sealed.kid)))?;
        let track = document.tracks.get(&sealed.kid).cloned().unwrap_or_else(|| "all".to_owned());
        keys.push(Portable { key: ContentKey::new(sealed.kid, asset, secret), track });
    }
    Ok(keys)
}

fn failed(why: &str) -> Error {
    Error::permanent("cpix", format!("the CPIX document {why}"))
}

#[cfg(test)]
mod tests;
