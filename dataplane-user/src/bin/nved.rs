//! `nved`, the agent.

use std::{io::IsTerminal, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use dataplane_user::{
    agent::{Agent, StartError, lock},
    control::{
        accept,
        seats::{self, Seats},
        server::{self, Control},
        socket,
    },
    dataplane::{self, require},
    service,
    settings::{Flags, Settings},
    store,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tracing_subscriber::EnvFilter;

/// Exit codes of the contract.
const USAGE: u8 = 2;
const LACK: u8 = 7;

fn main() -> ExitCode {
    dataplane_user::memory::keep_little();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let settings = match Flags::parse().settings() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("nved: {error}");
            return ExitCode::from(USAGE);
        }
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nved: {error:#}");
            ExitCode::from(code(&error))
        }
    }
}

#[tokio::main]
async fn run(settings: Settings) -> Result<()> {
    // Said before anything is touched, a privilege that is missing is the whole story.
    require::machine()?;
    require::settings(&settings)?;
    require::bpffs(&settings.pin)?;
    let pin = settings.pin.clone();
    lock::keep(lock::folder(&pin, lock::PATIENCE)?);
    let done = work(settings).await;
    if done.is_err() {
        // An empty folder is what a refused start made; any other stays.
        std::fs::remove_dir(pin).ok();
    }
    done
}

async fn work(settings: Settings) -> Result<()> {
    let store = store::open(&settings.store).await?;
    let seats = Seats::new(seats::room());
    let socket = socket::listen(&settings.socket)?;
    let (agent, handle) = Agent::start(settings, store.clone()).await?;

    tokio::spawn(service::follow(handle.view.clone()));
    let (stop, stopped) = watch::channel(false);
    let control = Control {
        agent: handle,
        store,
    };
    let router = server::router(control);
    let server = tokio::spawn(accept::serve(socket, router, seats, stopped.clone()));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut agent = tokio::spawn(agent.run(stopped));
    let ended = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        ended = &mut agent => Some(ended.context("the agent's task failed")?),
    };
    if ended.is_none() {
        tracing::info!("stopping; the dataplane goes on forwarding");
    }
    service::stopping();
    stop.send_replace(true);
    server.await?;
    Ok(ended.unwrap_or(Ok(()))?)
}

fn code(error: &anyhow::Error) -> u8 {
    let lack = error.is::<require::Lack>()
        || matches!(
            error.downcast_ref(),
            Some(StartError::Dataplane(
                dataplane::Error::Lack(_)
                    | dataplane::Error::Verifier { .. }
                    | dataplane::Error::Attach { lack: true, .. }
            ))
        );
    if lack { LACK } else { 1 }
}
