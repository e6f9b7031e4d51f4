//! From what a user calls an object to the object.

use super::{context::Context, failure::Failure, kind::Kind};
use crate::{
    control::{
        client::ClientError,
        protocol::{ApplyReport, ObjectView},
    },
    policy::{Key, PortKey},
};

/// The object that `name` stands for. A port's network may be left out when no
/// other port has its name; then the agent is asked.
pub(super) async fn resolve(
    context: &Context<'_>,
    kind: Kind,
    name: &str,
    vm_network: Option<&str>,
) -> Result<Key, Failure> {
    match (kind, name.split_once('/')) {
        (Kind::Port, Some((network, port))) => {
            if vm_network.is_some_and(|given| given != network) {
                return Err(Failure::usage(
                    format!("`{name}` and `-n` name different VM networks"),
                    "leave one of them out",
                ));
            }
            Ok(Key::Port(PortKey::new(network, port)))
        }
        (Kind::Port, None) => match vm_network {
            Some(network) => Ok(Key::Port(PortKey::new(network, name))),
            None => only_port(context, name).await,
        },
        _ => Key::parse(kind.as_str(), name, None).ok_or_else(|| {
            Failure::usage(
                format!("`{name}` is no name of a {}", kind.word()),
                "write it as VSID/CA, such as 6001/10.0.0.9",
            )
        }),
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

async fn only_port(context: &Context<'_>, name: &str) -> Result<Key, Failure> {
    let ports = context.client.list(Kind::Port.as_str()).await?;
    let keys = ports.items.iter().map(|port| Key::of(&port.document));
    let mut found: Vec<Key> = keys
        .filter(|key| matches!(key, Key::Port(port) if port.name == name))
        .collect();
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(ToString::to_string).collect();
        return Err(Failure::usage(
            format!("`{name}` may be {}", names.join(" or ")),
            "say which with `-n VMNETWORK`, or write VMNETWORK/NAME",
        ));
    }
    found
        .pop()
        .ok_or_else(|| not_found(&format!("port/{name}"), Kind::Port.as_str()))
}
