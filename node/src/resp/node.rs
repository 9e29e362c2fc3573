//! What connections ask the node: about itself, about each other, and to change what all share.

use std::process;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use coterie_protocol::control::SyncPolicy;
use coterie_resp::facts::{Calls, ClientFacts, NodeFacts, Query, SlowCommand, Told};
use coterie_resp::users::Users;
use tokio::sync::oneshot;

use super::Connections;
use crate::engine::inbox::{LaneInput, Router};
use crate::engine::lane::LaneCell;
use crate::metrics::resident_bytes;

/// Answers what a connection asks of the node.
pub(crate) async fn tell(query: Query, cell: Rc<LaneCell>) -> Told {
    let router = cell.router.clone();
    let now = cell.clock.now().monotonic;
    match query {
        Query::Node => Told::Node(Box::new(node(&cell, &router, now).await)),
        Query::Clients => {
            let all = of_all(&router, move |connections| connections.facts(now)).await;
            let mut clients: Vec<ClientFacts> = all.into_iter().flatten().collect();
            clients.sort_by_key(|client| client.id);
            Told::Clients(clients)
        }
        Query::Kill(filters) => {
            let killed = of_all(&router, move |connections| connections.kill(&filters, now)).await;
            Told::Count(killed.into_iter().sum())
        }
        Query::Pause(until) => {
            change(&router, move |connections| {
                connections.door().borrow_mut().paused_until = until;
                connections.look_again();
            })
            .await
        }
        Query::SetUser { name, rules } => {
            let rules: Vec<&[u8]> = rules.iter().map(|rule| &rule[..]).collect();
            match cell.connections.people().set(&name, &rules) {
                Err(error) => Told::Error(error.to_string()),
                Ok(users) => {
                    change_users(&router, users).await;
                    Told::Done
                }
            }
        }
        Query::DeleteUsers(names) => {
            let (users, removed) = cell.connections.people().remove(&names);
            change_users(&router, users).await;
            Told::Count(removed)
        }
        Query::Configure(parameters) => configure(&router, parameters).await,
        Query::ResetStatistics => {
            change(&router, |connections| {
                connections.door().borrow_mut().calls.fill(Calls::default());
            })
            .await
        }
        Query::Slow(most) => {
            let all = of_all(&router, |connections| connections.door().borrow().slow.clone()).await;
            let mut slow: Vec<SlowCommand> = all.into_iter().flatten().collect();
            slow.sort_by_key(|command| std::cmp::Reverse(command.wall_millis));
            slow.truncate(most);
            Told::Slow(slow)
        }
        Query::ForgetSlow => {
            change(&router, |connections| connections.door().borrow_mut().slow.clear()).await
        }
    }
}

/// Users are others than before: whoever is in looks again who it is.
pub(crate) async fn change_users(router: &Router, users: Arc<Users>) {
    let looks = move |connections: &Connections| {
        connections.door().borrow_mut().users = Arc::clone(&users);
        connections.look_again();
    };
    of_all(router, looks).await;
}

/// Has every lane do something with its connections, and gathers what comes of it.
async fn of_all<T: Send + 'static>(
    router: &Router,
    what: impl Fn(&Connections) -> T + Clone + Send + 'static,
) -> Vec<T> {
    let mut waiting = Vec::new();
    for lane in 0..router.lanes() {
        let (sender, receiver) = oneshot::channel();
        let what = what.clone();
        let visit = move |connections: &Connections| drop(sender.send(what(connections)));
        router.lane(lane, LaneInput::Visit(Box::new(visit)));
        waiting.push(receiver);
    }
    let mut gathered = Vec::new();
    for receiver in waiting {
        // A lane that has ended has no connections.
        gathered.extend(receiver.await.ok());
    }
    gathered
}

async fn change(router: &Router, what: impl Fn(&Connections) + Clone + Send + 'static) -> Told {
    of_all(router, what).await;
    Told::Done
}

/// Sets parameters in every lane: each takes all of them or none, and all take the same.
async fn configure(router: &Router, parameters: Vec<(String, String)>) -> Told {
    let set = move |connections: &Connections| {
        let mut door = connections.door().borrow_mut();
        let mut wanted = door.parameters.clone();
        for (name, value) in &parameters {
            wanted.set(name, value).map_err(|error| error.to_string())?;
        }
        door.parameters = wanted;
        Ok(())
    };
    let all: Vec<Result<(), String>> = of_all(router, set).await;
    match all.into_iter().find_map(Result::err) {
        Some(error) => Told::Error(error),
        None => Told::Done,
    }
}

async fn node(cell: &LaneCell, router: &Router, now: Duration) -> NodeFacts {
    let doors = of_all(router, |connections| {
        let metrics = connections.metrics();
        let calls = connections.door().borrow().calls.clone();
        (connections.len() as u64, connections.most(), metrics.counts, calls)
    });
    let mut facts = NodeFacts {
        uptime: now,
        process_id: process::id(),
        lanes: router.lanes(),
        memory_bytes: resident_bytes().unwrap_or(0),
        sync: match cell.gateway.facts().sync {
            SyncPolicy::Always => "always",
            SyncPolicy::Periodic => "periodic",
        }
        .to_owned(),
        free_permille: cell.gateway.control().storage.free_permille.unwrap_or(0),
        ..NodeFacts::default()
    };
    for (clients, most, counts, calls) in doors.await {
        facts.clients += clients;
        facts.clients_max = most;
        facts.clients_ever += counts.connections_opened;
        facts.input_bytes += counts.client_bytes_in;
        facts.output_bytes += counts.client_bytes_out;
        facts.calls.resize(calls.len().max(facts.calls.len()), Calls::default());
        for (sum, lane) in facts.calls.iter_mut().zip(&calls) {
            sum.add(lane);
        }
    }
    facts.memory_peak_bytes = facts.memory_bytes;
    let status = cell.gateway.lanes();
    let hints: u64 = status.iter().flat_map(|lane| &lane.hints).map(|(_, bytes)| bytes).sum();
    let slices: usize = status.iter().map(|lane| lane.slices.len()).sum();
    facts.coterie = vec![
        ("hint_bytes".to_owned(), hints.to_string()),
        ("slices".to_owned(), slices.to_string()),
    ];
    facts
}
