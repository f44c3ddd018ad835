//! The key with which the gateway proves itself to bridges, made once and kept in
//! the cluster: the private half in a Secret for the gateway, the public half in a
//! ConfigMap for the operator.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use secrecy::{ExposeSecret, SecretString};

use crate::upstream::{BridgeSigner, BridgeTokenError};

/// Name of the Secret, and key in it.
const SECRET: (&str, &str) = ("agentapi-bridge-key", "signingKey");
/// Name of the ConfigMap, and key in it.
const CONFIG_MAP: (&str, &str) = ("agentapi-bridge-keys", "jwks");

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No cluster can be reached.
    #[error(
        "no Kubernetes cluster can be reached: run in a pod with a service account, or set KUBECONFIG"
    )]
    Cluster(#[source] Box<kube::Error>),
    /// An object cannot be read or written.
    #[error("{object} cannot be read or written")]
    Object {
        /// Which.
        object: String,
        /// What the API server said.
        #[source]
        source: Box<kube::Error>,
    },
    /// The Secret holds no key.
    #[error(
        "Secret {}/{} has no PEM text under {}: repair it, or delete it for another key",
        .0, SECRET.0, SECRET.1
    )]
    NotAKey(String),
    /// The key is none, or none could be made.
    #[error("the bridges' key cannot be used")]
    Key(#[from] BridgeTokenError),
}

/// Makes the key unless there is one, and publishes its public half.
///
/// # Errors
/// See [`KeyError`].
pub async fn keep_key(namespace: &str) -> Result<(), KeyError> {
    let client = Client::try_default()
        .await
        .map_err(|error| KeyError::Cluster(error.into()))?;
    let key = private(Api::namespaced(client.clone(), namespace), namespace).await?;
    let key_set = BridgeSigner::from_pem(&key)?.key_set();
    publish(Api::namespaced(client, namespace), namespace, key_set).await
}

/// The key in the Secret, which is made with a new one if it is not there.
async fn private(secrets: Api<Secret>, namespace: &str) -> Result<SecretString, KeyError> {
    let failed = failure("Secret", namespace, SECRET.0);
    let found = secrets.get_opt(SECRET.0).await.map_err(&failed)?;
    let secret = match found {
        Some(secret) => secret,
        None => {
            let key = BridgeSigner::generate()?;
            let pem = ByteString(key.expose_secret().as_bytes().to_vec());
            let secret = Secret {
                metadata: named(SECRET.0),
                data: Some(BTreeMap::from([(SECRET.1.to_owned(), pem)])),
                ..Secret::default()
            };
            match secrets.create(&PostParams::default(), &secret).await {
                // Another one was quicker: its key is the one.
                Err(kube::Error::Api(status)) if status.is_already_exists() => {
                    secrets.get(SECRET.0).await.map_err(&failed)?
                }
                created => created.map_err(&failed)?,
            }
        }
    };
    let pem = secret.data.and_then(|mut data| data.remove(SECRET.1));
    pem.and_then(|pem| String::from_utf8(pem.0).ok())
        .map(SecretString::from)
        .ok_or_else(|| KeyError::NotAKey(namespace.to_owned()))
}

async fn publish(maps: Api<ConfigMap>, namespace: &str, key_set: String) -> Result<(), KeyError> {
    let failed = failure("ConfigMap", namespace, CONFIG_MAP.0);
    let data = Some(BTreeMap::from([(CONFIG_MAP.1.to_owned(), key_set)]));
    let parameters = PostParams::default();
    let written = match maps.get_opt(CONFIG_MAP.0).await.map_err(&failed)? {
        Some(map) if map.data == data => return Ok(()),
        Some(map) => {
            let map = ConfigMap { data, ..map };
            maps.replace(CONFIG_MAP.0, &parameters, &map).await
        }
        None => {
            let metadata = named(CONFIG_MAP.0);
            let map = ConfigMap {
                metadata,
                data,
                ..ConfigMap::default()
            };
            maps.create(&parameters, &map).await
        }
    };
    written.map(drop).map_err(failed)
}

fn named(name: &str) -> ObjectMeta {
    let label = ("app.kubernetes.io/part-of", "agentapi");
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(
            [label]
                .map(|(key, value)| (key.into(), value.into()))
                .into(),
        ),
        ..ObjectMeta::default()
    }
}

fn failure(kind: &str, namespace: &str, name: &str) -> impl Fn(kube::Error) -> KeyError {
    let object = format!("{kind} {namespace}/{name}");
    move |error| KeyError::Object {
        object: object.clone(),
        source: Box::new(error),
    }
}
