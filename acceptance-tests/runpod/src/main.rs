//! The stand-in as a process: `runpod-stand-in LEDGER`. It says where it listens, and ends when its standard input does.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    streamverse_stand_in::main_with("runpod-stand-in LEDGER", |[ledger]| {
        streamverse_runpod_stand_in::run(Path::new(&ledger))
    })
}
