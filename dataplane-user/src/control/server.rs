//! The agent's side of the control protocol: what each request does.

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{
        Path, Query, Request, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{Method, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::{
    answer::Refusal,
    body,
    protocol::{
        ApplyReport, CounterList, DropList, KINDS, ObjectList, ObjectView, Restarted, Status,
        Unloaded, UpcallList, Version,
    },
    report,
    socket::Peer,
};
use crate::{
    agent::{AgentHandle, Command},
    policy::{Key, document::ApiVersion},
    store::{SharedStore, objects},
};

/// What handlers need.
#[derive(Clone)]
pub struct Control {
    /// The agent.
    pub agent: AgentHandle,
    /// The store.
    pub store: SharedStore,
}

/// All requests, as a service. Each needs the [`Peer`] among its extensions.
pub fn router(control: Control) -> Router {
    Router::new()
        .route("/v1/version", get(version))
        .route("/v1/status", get(status))
        .route("/v1/apply", post(apply))
        .route("/v1/objects/{kind}", get(list))
        .route("/v1/objects/{kind}/{name}", get(object).delete(delete))
        .route("/v1/drops", get(drops))
        .route("/v1/counters", get(counters))
        .route("/v1/upcalls", get(upcalls))
        .route("/v1/slow-path/restart", post(restart_slow_path))
        .route("/v1/unload", post(unload))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(middleware::from_fn(authorize))
        .with_state(control)
}

/// uid 0 may do everything, whoever else can open the socket may read.
async fn authorize(Extension(peer): Extension<Peer>, request: Request, next: Next) -> Response {
    if request.method() == Method::GET || peer.uid == Some(0) {
        return next.run(request).await;
    }
    let who = peer
        .uid
        .map_or("unknown user".to_owned(), |uid| format!("uid {uid}"));
    Refusal::new(
        StatusCode::FORBIDDEN,
        format!("{who} may read, but not change anything"),
        "run the command as root",
    )
    .into_response()
}

async fn unknown(method: Method, uri: Uri) -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        format!("there is no {method} {}", uri.path()),
        "use an nvectl of the same version as nved",
    )
}

async fn version() -> Json<Version> {
    let kernel = rustix::system::uname();
    Json(Version {
        api_version: ApiVersion::V1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        abi_version: dataplane_common::abi::VERSION,
        kernel: kernel.release().to_string_lossy().into_owned(),
    })
}

async fn status(State(control): State<Control>) -> Json<Status> {
    let view = control.agent.view.borrow().clone();
    let mut status = view.status.clone();
    status.uptime_seconds = view.started.elapsed().as_secs();
    Json(status)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApplyQuery {
    #[serde(default)]
    dry_run: bool,
}

async fn apply(
    State(control): State<Control>,
    query: Result<Query<ApplyQuery>, QueryRejection>,
    body: Body,
) -> Result<Response, Refusal> {
    let Query(query) = query?;
    let request = body::documents(body).await?;
    let applied = objects::apply_request(&*control.store, &request, query.dry_run).await?;
    let mut carried_out = None;
    if !query.dry_run {
        let (done, receiver) = oneshot::channel();
        let sent = control.agent.commands.send(Command::Reconcile(done)).await;
        carried_out = sent.is_ok().then_some(receiver);
    }
    Ok(report::body(request, applied, carried_out))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectQuery {
    vm_network: Option<String>,
}

async fn list(
    State(control): State<Control>,
    kind: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let Path(kind) = kind?;
    let kind = known_kind(&kind)?;
    let view = control.agent.view.borrow().clone();
    let list = move || {
        let list = ObjectList {
            api_version: ApiVersion::V1,
            kind: format!("{kind}List"),
            items: view.objects(kind),
        };
        Json(list).into_response()
    };
    // Long lists are made beside the threads that the agent runs on.
    let made = tokio::task::spawn_blocking(list).await;
    made.map_err(|error| internal(format!("the list cannot be made: {error}")))
}

/// Kind and name in a path.
type Place = Result<Path<(String, String)>, PathRejection>;

async fn object(
    State(control): State<Control>,
    place: Place,
    query: Result<Query<ObjectQuery>, QueryRejection>,
) -> Result<Json<ObjectView>, Refusal> {
    let key = key(place, query)?;
    let view = control.agent.view.borrow().clone();
    view.object(&key)
        .map(Json)
        .ok_or_else(|| objects::ObjectError::NotFound { object: key }.into())
}

async fn delete(
    State(control): State<Control>,
    place: Place,
    query: Result<Query<ObjectQuery>, QueryRejection>,
) -> Result<Json<ApplyReport>, Refusal> {
    let key = key(place, query)?;
    let report = objects::delete(&*control.store, &key).await?;
    reconcile(&control).await;
    Ok(Json(report))
}

async fn drops(State(control): State<Control>) -> Result<Json<DropList>, Refusal> {
    let items = ask(&control, Command::Drops).await?.map_err(internal)?;
    Ok(Json(DropList {
        api_version: ApiVersion::V1,
        kind: "DropList".to_owned(),
        items,
    }))
}

async fn counters(State(control): State<Control>) -> Result<Json<CounterList>, Refusal> {
    let items = ask(&control, Command::Counters).await?.map_err(internal)?;
    Ok(Json(CounterList {
        api_version: ApiVersion::V1,
        kind: "CounterList".to_owned(),
        items,
    }))
}

async fn upcalls(State(control): State<Control>) -> Result<Json<UpcallList>, Refusal> {
    Ok(Json(UpcallList {
        api_version: ApiVersion::V1,
        kind: "UpcallList".to_owned(),
        items: ask(&control, Command::Upcalls).await?,
    }))
}

async fn restart_slow_path(State(control): State<Control>) -> Result<Json<Restarted>, Refusal> {
    ask(&control, Command::RestartSlowPath).await.map(Json)
}

async fn unload(State(control): State<Control>) -> Result<Json<Unloaded>, Refusal> {
    let unloaded = ask(&control, Command::Unload).await?;
    unloaded.map(Json).map_err(internal)
}

/// Lets the change take effect before it is answered; if the agent is stopping,
/// the next one does it.
async fn reconcile(control: &Control) {
    let _ = ask(control, Command::Reconcile).await;
}

async fn ask<T>(
    control: &Control,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Result<T, Refusal> {
    let stopping = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "nved is stopping", "");
    let (sender, receiver) = oneshot::channel();
    let sent = control.agent.commands.send(command(sender)).await;
    sent.map_err(|_| stopping())?;
    receiver.await.map_err(|_| stopping())
}

fn known_kind(kind: &str) -> Result<&'static str, Refusal> {
    let mut kinds = KINDS.into_iter();
    let found = kinds.find(|known| known.eq_ignore_ascii_case(kind));
    found.ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            format!("there is no kind `{kind}`"),
            format!("kinds are {}", KINDS.join(", ")),
        )
    })
}

fn key(place: Place, query: Result<Query<ObjectQuery>, QueryRejection>) -> Result<Key, Refusal> {
    let Path((kind, name)) = place?;
    let Query(query) = query?;
    let kind = known_kind(&kind)?;
    Key::parse(kind, &name, query.vm_network.as_deref()).ok_or_else(|| {
        let hint = match kind {
            "Port" | "CustomerRoute" => "ports and routes need ?vmNetwork=NAME",
            "LookupRecord" => "a lookup record is named VSID/CA or VSID/MAC",
            _ => "",
        };
        let message = format!("`{name}` names no {kind}");
        Refusal::new(StatusCode::NOT_FOUND, message, hint)
    })
}

fn internal(message: String) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message, "")
}
