//! Apache Kafka's broker from Maven: pinned by version, every jar checked by digest, kept in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache;
use crate::failure::{Failure, Outcome};
use crate::process::Run;

/// The variable with the folder of the jars, for `java -cp 'FOLDER/*' kafka.Kafka`.
pub(super) const VARIABLE: &str = "STREAMVERSE_KAFKA";

const NAME: &str = "kafka-4.1.0";
const POM: &str = include_str!("../../tools/kafka-4.1.0/pom.xml");
const DIGESTS: &str = include_str!("../../tools/kafka-4.1.0/jars.sha256");
/// 43 MB in 5 s where the network is good.
const FETCH_LIMIT: Duration = Duration::from_secs(10 * 60);

/// The folder of the jars, after fetching them if need be.
pub(super) fn ensure(tools: &Path) -> Outcome<PathBuf> {
    let recipe = cache::fingerprint([POM.as_bytes(), DIGESTS.as_bytes()]);
    let place = cache::ensure(tools, NAME, &recipe, FETCH_LIMIT, |folder| {
        println!("  {NAME}: fetching from Maven");
        let (pom, jars) = (folder.join("pom.xml"), folder.join("jars"));
        fs::write(&pom, POM).map_err(|error| Failure::io("write", &pom, &error))?;
        Run::new("mvn dependency:copy-dependencies", "mvn")
            .args(["--batch-mode", "--strict-checksums", "dependency:copy-dependencies"])
            .args([format!("-DoutputDirectory={}", jars.display())])
            .dir(folder)
            .limit(FETCH_LIMIT)
            .log_to(&folder.join("maven.log"))?;
        check(folder, &jars, DIGESTS)
    })?;
    Ok(place.join("jars"))
}

/// Exactly the jars of the list, each with its digest: Maven would take another version of a parent's choice.
fn check(folder: &Path, jars: &Path, digests: &str) -> Outcome {
    let list = folder.join("jars.sha256");
    fs::write(&list, digests).map_err(|error| Failure::io("write", &list, &error))?;
    Run::new("sha256sum --check", "sha256sum")
        .args(["--check", "--strict", "--quiet"])
        .args([&list])
        .dir(jars)
        .limit(FETCH_LIMIT)
        .output()
        .map_err(|failure| {
            Failure::new(format!("{NAME}: a jar is not the one that was pinned: {failure}"))
                .next("see who changed it; do not run it")
        })?;
    let entries = fs::read_dir(jars).map_err(|error| Failure::io("list", jars, &error))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !digests.lines().any(|line| line.split_whitespace().nth(1) == Some(name.as_str())) {
            return Err(Failure::new(format!(
                "{NAME}: {name} is in no line of xtask/tools/{NAME}/jars.sha256"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_of_the_pinned_version_is_in_the_list() {
        assert!(POM.contains("<version>4.1.0</version>"));
        assert!(DIGESTS.lines().any(|line| line.ends_with("  kafka_2.13-4.1.0.jar")));
        assert!(
            DIGESTS.lines().all(|line| line.split_once("  ").is_some_and(|(digest, _)| digest.len() == 64))
        );
    }

    #[test]
    fn another_jar_or_another_content_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let jars = folder.path().join("jars");
        fs::create_dir(&jars).unwrap();
        fs::write(jars.join("a.jar"), "").unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.jar\n";
        check(folder.path(), &jars, empty).unwrap();
        fs::write(jars.join("b.jar"), "").unwrap();
        assert!(check(folder.path(), &jars, empty).unwrap_err().to_string().contains("b.jar"));
        fs::remove_file(jars.join("b.jar")).unwrap();
        fs::write(jars.join("a.jar"), "x").unwrap();
        check(folder.path(), &jars, empty).unwrap_err();
    }
}
