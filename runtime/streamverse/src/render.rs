//! `streamverse render`: the Kubernetes objects of a plan, as files, for people who use GitOps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use streamverse_core::{Error, Result};
use streamverse_model::platform::{
    Bundle, CredentialUse, Name, Object, Owner, declared_kind, declared_objects,
};
use streamverse_sites::kubernetes::{Expose, Image, Others, Rendering, UsedService, namespace, render};

/// What to render.
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// What `terraform show -json PLANFILE` (or of a state) printed.
    plan: PathBuf,
    /// The folder that the files go to; one that has files of another rendering is refused.
    #[arg(long)]
    out: PathBuf,
    /// The deployment, as in the provider block.
    #[arg(long)]
    deployment: String,
    /// The site whose resources are rendered.
    #[arg(long, default_value = "default")]
    site: String,
    /// The namespace; the deployment's name where none is given.
    #[arg(long)]
    namespace: Option<String>,
    /// An image by digest, as in the provider block: streamverse=NAME:TAG@sha256:…. May be repeated.
    #[arg(long = "image")]
    images: Vec<String>,
    /// `load_balancer`, `node_port` or `cluster_ip`.
    #[arg(long, default_value = "load_balancer")]
    expose: String,
    /// A label of everything, as in `default_labels` of the provider block: KEY=VALUE. May be repeated.
    #[arg(long = "label")]
    labels: Vec<String>,
}

fn usage(text: impl Into<String>) -> Error {
    Error::permanent("usage", text)
}

#[allow(clippy::print_stdout, reason = "what it wrote is its answer")]
pub(crate) fn run(args: &RenderArgs) -> Result<()> {
    let deployment = Name::parse(&args.deployment).map_err(|error| usage(error.to_string()))?;
    let rendering = Rendering {
        site: args.site.clone(),
        namespace: args.namespace.clone().unwrap_or_else(|| args.deployment.clone()),
        images: images(&args.images)?,
        expose: Expose::parse(&args.expose).ok_or_else(|| {
            usage(format!("--expose {:?} is none of load_balancer, node_port, cluster_ip", args.expose))
        })?,
    };
    let text = std::fs::read_to_string(&args.plan)
        .map_err(|error| usage(format!("{} cannot be read", args.plan.display())).because(error))?;
    let plan: Value = serde_json::from_str(&text).map_err(|error| {
        usage(format!(
            "{} is no JSON: give the output of `terraform show -json PLANFILE`",
            args.plan.display()
        ))
        .because(error)
    })?;
    let labels = labels(&args.labels)?;
    let bundles = bundles(&plan, &deployment, &args.site, &labels)?;
    if bundles.is_empty() {
        return Err(usage(format!(
            "the plan has no resource of ours on site {:?}: name another with --site",
            args.site
        )));
    }
    // Read first by people and tools: what everything else is in.
    let body = namespace(&rendering.namespace, &deployment);
    let mut files = BTreeMap::from([(format!("namespace-{}.json", rendering.namespace), body)]);
    let secrets = secrets(&bundles);
    for bundle in &bundles {
        let scaler = scaler(bundle, &bundles);
        let others = Others { used: uses(bundle, &bundles), secrets: secrets.clone(), scaler };
        for one in render(bundle, &rendering, &others).map_err(|error| {
            let next = error.next.clone().map(|next| format!(" {next}")).unwrap_or_default();
            usage(format!("{}: {error}.{next}", bundle.owner))
        })? {
            files.insert(one.file_name(), one.body);
        }
    }
    write(&args.out, &files)?;
    println!("{} objects of {} resources are in {}", files.len(), bundles.len(), args.out.display());
    let secrets = files.values().filter(|body| body["kind"] == "Secret").count();
    if secrets > 0 {
        println!(
            "{secrets} of them are Secrets without values: a plan has none. Fill them with your own tool."
        );
    }
    Ok(())
}

fn images(given: &[String]) -> Result<BTreeMap<String, Image>> {
    let mut images = BTreeMap::new();
    for text in given {
        let (of, image) = text
            .split_once('=')
            .ok_or_else(|| usage(format!("--image {text:?} is not WHAT=NAME:TAG@sha256:…")))?;
        images.insert(of.to_owned(), Image::parse(image).map_err(usage)?);
    }
    Ok(images)
}

fn labels(given: &[String]) -> Result<BTreeMap<String, String>> {
    let read = |text: &String| {
        let (key, value) =
            text.split_once('=').ok_or_else(|| usage(format!("--label {text:?} is not KEY=VALUE")))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    given.iter().map(read).collect()
}

/// The versions of all secrets: pods are made anew when one that they read gets another.
fn secrets(bundles: &[Bundle]) -> BTreeMap<CredentialUse, u64> {
    let mut versions = BTreeMap::new();
    for bundle in bundles {
        for object in &bundle.objects {
            if let Object::Secret(it) = object {
                let of = CredentialUse { kind: bundle.owner.kind.clone(), name: bundle.owner.name.clone() };
                versions.entry(of).or_insert(it.version);
            }
        }
    }
    versions
}

/// The bundles of all resources of the site, in a plan or a state.
fn bundles(
    plan: &Value,
    deployment: &Name,
    site: &str,
    labels: &BTreeMap<String, String>,
) -> Result<Vec<Bundle>> {
    let root = ["/planned_values/root_module", "/values/root_module"].iter().find_map(|at| plan.pointer(at));
    let root = root.ok_or_else(|| {
        usage("this is neither a plan nor a state: give the output of `terraform show -json`")
    })?;
    let mut found = Vec::new();
    let mut modules = vec![root];
    while let Some(module) = modules.pop() {
        modules.extend(module["child_modules"].as_array().into_iter().flatten());
        for resource in module["resources"].as_array().into_iter().flatten() {
            let address = resource["address"].as_str().unwrap_or_default();
            let managed = resource["mode"] == "managed" && resource["values"]["site"] == site;
            let Some(kind) = resource["type"].as_str().and_then(declared_kind).filter(|_| managed) else {
                continue;
            };
            let told = |error: String| usage(format!("{address}: {error}"));
            let name = resource["values"]["name"].as_str().unwrap_or_default();
            let owner =
                Owner::new(deployment.as_str(), &kind, name).map_err(|error| told(error.to_string()))?;
            let objects =
                declared_objects(&owner, &resource["values"]).map_err(|error| told(error.to_string()))?;
            found.push(Bundle { labels: labels.clone(), ..Bundle::new(owner, objects) });
        }
    }
    Ok(found)
}

fn uses(bundle: &Bundle, all: &[Bundle]) -> Vec<UsedService> {
    let jobs = bundle.objects.iter().filter_map(|object| match object {
        Object::Job(job) => Some(job),
        _ => None,
    });
    jobs.flat_map(|job| &job.uses)
        .filter_map(|used| {
            let of = all.iter().find(|it| it.owner.kind == used.kind && it.owner.name == used.name)?;
            UsedService::of(used, of)
        })
        .collect()
}

/// Who decides how many of its service run, where it is not itself.
fn scaler(bundle: &Bundle, all: &[Bundle]) -> Option<Owner> {
    let scales = |it: &&Bundle| {
        it.objects.iter().any(|object| match object {
            Object::Scaler(it) => it.of.kind == bundle.owner.kind && it.of.name == bundle.owner.name,
            _ => false,
        })
    };
    all.iter().find(scales).map(|it| it.owner.clone())
}

fn write(folder: &Path, files: &BTreeMap<String, Value>) -> Result<()> {
    let failed =
        |error| Error::permanent("render", format!("{} cannot be written", folder.display())).because(error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut there = std::fs::read_dir(folder).map_err(failed)?.flatten();
    if let Some(other) = there.find(|it| {
        let name = it.file_name().to_string_lossy().into_owned();
        name != "kustomization.yaml" && !files.contains_key(&name)
    }) {
        return Err(usage(format!(
            "{} has {}, which is not of this rendering: give another folder, or remove it",
            folder.display(),
            other.file_name().to_string_lossy()
        )));
    }
    for (name, body) in files {
        let text = serde_json::to_string_pretty(body).unwrap_or_default() + "\n";
        std::fs::write(folder.join(name), text).map_err(failed)?;
    }
    let names: Vec<&String> = files.keys().collect();
    let list = json!({ "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": names });
    std::fs::write(
        folder.join("kustomization.yaml"),
        serde_json::to_string_pretty(&list).unwrap_or_default() + "\n",
    )
    .map_err(failed)
}
