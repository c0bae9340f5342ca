//! Backups, documents for other sites, and who asked for what.

use serde_json::json;

use super::{Place, kid, wanted};
use crate::keys::Outcome;
use crate::keys::backup::Backup;
use crate::keys::cpix::{self, Recipient, RecipientKey};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};

#[tokio::test]
async fn a_backup_is_of_use_with_the_same_key_encryption_key_alone() {
    let place = Place::new();
    let running = place.running().await;
    // More than one page, and more than one request.
    let made = running.keys.obtain(&wanted("film", 0..450)).await.unwrap();
    let path = place.path("backup.json");
    Backup::new(running.keeper.backup().await.unwrap()).write(&path).unwrap();
    running.ended().await;
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    for key in &made {
        assert!(!text.contains(&hex::encode(key.secret())));
    }
    assert!(Backup::new(Vec::new()).write(&path).is_err(), "a backup is not written over another one");

    let elsewhere = Place::new();
    let other = elsewhere.started(json!({ "key_encryption_key": elsewhere.kek("kek", 7) })).await.unwrap();
    let backup = Backup::read(&path).unwrap();
    let error = other.keeper.restore(backup.keys.clone()).await.unwrap_err();
    assert_eq!(error.code, "backup-key");
    assert!(other.keeper.list().await.unwrap().is_empty());
    other.ended().await;

    let elsewhere = Place::new();
    let same = elsewhere.running().await;
    assert_eq!(same.keeper.restore(backup.keys.clone()).await.unwrap(), 450);
    assert_eq!(same.keeper.restore(backup.keys).await.unwrap(), 0, "again changes nothing");
    assert_eq!(same.keys.obtain(&wanted("film", 0..450)).await.unwrap(), made);
    same.ended().await;
}

#[tokio::test]
async fn keys_move_to_another_site_in_a_document_for_its_certificate() {
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate =
        CertificateParams::new(vec!["site.example".to_owned()]).unwrap().self_signed(&rsa).unwrap();
    let place = Place::new();
    let running = place.running().await;
    let films = running.keys.obtain(&wanted("film", 0..300)).await.unwrap();
    let other = running.keys.obtain(&wanted("other", 300..301)).await.unwrap();
    let recipient = Recipient::parse(certificate.pem().as_bytes()).unwrap();
    let text = cpix::write(&running.keeper.export(&[]).await.unwrap(), &[recipient]).unwrap();
    assert_eq!(running.keeper.export(&["none".to_owned()]).await.unwrap_err().code, "key-missing");
    assert_eq!(running.keeper.export(&["other".to_owned()]).await.unwrap().len(), 1);
    running.ended().await;

    let elsewhere = Place::new();
    let there = elsewhere.started(json!({ "key_encryption_key": elsewhere.kek("kek", 7) })).await.unwrap();
    let private = RecipientKey::parse(rsa.serialize_pem().as_bytes()).unwrap();
    let keys = cpix::read(text.as_bytes(), &private).unwrap();
    assert_eq!(there.keeper.import(&keys).await.unwrap(), 301);
    assert_eq!(there.keeper.import(&keys).await.unwrap(), 0, "again changes nothing");
    assert_eq!(there.keys.obtain(&wanted("film", 0..300)).await.unwrap(), films);
    assert_eq!(there.keys.find(&[kid(300)]).await.unwrap()[0].as_ref(), other.first());
    let listed = there.keeper.list().await.unwrap();
    assert!(listed.iter().all(|it| it.track == "all"));
    there.ended().await;

    // Where an identifier has another key, nothing of the document is taken.
    let taken = Place::new();
    let there = taken.running().await;
    let own = there.keys.obtain(&wanted("film", 5..6)).await.unwrap();
    assert_eq!(
        there.keeper.import(&keys[..100]).await.map_err(|error| error.code).is_err(),
        keys[..100].iter().any(|it| it.key.kid == kid(5))
    );
    let one: Vec<_> = keys.iter().filter(|it| it.key.kid == kid(5)).cloned().collect();
    assert_eq!(there.keeper.import(&one).await.unwrap_err().code, "key-conflict");
    assert_eq!(there.keys.find(&[kid(5)]).await.unwrap()[0].as_ref(), own.first());
    there.ended().await;
}

#[tokio::test]
async fn who_asked_for_which_key_is_remembered_and_what_is_too_old_forgotten() {
    let place = Place::new();
    let running = place.running().await;
    let made = running.keys.obtain(&wanted("film", 0..2)).await.unwrap();
    running.keys.find(&[kid(0), kid(9)]).await.unwrap();
    running.keys.obtain(&wanted("other", 0..1)).await.unwrap_err();
    running.keys.probe().await.unwrap();
    let told = running.keeper.audit().await.unwrap();
    let lines: Vec<_> = told
        .iter()
        .map(|it| (it.client.as_str(), it.what.as_str(), it.kids.len(), it.made, it.missing, it.outcome))
        .collect();
    let client = "packager/main/service/packager";
    assert_eq!(
        lines,
        [
            (client, "obtain", 2, 2, 0, Outcome::Answered),
            (client, "find", 2, 0, 1, Outcome::Answered),
            (client, "obtain", 1, 0, 0, Outcome::Refused),
        ]
    );
    assert_eq!(told[2].code.as_deref(), Some("key-of-another-asset"));
    let text = serde_json::to_string(&told).unwrap();
    assert!(!made.iter().any(|key| text.contains(&hex::encode(key.secret()))));
    running.ended().await;
    // A service with a shorter memory forgets at its start.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let shorter = json!({ "audit_retention": "1ms", "key_encryption_key": place.kek("kek", 2) });
    let running = place.started(shorter).await.unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while running.keeper.audit().await.unwrap().iter().any(|it| it.what == "obtain") {
        assert!(std::time::Instant::now() < until);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    running.ended().await;
}
