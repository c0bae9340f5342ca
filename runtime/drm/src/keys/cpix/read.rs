//! The elements of a CPIX document. It comes from elsewhere: its size, depth and number of keys have limits, and there is
//! no document type.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use streamverse_core::Result;
use streamverse_model::drm::KeyId;

use super::{AES_CBC, HMAC_SHA512, RSA_OAEP, failed};

pub(super) const CPIX: &str = "urn:dashif:org:cpix";
pub(super) const PSKC: &str = "urn:ietf:params:xml:ns:keyprov:pskc";
pub(super) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(super) const ENC: &str = "http://www.w3.org/2001/04/xmlenc#";
/// Bytes of a document, levels in it, recipients, and keys.
pub(super) const LARGEST: usize = 256 << 20;
const DEEPEST: usize = 32;
const MOST_DELIVERIES: usize = 100;
const MOST_KEYS: usize = 200_000;
/// Bytes of one text: a certificate is the longest.
const LONGEST: usize = 64 << 10;

#[derive(Default)]
pub(super) struct Document {
    pub(super) content_id: Option<String>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) keys: Vec<SealedKey>,
    pub(super) tracks: HashMap<KeyId, String>,
}

#[derive(Default)]
pub(super) struct Delivery {
    pub(super) document_key: Vec<u8>,
    pub(super) mac_key: Vec<u8>,
}

pub(super) struct SealedKey {
    pub(super) kid: KeyId,
    pub(super) asset: Option<String>,
    pub(super) value: Vec<u8>,
    pub(super) mac: Vec<u8>,
}

pub(super) fn parse(text: &[u8]) -> Result<Document> {
    if text.len() > LARGEST {
        return Err(failed("is too large"));
    }
    let mut reader = NsReader::from_reader(text);
    let mut document = Document::default();
    let mut path: Vec<String> = Vec::new();
    let mut content = String::new();
    loop {
        let event = reader.read_event().map_err(|error| failed("is no XML").because(error))?;
        match event {
            Event::Start(start) => {
                path.push(name(&reader, &start)?);
                content.clear();
                if path.len() > DEEPEST {
                    return Err(failed("is too deep"));
                }
                begin(&mut document, &path, &start)?;
            }
            Event::Empty(start) => {
                path.push(name(&reader, &start)?);
                begin(&mut document, &path, &start)?;
                end(&mut document, &path, "")?;
                path.pop();
            }
            Event::Text(part) => {
                let part = part.decode().map_err(|_| failed("is not UTF-8"))?;
                if content.len() + part.len() > LONGEST {
                    return Err(failed("has a text that is too long"));
                }
                content.push_str(&part);
            }
            Event::End(_) => {
                end(&mut document, &path, &content)?;
                content.clear();
                path.pop();
            }
            Event::DocType(_) => return Err(failed("has a document type, which none of its kind has")),
            Event::Eof => break,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::CData(_) | Event::GeneralRef(_) => {}
        }
    }
    if !path.is_empty() {
        return Err(failed("ends early"));
    }
    match document.keys.iter().find(|key| key.value.is_empty() || key.mac.is_empty()) {
        Some(key) => Err(failed(&format!("has a key {} that is not encrypted, or without a MAC", key.kid))),
        None => Ok(document),
    }
}

/// `cpix:ContentKey`: the namespace by our own prefix, whatever the document's is.
fn name(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Result<String> {
    let (namespace, local) = reader.resolver().resolve_element(start.name());
    let prefix = match namespace {
        ResolveResult::Bound(it) if it.as_ref() == CPIX.as_bytes() => "cpix",
        ResolveResult::Bound(it) if it.as_ref() == PSKC.as_bytes() => "pskc",
        ResolveResult::Bound(it) if it.as_ref() == DS.as_bytes() => "ds",
        ResolveResult::Bound(it) if it.as_ref() == ENC.as_bytes() => "enc",
        _ => "other",
    };
    let local = std::str::from_utf8(local.as_ref()).map_err(|_| failed("is not UTF-8"))?;
    Ok(format!("{prefix}:{local}"))
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>> {
    let found =
        start.try_get_attribute(name).map_err(|error| failed("has broken attributes").because(error))?;
    let read = |it: quick_xml::events::attributes::Attribute<'_>| {
        let value = it.normalized_value(XmlVersion::Explicit1_0);
        value
            .map(std::borrow::Cow::into_owned)
            .map_err(|error| failed("has broken attributes").because(error))
    };
    found.map(read).transpose()
}

fn begin(document: &mut Document, path: &[String], start: &BytesStart<'_>) -> Result<()> {
    let last = path.last().map(String::as_str).unwrap_or_default();
    let within = |of: &str| path.iter().any(|it| it == of);
    if path.len() == 1 {
        if last != "cpix:CPIX" {
            return Err(failed("is none: its root must be CPIX of urn:dashif:org:cpix"));
        }
        document.content_id = attribute(start, "contentId")?;
    }
    let kid = || -> Result<KeyId> {
        let text = attribute(start, "kid")?.unwrap_or_default();
        KeyId::parse(&text).map_err(|_| failed("has a kid that is no UUID"))
    };
    match last {
        "cpix:DeliveryData" => {
            if document.deliveries.len() >= MOST_DELIVERIES {
                return Err(failed("has too many recipients"));
            }
            document.deliveries.push(Delivery::default());
        }
        "cpix:ContentKey" => {
            if document.keys.len() >= MOST_KEYS {
                return Err(failed("has too many keys"));
            }
            let asset = attribute(start, "contentId")?;
            document.keys.push(SealedKey { kid: kid()?, asset, value: Vec::new(), mac: Vec::new() });
        }
        "cpix:ContentKeyUsageRule" => {
            if let Some(track) = attribute(start, "intendedTrackType")? {
                document.tracks.insert(kid()?, track);
            }
        }
        "pskc:PlainValue" => return Err(failed("has keys in clear, which are not taken")),
        "cpix:MACMethod" => is(start, HMAC_SHA512)?,
        "enc:EncryptionMethod" if within("cpix:ContentKey") => is(start, AES_CBC)?,
        "enc:EncryptionMethod" if within("cpix:DeliveryData") => is(start, RSA_OAEP)?,
        _ => {}
    }
    Ok(())
}

fn is(start: &BytesStart<'_>, wanted: &str) -> Result<()> {
    let algorithm = attribute(start, "Algorithm")?.unwrap_or_default();
    match algorithm == wanted {
        true => Ok(()),
        false => Err(failed(&format!("uses {algorithm:?} where {wanted} is expected"))),
    }
}

fn end(document: &mut Document, path: &[String], content: &str) -> Result<()> {
    let last = path.last().map(String::as_str).unwrap_or_default();
    let within = |of: &str| path.iter().any(|it| it == of);
    let bytes = || -> Result<Vec<u8>> {
        let plain: String = content.split_ascii_whitespace().collect();
        STANDARD.decode(plain).map_err(|_| failed(&format!("has a {last} that is not base64")))
    };
    match (last, document.keys.last_mut(), document.deliveries.last_mut()) {
        ("enc:CipherValue", Some(key), _) if within("cpix:ContentKey") => key.value = bytes()?,
        ("pskc:ValueMAC", Some(key), _) if within("cpix:ContentKey") => key.mac = bytes()?,
        ("enc:CipherValue", _, Some(delivery)) if within("cpix:DocumentKey") => {
            delivery.document_key = bytes()?;
        }
        ("enc:CipherValue", _, Some(delivery)) if within("cpix:MACMethod") => delivery.mac_key = bytes()?,
        _ => {}
    }
    Ok(())
}
