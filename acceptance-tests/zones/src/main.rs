//! The stand-in as a process: `zones-stand-in CONFIG LEDGER`. It says where it listens, and ends when its standard input does.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    streamverse_stand_in::main_with("zones-stand-in CONFIG LEDGER", |[config, ledger]| {
        streamverse_zones_stand_in::run(Path::new(&config), Path::new(&ledger))
    })
}
