//! From what a user calls an object to the object.

use super::{context::Context, failure::Failure, kind::Kind};
use crate::{
    control::{
        client::ClientError,
        protocol::{ApplyReport, ObjectView},
    },
    policy::{Key, PortKey},
};

/// The object that `name` stands for. A port's or route's network may be left out when no
/// other has its name; then the agent is asked.
pub(super) async fn resolve(
    context: &Context<'_>,
    kind: Kind,
    name: &str,
    vm_network: Option<&str>,
) -> Result<Key, Failure> {
    match (kind, name.split_once('/')) {
        (Kind::Port | Kind::CustomerRoute, Some((network, name))) => {
            if vm_network.is_some_and(|given| given != network) {
                return Err(Failure::usage(
                    format!("`{network}/{name}` and `-n` name different VM networks"),
                    "leave one of them out",
                ));
            }
            Ok(in_network(kind, network, name))
        }
        (Kind::Port | Kind::CustomerRoute, None) => match vm_network {
            Some(network) => Ok(in_network(kind, network, name)),
            None => only(context, kind, name).await,
        },
        _ => Key::parse(kind.as_str(), name, None).ok_or_else(|| {
            Failure::usage(
                format!("`{name}` is no name of a {}", kind.word()),
                "write it as VSID/CA or VSID/MAC, such as 6001/10.0.0.9",
            )
        }),
    }
}

fn in_network(kind: Kind, network: &str, name: &str) -> Key {
    if kind == Kind::CustomerRoute {
        Key::CustomerRoute(network.to_owned(), name.to_owned())
    } else {
        Key::Port(PortKey::new(network, name))
    }
}

/// Asks the agent for an object.
pub(super) async fn fetch(context: &Context<'_>, key: &Key) -> Result<ObjectView, Failure> {
    let (name, vm_network) = address(key);
    let answer = context.client.object(key.kind(), &name, vm_network).await;
    answer.map_err(|error| missing(error, key))
}

/// Has the agent delete an object.
pub(super) async fn delete(context: &Context<'_>, key: &Key) -> Result<ApplyReport, Failure> {
    let (name, vm_network) = address(key);
    let answer = context.client.delete(key.kind(), &name, vm_network).await;
    answer.map_err(|error| missing(error, key))
}

/// Name and VM network as the API takes them.
fn address(key: &Key) -> (String, Option<&str>) {
    match key {
        Key::ProviderNetwork(name) | Key::Host(name) | Key::VmNetwork(name) => (name.clone(), None),
        Key::Port(port) => (port.name.clone(), Some(&port.vm_network)),
        Key::LookupRecord(vsid, ca) => (format!("{vsid}/{ca}"), None),
        Key::L2Record(vsid, mac) => (format!("{vsid}/{mac}"), None),
        Key::CustomerRoute(network, name) => (name.clone(), Some(network)),
    }
}

/// A 404 in the words that the user used.
fn missing(error: ClientError, key: &Key) -> Failure {
    if error.exit_code() == 4 {
        return not_found(&key.to_string(), key.kind());
    }
    error.into()
}

fn not_found(object: &str, kind: &str) -> Failure {
    Failure::NotFound(
        format!("{object} not found"),
        format!(
            "`nvectl get {}` lists what there is",
            kind.to_ascii_lowercase()
        ),
    )
}

async fn only(context: &Context<'_>, kind: Kind, name: &str) -> Result<Key, Failure> {
    let list = context.client.list(kind.as_str()).await?;
    let keys = list.items.iter().map(|object| Key::of(&object.document));
    let named = |key: &Key| {
        let port = matches!(key, Key::Port(port) if port.name == name);
        port || matches!(key, Key::CustomerRoute(_, route) if route == name)
    };
    let mut found: Vec<Key> = keys.filter(named).collect();
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(ToString::to_string).collect();
        return Err(Failure::usage(
            format!("`{name}` may be {}", names.join(" or ")),
            "say which with `-n VMNETWORK`, or write VMNETWORK/NAME",
        ));
    }
    found
        .pop()
        .ok_or_else(|| not_found(&format!("{}/{name}", kind.word()), kind.as_str()))
}
