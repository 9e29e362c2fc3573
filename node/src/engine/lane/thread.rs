//! The thread of a lane, and the loop that gives it turns.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{LocalSet, yield_now};
use tokio::time::{Instant, sleep_until};
use tracing::error;

use super::LaneCell;
use crate::engine::inbox::{ControlInput, LaneInput};

/// Inputs that are taken in at once.
const INPUTS_MAX: usize = 1_024;

/// How long a lane that is to stop waits for answers that are under way.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Starts a lane's thread. `make` runs on it, within its runtime; what it fails with is told here.
///
/// # Errors
/// Where the thread cannot be started, or `make` fails.
pub fn spawn<F>(
    name: String,
    inputs: UnboundedReceiver<LaneInput>,
    make: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>>
where
    F: Future<Output = io::Result<Rc<LaneCell>>>,
{
    let (told, started) = mpsc::channel();
    let run = move || {
        let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(told.send(Err(error))),
        };
        let tasks = LocalSet::new();
        let lane = async move {
            match make().await {
                Ok(cell) => {
                    drop(told.send(Ok(())));
                    serve(&cell, inputs).await;
                }
                Err(error) => drop(told.send(Err(error))),
            }
        };
        tasks.block_on(&runtime, lane);
    };
    let thread = Builder::new().name(name).spawn(run)?;
    match started.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(error),
        Err(mpsc::RecvError) => Err(io::Error::other("the lane's thread ended before it began")),
    }
}

/// Gives the lane turns until it is told to stop and who waits is answered, or its storage fails.
async fn serve(cell: &Rc<LaneCell>, mut inputs: UnboundedReceiver<LaneInput>) {
    let mut batch = Vec::with_capacity(INPUTS_MAX);
    let mut timer = pin!(sleep_until(Instant::from_std(cell.next_deadline())));
    let mut goes_on = true;
    let mut last_words: Option<Instant> = None;
    while goes_on || last_words.is_some_and(|until| !cell.is_idle() && Instant::now() < until) {
        tokio::select! {
            biased;
            () = cell.wake.notified() => {}
            count = inputs.recv_many(&mut batch, INPUTS_MAX) => goes_on = count > 0,
            () = &mut timer => {}
        }
        while batch.len() < INPUTS_MAX
            && let Ok(input) = inputs.try_recv()
        {
            batch.push(input);
        }
        for input in batch.drain(..) {
            if !cell.take_in(input) {
                goes_on = false;
                last_words = Some(Instant::now() + LAST_WORDS);
            }
        }
        if cell.turn() {
            cell.wake.notify_one();
            // Sockets are looked at between two turns.
            yield_now().await;
        }
        if let Some(error) = cell.failed() {
            error!(%error, lane = cell.lane, "the storage failed: the lane stops");
            cell.router.control(ControlInput::Failed(error));
            goes_on = false;
            last_words = None;
        }
        let deadline = Instant::from_std(cell.next_deadline());
        if deadline != timer.deadline() {
            timer.as_mut().reset(deadline);
        }
    }
    cell.connections.close_all();
    if let Some(peers) = cell.peers() {
        peers.stop().await;
    }
    let ended = cell.failed().map_or(Ok(()), Err);
    cell.router.control(ControlInput::LaneEnded(cell.lane, ended));
}
