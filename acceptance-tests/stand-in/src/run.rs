//! A stand-in's `main`.

use std::ffi::OsString;
use std::future::Future;
use std::io::Write as _;
use std::process::ExitCode;

use tokio::net::TcpListener;

/// The `main` of a stand-in: as many arguments as `usage` names behind the program.
#[allow(clippy::print_stderr, reason = "what is wrong with how it is started is told there")]
pub fn main_with<const N: usize>(
    usage: &str,
    run: impl FnOnce([OsString; N]) -> std::io::Result<()>,
) -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Ok(words) = words.try_into() else {
        eprintln!("usage: {usage}");
        return ExitCode::from(2);
    };
    match run(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", usage.split(' ').next().unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

/// Serves on a free port, says where, and ends when standard input does: whoever started us went, or wants us gone. `end` is called
/// while it still serves.
///
/// # Errors
/// When it cannot listen, or say where.
pub fn run<F, T>(
    threads: usize,
    serve: impl FnOnce(TcpListener) -> F,
    end: impl FnOnce(),
) -> std::io::Result<()>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "http://{}", listener.local_addr()?)?;
    stdout.flush()?;
    runtime.spawn(serve(listener));
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    end();
    runtime.shutdown_background();
    Ok(())
}
