//! Measures everything, tells how far it is on stderr and writes the rows as JSON. `cargo xtask bench framework`
//! builds and runs it; `--only PART` measures one of scale, start, size, collections, rebuild.

use std::path::PathBuf;
use std::process::ExitCode;

use tfplugin_bench::driver::row::Row;
use tfplugin_bench::driver::{
    Outcome, Setup, collections, rebuild, scale, size, start, tell, watch::load_average,
};

const HELP: &str = "framework-bench [--quick] [--long] [--only PART] --out FILE";

#[derive(Default)]
struct Options {
    quick: bool,
    long: bool,
    only: Option<String>,
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match options().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Outcome<Options> {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => options.quick = true,
            "--long" => options.long = true,
            "--only" => options.only = words.next(),
            "--out" => options.out = words.next().map(PathBuf::from),
            other => return Err(format!("{other:?} is no option; {HELP}").into()),
        }
    }
    Ok(options)
}

fn run(options: Options) -> Outcome<()> {
    let out = options.out.ok_or(HELP)?;
    let setup = Setup::here(options.quick, options.long)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let wanted = |part: &str| options.only.as_deref().is_none_or(|only| only == part);
    let mut rows = vec![
        Row::new("load average before", load_average(), "")
            .note("of a machine with nothing else to do: below 0.5"),
    ];
    if wanted("start") {
        rows.extend(runtime.block_on(start::measure(&setup))?);
    }
    if wanted("size") {
        rows.extend(size::measure(&setup)?);
    }
    if wanted("collections") {
        rows.extend(runtime.block_on(collections::measure(&setup))?);
    }
    if wanted("scale") {
        rows.extend(scale::measure(&setup)?);
    }
    if wanted("rebuild") {
        rows.extend(rebuild::measure(&setup)?);
    }
    let rows: Vec<_> = rows.iter().map(Row::to_json).collect();
    std::fs::write(&out, serde_json::Value::Array(rows).to_string())?;
    tell(format!("written to {}", out.display()));
    Ok(())
}
