//! Certificates for tests of mutual TLS, by openssl.

use std::path::Path;
use std::process::Command;

fn openssl(folder: &Path, words: &str) {
    let said = Command::new("openssl").args(words.split(' ')).current_dir(folder).output();
    assert!(said.as_ref().is_ok_and(|it| it.status.success()), "openssl {words}: {said:?}");
}

/// Makes `AUTHORITY.pem`, and for each name `NAME.pem` and `NAME.key` of an authority, all for 127.0.0.1.
///
/// # Panics
/// When openssl cannot.
pub fn make(folder: &Path, authorities: &[&str], signed: &[(&str, &str)]) {
    // Without an extension a certificate is of version 1, which no verifier of today takes.
    let written = std::fs::write(folder.join("san.ext"), "subjectAltName=IP:127.0.0.1");
    assert!(written.is_ok(), "{written:?}");
    for authority in authorities {
        openssl(
            folder,
            &format!(
                "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={authority} -keyout {authority}.key -out {authority}.pem"
            ),
        );
    }
    for (name, authority) in signed {
        openssl(
            folder,
            &format!("req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"),
        );
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -days 2 -out {name}.pem -extfile san.ext"
            ),
        );
    }
}
