//! The connection that a call is made over. In a cluster it follows what concerns one command only: `ASK`, while a
//! slot moves to another node and this key is there already. A `MOVED` concerns the shard, and ends the call.

use super::connection::{Connected, Link};
use super::login::ConnectError;
use super::nodes::{Nodes, redirection};
use crate::store::Incarnation;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Arg, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, ServerErrorKind, Value};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A connection to a shard's server, or in a cluster to its node. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    redis: MultiplexedConnection,
    /// None: a single server, which redirects nowhere.
    cluster: Option<Arc<Cluster>>,
    any_slot: bool,
    #[cfg(any(test, feature = "testing"))]
    held_back: Option<crate::tests::HeldBack>,
}

#[derive(Debug)]
struct Cluster {
    nodes: Arc<Nodes>,
    node: Arc<Link>,
    /// The connection was opened for this call.
    fresh: bool,
    elsewhere: Mutex<Option<Elsewhere>>,
}

/// The node that the last redirection led to.
#[derive(Clone, Debug)]
struct Elsewhere {
    node: Arc<Link>,
    connected: Connected,
}

impl Connection {
    /// For one call to `node`, one of `nodes`, which is connected.
    pub(super) fn new(connected: &Connected, node: &Arc<Link>, nodes: &Arc<Nodes>) -> Self {
        let cluster = || {
            let (nodes, node, fresh) = (Arc::clone(nodes), Arc::clone(node), !connected.reused);
            Arc::new(Cluster { nodes, node, fresh, elsewhere: Mutex::default() })
        };
        let redis = connected.redis.clone();
        Self {
            redis,
            cluster: nodes.is_cluster().then(cluster),
            any_slot: false,
            #[cfg(any(test, feature = "testing"))]
            held_back: None,
        }
    }

    /// The same, whose commands a test's fault keeps from being sent.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn held_back(self, held_back: Option<crate::tests::HeldBack>) -> Self {
        Self { held_back, ..self }
    }

    /// The same for keys of other slots than the shard's: follows `MOVED` too, command by command.
    pub(super) fn to_any_slot(&self) -> Self {
        Self { any_slot: true, ..self.clone() }
    }

    /// In a cluster, and over a new connection: asks the node for the others. What goes wrong shows in the next command.
    pub(super) fn learn_nodes(&mut self) -> Option<RedisFuture<'_, ()>> {
        let Self { redis, cluster, .. } = self;
        let cluster = cluster.as_ref().filter(|cluster| cluster.fresh)?;
        Some(Box::pin(async move {
            let mut slots = Cmd::new();
            slots.arg("CLUSTER").arg("SLOTS");
            let answer = redis.req_packed_command(&slots).await?;
            cluster.nodes.learn(&answer, &cluster.node);
            Ok(())
        }))
    }

    /// The run of the server that answered: of the node at the other end, unless another one had a part in it.
    /// That one's is not known, so it is taken for one of its own: what was seen there proves nothing later.
    pub(super) fn answered(&self, incarnation: Incarnation) -> Incarnation {
        self.elsewhere().map_or(incarnation, |_| Incarnation::of_one_connection())
    }

    /// The call failed: the other node's connection, too, is in doubt.
    pub(super) fn drop_elsewhere(&self) {
        if let Some(Elsewhere { node, connected }) = self.elsewhere() {
            node.drop_connection(connected.number);
        }
    }

    fn elsewhere(&self) -> Option<Elsewhere> {
        self.cluster.as_ref()?.lock().clone()
    }
}

impl Cluster {
    fn lock(&self) -> MutexGuard<'_, Option<Elsewhere>> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the command where the error says. It is sent once: what goes wrong there is the caller's.
    fn follow<'a>(&'a self, error: RedisError, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let Some(address) = redirection(&error, &self.node) else { return Err(error) };
            let node = self.nodes.at(&address);
            let connected = node.get().await.map_err(ConnectError::into_redis)?;
            let mut redis = connected.redis.clone();
            *self.lock() = Some(Elsewhere { node, connected });
            if error.kind() == ErrorKind::Server(ServerErrorKind::Moved) {
                return redis.req_packed_command(command).await;
            }
            // In one piece: on a shared connection another call's command must not come in between.
            let mut asking = Pipeline::with_capacity(2);
            asking.cmd("ASKING").add_command(command.clone());
            let answers = redis.req_packed_commands(&asking, 1, 1).await?;
            answers.into_iter().next().unwrap_or_default().extract_error()
        })
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        #[cfg(any(test, feature = "testing"))]
        if let Some(held_back) = &self.held_back {
            return Box::pin(async { held_back.hold(command).await });
        }
        let Self { redis, cluster, any_slot, .. } = self;
        let Some(cluster) = cluster else { return redis.req_packed_command(command) };
        // A script is loaded where it was missing.
        if is_script_load(command)
            && let Some(mut elsewhere) = cluster.lock().clone()
        {
            return Box::pin(async move { elsewhere.connected.redis.req_packed_command(command).await });
        }
        Box::pin(async move {
            let answer = redis.req_packed_command(command).await.and_then(Value::extract_error);
            match answer {
                Err(error) if follows(&error, *any_slot) => cluster.follow(error, command).await,
                answer => answer,
            }
        })
    }

    /// Follows nothing: no call of ours is a pipeline.
    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.redis.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.redis.get_db()
    }
}

fn is_script_load(command: &Cmd) -> bool {
    matches!(command.args_iter().next(), Some(Arg::Simple(b"SCRIPT")))
}

fn follows(error: &RedisError, any_slot: bool) -> bool {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::Ask) => true,
        ErrorKind::Server(ServerErrorKind::Moved) => any_slot,
        _ => false,
    }
}
