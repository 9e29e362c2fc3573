//! Clients: what they submit, and what they are answered.

use std::time::Duration;

use coterie_crdt::operation::Operation;
use coterie_protocol::{ClientId, Event};
use coterie_ring::NodeId;
use coterie_wire::{Answered, Key, Levels, List, Listed, Outcome, Request, RequestId, SessionDots};

use super::Cluster;

impl Cluster {
    /// A client of `node` submits a request; nothing is delivered yet.
    pub(crate) fn submit(&mut self, node: NodeId, request: Request) -> ClientId {
        self.clients += 1;
        let (client, index) = (ClientId(self.clients), self.index(node));
        let partition = self.nodes[index].view.partition(&request.key);
        let lane = usize::from(partition.0) % self.nodes[index].lanes.len();
        self.event(index, lane, Event::Request { client, request: Box::new(request) });
        client
    }

    /// A client of `node` asks for keys; nothing is delivered yet.
    pub(crate) fn submit_list(&mut self, node: NodeId, list: List) -> ClientId {
        self.clients += 1;
        let (client, index) = (ClientId(self.clients), self.index(node));
        let partition = list.partition(self.decision().layout().partitioner());
        let lane = usize::from(partition.0) % self.nodes[index].lanes.len();
        self.event(index, lane, Event::List { client, list: Box::new(list) });
        client
    }

    /// The answer to that, if there is one yet.
    pub(crate) fn listed(&self, client: ClientId) -> Option<&Listed> {
        let listed = self.listed.get(&client)?;
        assert_eq!(listed.len(), 1, "it is answered once");
        Some(&listed[0])
    }

    /// A client of `node` asks for keys, and waits for the answer.
    pub(crate) fn list(&mut self, node: NodeId, list: List) -> Listed {
        let client = self.submit_list(node, list);
        self.answer(|cluster| cluster.listed(client).cloned())
    }

    /// The answer to a request, if there is one yet.
    ///
    /// # Panics
    /// If it was answered more than once.
    pub(crate) fn response(&self, client: ClientId) -> Option<&Outcome> {
        let responses = self.responses.get(&client)?;
        assert_eq!(responses.len(), 1, "a request is answered once");
        Some(&responses[0].outcome)
    }

    /// A client of `node` asks, and waits for the answer.
    pub(crate) fn ask(&mut self, node: NodeId, request: Request) -> Outcome {
        let client = self.submit(node, request);
        self.answer(|cluster| cluster.response(client).cloned())
    }

    /// Runs until there is an answer.
    fn answer<T>(&mut self, look: impl Fn(&Self) -> Option<T>) -> T {
        self.run();
        for _ in 0..1_000 {
            if let Some(answer) = look(self) {
                return answer;
            }
            self.advance(Duration::from_millis(10));
        }
        panic!("no answer within ten seconds");
    }

    /// As [`Cluster::ask`], of what has to be done.
    pub(crate) fn done(&mut self, node: NodeId, request: Request) -> Answered {
        match self.ask(node, request) {
            Outcome::Done(answered) => *answered,
            outcome => panic!("not done: {outcome:?}"),
        }
    }

    /// A request on a key of [`BUCKET`] that waits for two seconds.
    pub(crate) fn request(&mut self, key: &Key, operation: Operation) -> Request {
        self.clients += 1;
        Request {
            id: RequestId(u128::from(self.clients) << 64 | 0xabcd),
            key: key.clone(),
            operations: vec![operation],
            levels: Levels::default(),
            time_left: Duration::from_secs(2),
            session: SessionDots::default(),
            explain: false,
        }
    }
}
