//! Documents that are read as they were written, and those that are not.

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use streamverse_model::drm::KeyId;

use super::*;

fn key(number: u8, asset: &str) -> Portable {
    let kid = KeyId::derive("test", asset, "g", "all", u32::from(number));
    let key = ContentKey::new(kid, asset, Zeroizing::new([number; 16]));
    Portable { key, track: format!("video-{number}") }
}

/// A certificate and its private key.
fn pair() -> (String, String) {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate =
        CertificateParams::new(vec!["site.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[test]
fn a_document_is_read_by_its_recipients_and_by_nobody_else() {
    let (one, two, other) = (pair(), pair(), pair());
    let recipients = [&one, &two].map(|it| Recipient::parse(it.0.as_bytes()).unwrap());
    let keys = [key(1, "a film"), key(2, "a film"), key(3, "<other> & \"more\"")];
    let text = write(&keys, &recipients).unwrap();
    for (_, private) in [&one, &two] {
        assert_eq!(read(text.as_bytes(), &RecipientKey::parse(private.as_bytes()).unwrap()).unwrap(), keys);
    }
    let error = read(text.as_bytes(), &RecipientKey::parse(other.1.as_bytes()).unwrap()).unwrap_err();
    assert!(error.message.contains("somebody else"), "{error}");
    for key in &keys {
        assert!(!text.contains(&hex::encode(key.key.secret())));
        assert!(!text.contains(&STANDARD.encode(key.key.secret())));
    }
    let one_asset = write(&keys[..2], &recipients).unwrap();
    assert!(one_asset.contains("contentId=\"a film\" version=\"2.4\""), "{one_asset}");
    assert_eq!(one_asset.matches("contentId").count(), 1);
}

#[test]
fn what_was_changed_or_is_not_encrypted_is_refused() {
    let (certificate, private) = pair();
    let recipient = Recipient::parse(certificate.as_bytes()).unwrap();
    let private = RecipientKey::parse(private.as_bytes()).unwrap();
    let text = write(&[key(1, "film")], &[recipient]).unwrap();
    let value = |from: &str| {
        let at = text.find(from).unwrap() + from.len();
        let to = text[at..].find('<').unwrap();
        text[at..at + to].to_owned()
    };
    let mac = value("<pskc:ValueMAC>");
    let entity = "<!DOCTYPE x [<!ENTITY a \"b\">]><CPIX xmlns=\"urn:dashif:org:cpix\"/>".to_owned();
    let deep = format!("<CPIX xmlns=\"urn:dashif:org:cpix\">{}", "<a>".repeat(100_000));
    let secret = text
        .find(
            "<pskc:EncryptedValue><enc:EncryptionMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#aes256",
        )
        .unwrap();
    let end = text.find("</pskc:ValueMAC>").unwrap() + "</pskc:ValueMAC>".len();
    let plain = format!("{}<pskc:PlainValue>AAAA</pskc:PlainValue>{}", &text[..secret], &text[end..]);
    for (wrong, says) in [
        (text.replace(&mac, &STANDARD.encode([0; 64])), "changed on the way"),
        (text.replace(&format!("<pskc:ValueMAC>{mac}</pskc:ValueMAC>"), ""), "without a MAC"),
        (text.replace("aes256-cbc", "aes128-cbc"), "aes128-cbc"),
        (text.replace("rsa-oaep-mgf1p", "rsa-1_5"), "rsa-1_5"),
        (text.replace("urn:dashif:org:cpix", "urn:other"), "is none"),
        (text[..text.len() / 2].to_owned(), ""),
        (text.replace(" contentId=\"film\"", ""), "contentId"),
        (plain, "in clear"),
        (entity, "document type"),
        (deep, "too deep"),
        (String::new(), "somebody else"),
    ] {
        let error = read(wrong.as_bytes(), &private).unwrap_err();
        assert!(error.message.contains(says), "{says}: {error}");
    }
}

#[test]
fn a_certificate_that_cannot_be_a_recipient_is_refused_with_what_to_do() {
    let elliptic = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["a.example".to_owned()]).unwrap().self_signed(&elliptic).unwrap();
    for (pem, says) in [("nothing", "BEGIN CERTIFICATE"), (&certificate.pem(), "no RSA key")] {
        let error = Recipient::parse(pem.as_bytes()).unwrap_err();
        assert!(error.message.contains(says), "{error}");
    }
    let error = RecipientKey::parse(elliptic.serialize_pem().as_bytes()).unwrap_err();
    assert!(error.message.contains("openssl pkcs8"), "{error}");
}

proptest! {
    #[test]
    fn no_document_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), text in "(<|>|/|CPIX|ContentKey| kid=\"|\"|xmlns=\"urn:dashif:org:cpix\"|&|;|a){0,60}") {
        let _ = super::read::parse(&bytes);
        let _ = super::read::parse(text.as_bytes());
    }
}
