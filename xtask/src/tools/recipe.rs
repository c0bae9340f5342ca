//! How each Go program is built: a helper module that is pinned by digest, and whose `tool` or own `main.go` is the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::go::Go;
use crate::cache;
use crate::failure::{Failure, Outcome};
use crate::process::clock;

/// Two cores need about six minutes for the largest; a slow network and a busy machine get ten times that.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Raised when this file builds differently from the same module files.
const REVISION: &str = "1";

/// A program in the Go module proxy.
pub(super) struct Recipe {
    name: &'static str,
    version: &'static str,
    pub(super) variable: &'static str,
    program: Program,
    binary: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    /// String variables that the linker sets, as `package.name=value`: what a release build would have stamped.
    stamps: &'static [&'static str],
    /// Nested modules that the program's own repository replaces by folders, which a proxy cannot serve.
    /// Each gets an empty stand-in; no test uses what they hold.
    stubs: &'static [Stub],
}

/// What is built in the helper module.
enum Program {
    /// A package of the proxy, which go.mod names as its tool.
    Tool(&'static str),
    /// Our own `main.go` beside go.mod: how parts that have no program of their own are run.
    Main(&'static str),
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
        program: Program::Tool("github.com/opentofu/opentofu/cmd/tofu"),
        binary: "tofu",
        go_mod: include_str!("../../tools/opentofu-1.12.6/go.mod"),
        go_sum: include_str!("../../tools/opentofu-1.12.6/go.sum"),
        stamps: &[],
        stubs: &[],
    },
    // The last under MPL-2.0: the oldest that the framework promises to work with.
    Recipe {
        name: "terraform",
        version: "1.5.7",
        variable: "TFPLUGIN_TERRAFORM_1_5",
        program: Program::Tool("github.com/hashicorp/terraform"),
        binary: "terraform",
        go_mod: include_str!("../../tools/terraform-1.5.7/go.mod"),
        go_sum: include_str!("../../tools/terraform-1.5.7/go.sum"),
        stamps: &[],
        stubs: &[],
    },
    // BUSL-1.1: run by tests here, never shipped and never what a user gets from us.
    Recipe {
        name: "terraform",
        version: "1.15.0",
        variable: "TFPLUGIN_TERRAFORM_1_15",
        program: Program::Tool("github.com/hashicorp/terraform"),
        binary: "terraform",
        go_mod: include_str!("../../tools/terraform-1.15.0/go.mod"),
        go_sum: include_str!("../../tools/terraform-1.15.0/go.sum"),
        stamps: &[],
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
    // The API server, the controllers, the scheduler and their store, chosen by the first argument.
    Recipe {
        name: "kube-cluster",
        version: "1.36.3",
        variable: "STREAMVERSE_KUBE_CLUSTER",
        program: Program::Main(include_str!("../../tools/kube-cluster-1.36.3/main.go")),
        binary: "kube-cluster",
        go_mod: include_str!("../../tools/kube-cluster-1.36.3/go.mod"),
        go_sum: include_str!("../../tools/kube-cluster-1.36.3/go.sum"),
        // As a release is stamped; without it `/version` tells v0.0.0.
        stamps: &[
            "k8s.io/component-base/version.gitVersion=v1.36.3",
            "k8s.io/component-base/version.gitMajor=1",
            "k8s.io/component-base/version.gitMinor=36",
        ],
        stubs: &[],
    },
    // Nodes without a machine, for that cluster: their pods run, become ready and complete.
    Recipe {
        name: "kwok",
        version: "0.8.0",
        variable: "STREAMVERSE_KWOK",
        program: Program::Tool("sigs.k8s.io/kwok/cmd/kwok"),
        binary: "kwok",
        go_mod: include_str!("../../tools/kwok-0.8.0/go.mod"),
        go_sum: include_str!("../../tools/kwok-0.8.0/go.sum"),
        stamps: &[],
        stubs: &[],
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
            .args(["build", "-trimpath", &self.linker_flags(), "-o"])
            .args([output.as_os_str(), self.program.package().as_ref()])
            .dir(&module)
            .limit(BUILD_LIMIT)
            .log_to(&folder.join("build.log"))?;
        println!("  {name}: built in {}", clock(started.elapsed()));
        Ok(())
    }

    fn write_module(&self, module: &Path) -> Outcome {
        write(&module.join("go.mod"), self.go_mod)?;
        write(&module.join("go.sum"), self.go_sum)?;
        if let Program::Main(source) = self.program {
            write(&module.join("main.go"), source)?;
        }
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
        let mut parts = vec![REVISION, self.program.package(), self.go_mod, self.go_sum, &stubs];
        if let Program::Main(source) = self.program {
            parts.push(source);
        }
        parts.extend(self.stamps);
        cache::fingerprint(parts.into_iter().map(str::as_bytes))
    }

    fn linker_flags(&self) -> String {
        let stamps = self.stamps.iter().map(|stamp| format!(" -X {stamp}"));
        format!("-ldflags=-s -w{}", stamps.collect::<String>())
    }
}

impl Program {
    /// As `go build` wants it named, in the helper module's folder.
    fn package(&self) -> &'static str {
        match self {
            Self::Tool(package) => package,
            Self::Main(_) => ".",
        }
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
            match recipe.program {
                Program::Tool(package) => assert!(recipe.go_mod.contains(&format!("tool {package}\n"))),
                Program::Main(source) => assert!(source.contains("\nfunc main() {\n")),
            }
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
    fn a_stamped_version_is_the_one_that_is_built() {
        for recipe in ALL {
            let flags = recipe.linker_flags();
            assert_eq!(flags.matches(" -X ").count(), recipe.stamps.len(), "{flags}");
            for version in recipe.stamps.iter().filter_map(|stamp| stamp.split_once(".gitVersion=v")) {
                assert_eq!(version.1, recipe.version);
            }
        }
    }

    #[test]
    fn two_versions_of_one_program_have_two_fingerprints() {
        let prints: std::collections::BTreeSet<String> = ALL.iter().map(Recipe::fingerprint).collect();
        assert_eq!(prints.len(), ALL.len());
    }
}
