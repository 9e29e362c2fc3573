//! The table of routes: what is served where, who may use it, and how it is described.

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, patch, post, put};

use super::bounded::bounded;
use super::door::{Door, Guard, Need, guard};
use super::problem::Problem;
use super::{admin, backups, barrier, cluster, dashboard, data, health, machine, openapi, scan};

/// One thing that is served.
pub(super) struct Route {
    /// In capitals.
    pub(super) method: &'static str,
    /// With parameters in braces.
    pub(super) path: &'static str,
    /// Who may use it.
    pub(super) need: Need,
    /// What it does, in a sentence.
    pub(super) about: &'static str,
    /// Names of query parameters and headers that it looks at ([`openapi::PARAMETERS`]).
    pub(super) looks_at: &'static [&'static str],
    /// The schema of its body of JSON; `"bytes"` where the body is the value.
    pub(super) body: Option<&'static str>,
    /// The status of success.
    pub(super) status: u16,
    handler: fn() -> MethodRouter<Door>,
}

macro_rules! route {
    ($method:ident $path:literal, $need:ident, $handler:path, $status:literal, $about:literal
     $(, looks_at $looks_at:expr)? $(, body $body:literal)?) => {
        Route {
            method: route!(@name $method),
            path: $path,
            need: Need::$need,
            about: $about,
            looks_at: route!(@or_none $($looks_at)?),
            body: route!(@body $($body)?),
            status: $status,
            handler: || $method($handler),
        }
    };
    (@or_none) => { &[] };
    (@or_none $looks_at:expr) => { $looks_at };
    (@body) => { None };
    (@body $body:literal) => { Some($body) };
    (@name get) => { "GET" };
    (@name put) => { "PUT" };
    (@name post) => { "POST" };
    (@name patch) => { "PATCH" };
    (@name delete) => { "DELETE" };
}

const READ: &[&str] = &["level", "read_level", "timeout", "Coterie-Session"];
const WRITE: &[&str] = &["level", "read_level", "timeout", "Coterie-Session", "Coterie-Request-Id"];
const PUT: &[&str] = &[
    "level",
    "read_level",
    "timeout",
    "ttl",
    "if",
    "Coterie-Context",
    "Coterie-Session",
    "Coterie-Request-Id",
];
const SCAN: &[&str] = &["level", "timeout", "cursor", "count", "prefix", "type"];
const OPERATIONS: &[&str] = &["Coterie-Session", "Coterie-Request-Id"];

/// Everything that is served.
pub(super) const ROUTES: &[Route] = &[
    route!(get "/healthz", Nothing, health::health, 200, "Whether the process runs."),
    route!(get "/readyz", Nothing, health::ready, 200, "Whether the node serves requests; 503 with the reason if not."),
    route!(get "/metrics", Secret, health::metrics, 200, "What the node has counted, for Prometheus (OpenMetrics text)."),
    route!(get "/v1/openapi.json", Nothing, openapi::served, 200, "This description."),
    route!(get "/v1/status", Secret, cluster::status, 200, "How this node and the cluster are."),
    route!(get "/v1/members", Secret, cluster::members, 200, "All nodes that are known, with their addresses and liveness."),
    route!(get "/v1/ring", Secret, cluster::ring, 200, "The layout in force: nodes, and each partition's owners as places in that list."),
    route!(get "/v1/ring/owners/{bucket}/{key}", Secret, cluster::owners, 200, "The owners and fallbacks of a key."),
    route!(get "/v1/ring/plan", Admin, admin::plan, 200, "The layout that would be decided now, and what it would move."),
    route!(post "/v1/ring/commit", Admin, admin::commit, 202, "Decide what is planned."),
    route!(post "/v1/ring/clear", Admin, admin::clear, 202, "Take back what is asked for and not in force: nodes' states, weights and places, placement, policies of buckets."),
    route!(put "/v1/ring/placement", Admin, admin::placement, 202, "Have other owners, or spread them otherwise.", body "Placement"),
    route!(patch "/v1/nodes/{node}", Admin, admin::change_node, 202, "Give a node another weight or zone.", body "NodeChange"),
    route!(post "/v1/nodes/{node}/leave", Admin, admin::leave, 202, "Have a node hand over all it has, and leave."),
    route!(post "/v1/nodes/{node}/stay", Admin, admin::stay, 202, "Have a node stay that was to leave."),
    route!(post "/v1/nodes/{node}/replace", Admin, admin::replace, 202, "A newcomer takes the place of a node that is gone for good.", body "Replacement"),
    route!(post "/v1/nodes/remove", Admin, admin::remove, 202, "Nodes are gone for good; what only they held is lost.", body "Nodes"),
    route!(post "/v1/force", Admin, admin::force, 202, "The voters' majority is lost for good, these nodes among them: this node alone decides.", body "Nodes"),
    route!(get "/v1/moves", Secret, cluster::moves, 200, "Partitions that move, and how far this node is with them."),
    route!(post "/v1/moves/give-up", Admin, admin::give_up, 202, "Give up what fewer owners than so many acknowledged, where removed owners hold moves up.", body "GiveUp"),
    route!(get "/v1/buckets", Secret, admin::buckets, 200, "The buckets in force."),
    route!(put "/v1/buckets/{bucket}", Admin, admin::set_bucket, 202, "Make a bucket, or change its policy; kind and replicas never change.", body "Bucket"),
    route!(get "/v1/keys/{bucket}/{key}", Secret, data::get, 200, "A register with all its concurrent values, and the context to replace them by.", looks_at READ),
    route!(put "/v1/keys/{bucket}/{key}", Secret, data::put, 200, "Assign a register. With a context only what that names is replaced.", looks_at PUT, body "bytes"),
    route!(delete "/v1/keys/{bucket}/{key}", Secret, data::delete, 200, "Delete a key, whatever its type.", looks_at WRITE),
    route!(post "/v1/operations", Secret, data::operations, 200, "Operations of any type on one key, in order, as one change.", looks_at OPERATIONS, body "Operations"),
    route!(get "/v1/explain/{bucket}/{key}", Secret, data::explain, 200, "Who said what of a key.", looks_at READ),
    route!(get "/v1/scan/{bucket}", Secret, scan::scan, 200, "The keys of a bucket, page by page.", looks_at SCAN),
    route!(get "/v1/machine", Secret, machine::machine, 200, "What this node's machine lets it have, its clock, and how QUIC reaches the other nodes."),
    route!(get "/v1/hints", Secret, cluster::hints, 200, "Hints that this node keeps for others."),
    route!(get "/v1/repair", Secret, cluster::repair, 200, "What this node holds of each slice, and what was repaired."),
    route!(get "/v1/backups", Admin, backups::list, 200, "The backups that this node has made."),
    route!(post "/v1/backups", Admin, backups::make, 201, "Make a backup of this node; answered once it is durable.", body "Backup"),
    route!(get "/v1/backups/{name}", Admin, backups::show, 200, "A backup's manifest: its files, and the digests of its slices."),
    route!(delete "/v1/backups/{name}", Admin, backups::remove, 200, "Delete a backup."),
    route!(post "/v1/backups/{name}/verify", Admin, backups::verify, 200, "Check every byte of a backup, and say what is wrong with it."),
    route!(post "/v1/barrier", Admin, barrier::barrier, 200, "Wait until all owners of a key, a slice, or all that this node owns are equal.", body "Barrier"),
];

/// All routes behind their guards.
pub(super) fn router(door: Door) -> Router {
    let mut router = dashboard::add_to(Router::new());
    for route in ROUTES {
        let (method, path, need) = (route.method, route.path, route.need);
        let state = Guard { door: door.clone(), need, method, path };
        let mut handler = (route.handler)();
        if need != Need::Nothing && path.starts_with("/v1/") {
            handler = handler.route_layer(from_fn_with_state(door.clone(), bounded));
        }
        // Whoever may not is kept out before anything is read.
        let handler = handler.route_layer(from_fn_with_state(state, guard));
        router = router.route(route.path, handler);
    }
    router
        .fallback(|| async {
            let what_to_do = "/v1/openapi.json has what is served";
            Problem::refused(
                StatusCode::NOT_FOUND,
                "no_such_path",
                "nothing is served here",
                what_to_do,
            )
        })
        .method_not_allowed_fallback(|| async {
            let what_to_do = "/v1/openapi.json has the methods of each path";
            let detail = "this path has other methods";
            Problem::refused(StatusCode::METHOD_NOT_ALLOWED, "method", detail, what_to_do)
        })
        .with_state(door)
}
