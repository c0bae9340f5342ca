//! How each command line tool is built: a helper Go module whose `tool` is the program, pinned by digest.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::go::Go;
use crate::cache;
use crate::failure::{Failure, Outcome};
use crate::process::clock;

/// Two cores need under three minutes for the largest; a slow network and a busy machine get ten times that.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Raised when this file builds differently from the same module files.
const REVISION: &str = "1";

/// A program in the Go module proxy.
pub(super) struct Recipe {
    name: &'static str,
    version: &'static str,
    pub(super) variable: &'static str,
    package: &'static str,
    binary: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    /// Nested modules that the program's own repository replaces by folders, which a proxy cannot serve.
    /// Each gets an empty stand-in; no test uses what they hold.
    stubs: &'static [Stub],
}

/// A stand-in for one nested module.
struct Stub {
    module: &'static str,
    folder: &'static str,
    kind: StubKind,
}

enum StubKind {
    /// A state backend: one function that returns none.
    Backend,
    /// A package that only the program's own tests import.
    Empty,
}

/// Every program, in the order in which they are built.
pub(super) const ALL: &[Recipe] = &[
    Recipe {
        name: "opentofu",
        version: "1.12.6",
        variable: "TFPLUGIN_TOFU",
        package: "github.com/opentofu/opentofu/cmd/tofu",
        binary: "tofu",
        go_mod: include_str!("../../tools/opentofu-1.12.6/go.mod"),
        go_sum: include_str!("../../tools/opentofu-1.12.6/go.sum"),
        stubs: &[],
    },
    // The last under MPL-2.0: the oldest that the framework promises to work with.
    Recipe {
        name: "terraform",
        version: "1.5.7",
        variable: "TFPLUGIN_TERRAFORM_1_5",
        package: "github.com/hashicorp/terraform",
        binary: "terraform",
        go_mod: include_str!("../../tools/terraform-1.5.7/go.mod"),
        go_sum: include_str!("../../tools/terraform-1.5.7/go.sum"),
        stubs: &[],
    },
    // BUSL-1.1: run by tests here, never shipped and never what a user gets from us.
    Recipe {
        name: "terraform",
        version: "1.15.0",
        variable: "TFPLUGIN_TERRAFORM_1_15",
        package: "github.com/hashicorp/terraform",
        binary: "terraform",
        go_mod: include_str!("../../tools/terraform-1.15.0/go.mod"),
        go_sum: include_str!("../../tools/terraform-1.15.0/go.sum"),
        stubs: &[
            Stub::backend("azure"),
            Stub::backend("consul"),
            Stub::backend("cos"),
            Stub::backend("gcs"),
            Stub::backend("kubernetes"),
            Stub::backend("oci"),
            Stub::backend("oss"),
            Stub::backend("pg"),
            Stub::backend("s3"),
            Stub {
                module: "github.com/hashicorp/terraform/internal",
                folder: "legacy",
                kind: StubKind::Empty,
            },
        ],
    },
];

impl Recipe {
    /// The program's path, after building it if need be.
    pub(super) fn ensure(&self, tools: &Path, go: &mut Go) -> Outcome<PathBuf> {
        let name = format!("{}-{}", self.name, self.version);
        let build = |folder: &Path| self.build(&name, tools, folder, go);
        let place = cache::ensure(tools, &name, &self.fingerprint(), BUILD_LIMIT, build)?;
        Ok(place.join(self.file()))
    }

    fn build(&self, name: &str, tools: &Path, folder: &Path, go: &mut Go) -> Outcome {
        let started = Instant::now();
        println!("  {name}: building, a few minutes once per machine");
        let module = folder.join("module");
        self.write_module(&module)?;
        let output = folder.join(self.file());
        go.command(tools, name)?
            .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
            .args([output.as_os_str(), self.package.as_ref()])
            .dir(&module)
            .limit(BUILD_LIMIT)
            .log_to(&folder.join("build.log"))?;
        println!("  {name}: built in {}", clock(started.elapsed()));
        Ok(())
    }

    fn write_module(&self, module: &Path) -> Outcome {
        write(&module.join("go.mod"), self.go_mod)?;
        write(&module.join("go.sum"), self.go_sum)?;
        for stub in self.stubs {
            let folder = module.join("stubs").join(stub.folder);
            write(&folder.join("go.mod"), &stub.go_mod())?;
            write(&folder.join("stub.go"), &stub.source())?;
        }
        Ok(())
    }

    fn file(&self) -> String {
        format!("{}{}", self.binary, std::env::consts::EXE_SUFFIX)
    }

    fn fingerprint(&self) -> String {
        let stubs: String = self.stubs.iter().map(|stub| stub.go_mod() + &stub.source()).collect();
        let parts = [REVISION, self.package, self.go_mod, self.go_sum, &stubs];
        cache::fingerprint(parts.map(str::as_bytes))
    }
}

impl Stub {
    const fn backend(folder: &'static str) -> Self {
        let module = "github.com/hashicorp/terraform/internal/backend/remote-state";
        Self { module, folder, kind: StubKind::Backend }
    }

    fn go_mod(&self) -> String {
        format!("module {}/{}\n\ngo 1.26.6\n", self.module, self.folder)
    }

    fn source(&self) -> String {
        let package = self.folder;
        match self.kind {
            StubKind::Empty => {
                format!("// Package {package} stands in for one that no build needs.\npackage {package}\n")
            }
            StubKind::Backend => format!(
                "// Package {package} stands in for a state backend that no test uses.\npackage {package}\n\n\
                 import \"github.com/hashicorp/terraform/internal/backend\"\n\n\
                 // New returns no backend.\nfunc New() backend.Backend {{ return nil }}\n"
            ),
        }
    }
}

fn write(path: &Path, text: &str) -> Outcome {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| Failure::io("create", folder, &error))?;
    }
    fs::write(path, text).map_err(|error| Failure::io("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_pins_the_version_it_names() {
        for recipe in ALL {
            let line = format!(" v{}", recipe.version);
            assert!(
                recipe.go_mod.lines().any(|text| text.trim_end_matches(" // indirect").ends_with(&line)),
                "{} {}",
                recipe.name,
                recipe.version
            );
            assert!(recipe.go_mod.contains(&format!("tool {}\n", recipe.package)));
            assert!(recipe.go_sum.contains(&line));
        }
    }

    #[test]
    fn every_replaced_folder_has_its_stub() {
        for recipe in ALL {
            let replaced = recipe.go_mod.lines().filter(|line| line.contains("=> ./stubs/")).count();
            assert_eq!(replaced, recipe.stubs.len(), "{} {}", recipe.name, recipe.version);
            for stub in recipe.stubs {
                let line = format!("{}/{} => ./stubs/{}", stub.module, stub.folder, stub.folder);
                assert!(recipe.go_mod.contains(&line), "{line}");
            }
        }
    }

    #[test]
    fn two_versions_of_one_program_have_two_fingerprints() {
        let prints: std::collections::BTreeSet<String> = ALL.iter().map(Recipe::fingerprint).collect();
        assert_eq!(prints.len(), ALL.len());
    }
}
