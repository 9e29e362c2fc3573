//! A node's life: opens what it has, starts its threads, and opens it anew after a failure of the disk.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use coterie_protocol::control::{self, Command, CommandError, Control, ControlEffects, Past};
use coterie_protocol::rows::StoreError;
use coterie_swim::{Address, Attributes, Generation, Instance, Label};
use coterie_wire::peer::control::Hello;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;
use tracing::{error, info, warn};

use super::clock::{Clock, wall_millis};
use super::control::{Around, ControlThread, End};
use super::gateway::{Gateway, NodeAddresses, NodeFacts};
use super::inbox::{ControlInput, LaneInput, Router};
use super::lane::{self, LaneCell, LaneSettings};
use super::memory::ClientMemory;
use super::renewal::Renewal;
use super::service;
use crate::backup::Backups;
use crate::certificates::Certificates;
use crate::config::{Begin, Endpoint, Settings};
use crate::http::{self, Http};
use crate::metrics::Metrics;
use crate::peers::locate::Seeds;
use crate::peers::{Gossip, Peers, PeersLimits, PeersSettings};
use crate::resp::{self, Connections, ConnectionsSettings, People};
use crate::storage::{self, Identity, Scope, Storage, StorageSettings, Syncer, Waker};

/// The wire versions that this program speaks.
const PROTOCOLS: (u16, u16) = (1, 1);

/// How long commits wait for the disk where nobody waits for them.
const SYNC_EVERY: Duration = Duration::from_millis(50);

/// How long a store that failed is left alone.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// How long threads may take to let go of a store that failed.
const CLOSE_WITHIN: Duration = Duration::from_secs(30);

/// Runs a node until it is told to stop, leaves its cluster, or cannot go on.
///
/// # Errors
/// What keeps it from starting, or from going on.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    let renewal = Renewal::load(settings)?;
    let certificates = &renewal.certificates;
    let identity = Identity { cluster: certificates.cluster(), node: certificates.node() };
    let known = storage::identity(&settings.data_dir)?;
    if known.is_none() && settings.begin == Begin::GoOn {
        bail!(
            "{} holds no node yet: give --bootstrap to begin a cluster, or --join GOSSIP_ADDRESS to join one",
            settings.data_dir.display()
        );
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let mut past = Past::Continued;
    loop {
        let storage_settings = storage_settings(settings, identity);
        let storage = open(settings, &storage_settings, past)?;
        let closed = storage.closed();
        let tasks = LocalSet::new();
        let restored = storage::restored(&settings.data_dir)?;
        let begins = restored.map_or(past, |scope| match scope {
            Scope::Cluster => Past::ClusterRestored,
            Scope::Node => Past::Restored,
        });
        let life = live(settings, &renewal, storage, begins);
        let end = tasks.block_on(&runtime, life)?;
        drop(tasks);
        match end {
            End::Asked => {
                info!("the node has stopped in order");
                return Ok(());
            }
            End::Stopped(cause) => {
                warn!(?cause, "the node has ended by itself");
                return Ok(());
            }
            End::Failed(error) => {
                error!(%error, "the disk failed: the store is opened anew, under new actors");
                past = Past::DiskFailed;
                if !closed.wait(CLOSE_WITHIN) {
                    bail!("the store that failed is still in use: start the node again");
                }
            }
        }
    }
}

fn storage_settings(settings: &Settings, identity: Identity) -> StorageSettings {
    let mut wanted = StorageSettings::new(identity);
    wanted.cache_bytes = usize::try_from(settings.cache_bytes).unwrap_or(usize::MAX);
    wanted.memtables_bytes = wanted.cache_bytes / 4;
    wanted.known_bytes /= usize::from(settings.lanes.get());
    wanted
}

/// Opens the store; after a failure, again and again until the disk lets it.
fn open(settings: &Settings, wanted: &StorageSettings, past: Past) -> anyhow::Result<Storage> {
    if past != Past::DiskFailed {
        return Ok(Storage::open(&settings.data_dir, wanted)?);
    }
    loop {
        match Storage::recover(&settings.data_dir, wanted) {
            Ok(storage) => return Ok(storage),
            Err(error) => warn!(%error, "the store cannot be opened yet"),
        }
        // Nothing else runs now: the thread may wait.
        let (_nobody, never) = std::sync::mpsc::channel::<()>();
        let _waited = never.recv_timeout(REOPEN_AFTER);
    }
}

/// From when the store is open until the threads have ended.
async fn live(
    settings: &Settings,
    renewal: &Renewal,
    storage: Storage,
    past: Past,
) -> anyhow::Result<End> {
    let certificates = &renewal.certificates;
    let clock = Clock::start();
    let facts = facts(settings, certificates)?;
    let identity = Identity { cluster: facts.cluster, node: facts.node };
    let (control_sender, control_inputs) = mpsc::unbounded_channel();
    let lanes: Vec<_> = (0..settings.lanes.get()).map(|_| mpsc::unbounded_channel()).collect();
    let (lane_senders, lane_inputs): (Vec<_>, Vec<_>) = lanes.into_iter().unzip();
    let router = Router::new(lane_senders, control_sender);
    let gateway = Gateway::new(facts.clone(), router.clone());
    let failed = router.clone();
    let on_failed = Box::new(move |error| {
        failed.control(ControlInput::Failed(error));
    });
    let syncer = storage.syncer(SYNC_EVERY, on_failed)?;

    let gossip = Gossip::bind(settings.gossip.listen, certificates.clone())
        .with_context(|| format!("gossip cannot listen on {}", settings.gossip.listen))?;
    let (seeds, joins) = seeds(&settings.begin)?;
    let control_store = storage.lane();
    let control_router = router.clone();
    syncer.register(
        control_store.counter(),
        Box::new(move |number| {
            control_router.control(ControlInput::Synced(number));
        }),
    );
    let start = control::Start {
        cluster: facts.cluster,
        node: facts.node,
        attributes: attributes(settings, &facts)?,
        place: settings.place.clone(),
        seeds: seeds.clone(),
        joins,
        boot: boot(),
        sync: settings.sync,
        past,
        seed: draw(),
        settings: control::Settings::default(),
        now: clock.now(),
    };
    let mut opened = ControlEffects::new();
    let control = Control::open(start, &storage.everything(), &mut opened)
        .context("the node cannot go on with what its data directory holds")?;

    let memory = ClientMemory::new(settings.limits.clients_bytes_max);
    let mut threads = Vec::new();
    let process = draw();
    let people = People::new(settings.users.as_ref());
    for (lane, inputs) in (0..).zip(lane_inputs) {
        let (router, gateway) = (router.clone(), gateway.clone());
        let (people, memory) = (people.clone(), memory.clone());
        let acceptor = renewal.resp.as_ref().map(|certificate| certificate.acceptor(None));
        let lane = LaneOf { lane, process, clock, router, gateway, acceptor, people, memory };
        threads.push(lane.start(settings, certificates, &storage, &syncer, inputs)?);
    }
    let door = resp::Listener::bind(settings, router.clone())?;
    let metrics = Arc::new(Metrics::new(gateway.clone(), resp::command_names()));
    let http = Http::open(http::Settings {
        door: settings.http.clone(),
        certificate: renewal.http.clone(),
        users: settings.users.clone(),
        connections_max: settings.limits.connections_max,
        request_timeout: settings.limits.request_timeout,
        value_bytes_max: settings.limits.operations.value_bytes_max,
        memory,
        gateway: gateway.clone(),
        metrics,
        backups: Some(Backups::new(settings.backup_dir.clone(), identity, &storage)),
    })
    .await?;
    let (stop_http, http_stopped) = oneshot::channel::<()>();
    let http = tokio::task::spawn_local(http.run(async move {
        drop(http_stopped.await);
    }));
    let door = tokio::task::spawn_local(door.run());
    let signals = tokio::task::spawn_local(stop_on_signal(router.clone()));
    let watch = tokio::task::spawn_local(renewal.clone().run(people, router.clone()));
    let serving = tokio::task::spawn_local(service::tell_when_serving(gateway.clone()));
    if let Begin::Bootstrap { partitions, placement } = &settings.begin {
        let command = Command::Bootstrap { partitions: *partitions, placement: *placement };
        tokio::task::spawn_local(bootstrap(gateway.clone(), router.clone(), command));
    }
    info!(
        node = %facts.node,
        resp = %settings.resp.listen,
        http = %settings.http.listen,
        gossip = %settings.gossip.listen,
        peers = %settings.peers.listen,
        lanes = facts.lanes,
        "the node has started"
    );
    let around = Around {
        store: control_store,
        log: syncer.waker(),
        storage: storage.clone(),
        clock,
        router,
        gateway,
        gossip: Rc::new(gossip),
        seeds: Seeds::new(seeds),
    };
    let thread = ControlThread::new(control, opened, around);
    let end =
        match thread.and_then(|thread| note_restore(settings, &storage, past).map(|()| thread)) {
            Ok(thread) => thread.run(control_inputs).await,
            Err(error) => End::Failed(error),
        };
    service::tell_stopping();
    serving.abort();
    door.abort();
    signals.abort();
    watch.abort();
    let _told = stop_http.send(());
    // What is still being answered may take a moment; then it is cut off.
    drop(tokio::time::timeout(Duration::from_secs(1), http).await);
    let joined = tokio::task::spawn_blocking(move || {
        drop(syncer);
        threads.into_iter().all(|thread: JoinHandle<()>| thread.join().is_ok())
    });
    if !joined.await? {
        bail!("a lane's thread panicked: this is a bug; the node's data is as it was committed");
    }
    Ok(end)
}

/// Control has written what a store of a backup means: that it is of one need not be known any more.
fn note_restore(settings: &Settings, storage: &Storage, past: Past) -> Result<(), StoreError> {
    if !matches!(past, Past::Restored | Past::ClusterRestored) {
        return Ok(());
    }
    storage.sync()?;
    info!(?past, "the node goes on from a backup, under new actors");
    if let Err(error) = storage::forget_restored(&settings.data_dir) {
        // It draws new actors at the next start once more, which does no harm.
        warn!(%error, "it is not noted that the node has started from its backup");
    }
    Ok(())
}

/// What a lane's thread is made from.
struct LaneOf {
    lane: u16,
    process: u64,
    clock: Clock,
    router: Router,
    gateway: Gateway,
    acceptor: Option<TlsAcceptor>,
    people: People,
    memory: ClientMemory,
}

impl LaneOf {
    fn start(
        self,
        settings: &Settings,
        certificates: &Certificates,
        storage: &Storage,
        syncer: &Syncer,
        inputs: mpsc::UnboundedReceiver<LaneInput>,
    ) -> anyhow::Result<JoinHandle<()>> {
        let LaneOf { lane, process, clock, router, gateway, acceptor, people, memory } = self;
        let store = storage.lane();
        let told = router.clone();
        syncer.register(
            store.counter(),
            Box::new(move |number| {
                told.lane(lane, LaneInput::Synced(number));
            }),
        );
        let mut listen = settings.peers.listen;
        let port = listen.port().checked_add(lane);
        listen.set_port(port.context("the ports of the lanes go past 65,535")?);
        let peers = PeersSettings {
            lane,
            process,
            listen,
            certificates: certificates.clone(),
            limits: PeersLimits::default(),
        };
        let lane_settings = LaneSettings {
            lane,
            sync: settings.sync,
            protocol: protocol_settings(settings, settings.lanes.get()),
            seed: draw(),
        };
        let (storage, log): (Storage, Waker) = (storage.clone(), syncer.waker());
        let address = gateway.facts().addresses.resp;
        let connections =
            ConnectionsSettings::new(settings, acceptor, people, address, lane, draw());
        let make = move || async move {
            let ground = (storage, store, log);
            let connections = Connections::new(connections, memory);
            let cell = LaneCell::new(lane_settings, clock, router, gateway, ground, connections);
            let heard = Rc::downgrade(&cell);
            let events = move |event| {
                if let Some(cell) = heard.upgrade() {
                    cell.peer_event(event);
                }
            };
            let peers = Peers::start(peers, Rc::new(events))?;
            peers.set_hello(|| Hello { wall_millis: wall_millis(), protocols: PROTOCOLS });
            cell.set_peers(Rc::new(peers));
            Ok(cell)
        };
        lane::spawn(format!("lane-{lane}"), inputs, make)
            .with_context(|| format!("lane {lane} cannot start on {listen}"))
    }
}

/// What lanes share of a node's bounds is divided among them.
fn protocol_settings(settings: &Settings, lanes: u16) -> coterie_protocol::Settings {
    let limits = &settings.limits;
    let share = |all: u64| (all / u64::from(lanes)).max(1);
    coterie_protocol::Settings {
        limits: limits.operations,
        requests_max: limits.requests_max,
        hint_bytes_max: share(limits.hint_bytes_max),
        hint_bytes_per_second: share(limits.hint_bytes_per_second),
        remember_bytes_max: coterie_protocol::Settings::default().remember_bytes_max
            / usize::from(lanes),
        repair_bytes_per_second: limits.repair_bytes_per_second,
        sync_every: limits.sync_every,
        ..coterie_protocol::Settings::default()
    }
}

fn facts(settings: &Settings, certificates: &Certificates) -> anyhow::Result<NodeFacts> {
    Ok(NodeFacts {
        cluster: certificates.cluster(),
        node: certificates.node(),
        version: env!("CARGO_PKG_VERSION"),
        place: settings.place.clone(),
        lanes: settings.lanes.get(),
        sync: settings.sync,
        started: SystemTime::now(),
        addresses: NodeAddresses {
            resp: address(&settings.resp.advertise)?,
            http: address(&settings.http.advertise)?,
            gossip: address(&settings.gossip.advertise)?,
            peers: address(&settings.peers.advertise)?,
        },
    })
}

fn address(endpoint: &Endpoint) -> anyhow::Result<SocketAddr> {
    let resolved = endpoint.resolve().with_context(|| format!("{endpoint} cannot be resolved"))?;
    resolved.into_iter().next().with_context(|| format!("{endpoint} stands for no address"))
}

/// The gossip addresses to join by, and whether this node asks to be taken in.
fn seeds(begin: &Begin) -> anyhow::Result<(Vec<Address>, bool)> {
    let Begin::Join(endpoints) = begin else { return Ok((Vec::new(), *begin == Begin::GoOn)) };
    let mut seeds = Vec::new();
    for endpoint in endpoints {
        seeds.push(address(endpoint)?.into());
    }
    Ok((seeds, true))
}

fn attributes(settings: &Settings, facts: &NodeFacts) -> anyhow::Result<Attributes> {
    Ok(Attributes {
        // The first three are control's.
        generation: Generation(1),
        version: 0,
        instance: Instance(0),
        gossip: facts.addresses.gossip.into(),
        peer: facts.addresses.peers.into(),
        resp: facts.addresses.resp.into(),
        http: facts.addresses.http.into(),
        lanes: facts.lanes,
        weight: settings.weight,
        protocols: PROTOCOLS,
        region: Label::new(settings.place.region()).context("the region's name is too long")?,
        zone: Label::new(settings.place.zone()).context("the zone's name is too long")?,
    })
}

/// The kernel's name for this boot of the machine; 0 where it has none, which then never changes.
fn boot() -> u128 {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or(0)
}

fn draw() -> u64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).expect("the machine has randomness");
    u64::from_le_bytes(bytes)
}

/// Begins the cluster, unless the node is in one already.
async fn bootstrap(gateway: Gateway, router: Router, command: Command) {
    match gateway.command(command).await {
        Some(Ok(_)) => info!("a cluster has begun"),
        Some(Err(CommandError::AlreadyBegun)) | None => {}
        Some(Err(error)) => {
            error!(%error, "the cluster cannot begin");
            router.control(ControlInput::Stop);
        }
    }
}

async fn stop_on_signal(router: Router) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("the node is asked to stop");
    router.control(ControlInput::Stop);
    Ok(())
}
