//! Which node a call goes to next: the shard's, and after a failure or a redirection another one.

use super::connection::{Connected, Link};
use super::login::{ConnectError, is_no_login};
use super::nodes::{Address, redirection};
use super::routed::Connection;
use super::shard::Shard;
use crate::store::StoreError;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Most nodes that one call asks: the way to a shard has one redirection, more only while the cluster changes or
/// nodes are down.
const MOST_NODES: u32 = 6;

/// Why a node brought no answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    pub(super) remedy: Remedy,
}

impl Failure {
    /// There is no connection to a node that somebody is logged in on. Another one may have one, unless there is no
    /// password: all take the same.
    pub(super) fn unconnected(shard: &Shard, error: &ConnectError) -> Self {
        let remedy = if error.is_without_password() { Remedy::None } else { Remedy::Another };
        Self { error: shard.unconnected(error), remedy }
    }

    /// `node` itself answered with an error: nothing was applied. Its connection is left where it has no login any more,
    /// and where the node is in doubt: the shard's address may lead to another server by now, and only a new connection
    /// gets there. The same server is recognised anew over it: it may be another run.
    pub(super) fn answered(
        shard: &Shard,
        (node, connected): (&Link, &Connected),
        connection: &Connection,
        error: &RedisError,
    ) -> Self {
        let remedy = Remedy::of(error, node);
        if is_no_login(error) || matches!(remedy, Remedy::Doubt) {
            node.drop_connection(connected.number);
            connection.drop_elsewhere();
        }
        Self { error: shard.answered(error), remedy }
    }
}

/// What may be done about it.
#[derive(Debug)]
pub(super) enum Remedy {
    /// The connection had been closed unnoticed: the same over a new one.
    Again,
    /// Nothing: the node is good, and this is its answer.
    None,
    /// The node must be asked no more before the others. The call may be applied there.
    Doubt,
    /// The same, but nothing was sent: another node may be asked at once.
    Another,
    /// The shard is at this node. None: the redirection was not understood.
    Moved(Option<Address>),
}

impl Remedy {
    /// What an error that `node` itself answered with asks for.
    fn of(error: &RedisError, node: &Link) -> Self {
        use ServerErrorKind::{Ask, BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly};
        match error.kind() {
            ErrorKind::Server(Moved | Ask) => Self::Moved(redirection(error, node)),
            // It may be cut off from the others, which have made another node the shard's.
            ErrorKind::Server(ClusterDown | MasterDown | BusyLoading | ReadOnly) => Self::Doubt,
            _ => Self::None,
        }
    }
}

/// The way of one call.
#[derive(Debug)]
pub(super) struct Route<'a> {
    shard: &'a Shard,
    pub(super) node: Arc<Link>,
    nodes_left: u32,
    until: Instant,
}

impl<'a> Route<'a> {
    /// Begins at the shard's node. No further node is asked once `patience` is over.
    pub(super) fn new(shard: &'a Shard, patience: Duration) -> Self {
        Self { shard, node: shard.node(), nodes_left: MOST_NODES, until: Instant::now() + patience }
    }

    /// The node answered.
    pub(super) fn arrived(&self) {
        if self.shard.nodes.is_cluster() {
            self.shard.found_at(&self.node);
        }
    }

    /// Turns to the node that is to be asked after this failure. An error: there is none.
    pub(super) fn turn(&mut self, failure: Failure) -> Result<(), StoreError> {
        let Failure { error, remedy } = failure;
        if matches!(remedy, Remedy::Again) {
            return Ok(());
        }
        let (shard, nodes) = (self.shard, &self.shard.nodes);
        if !nodes.is_cluster() {
            let moved = matches!(remedy, Remedy::Moved(_));
            let mend = "it is a node of a cluster; add ;cluster to its entry in REDIS_ENDPOINTS";
            return Err(if moved { shard.unfit(mend) } else { error });
        }
        if matches!(remedy, Remedy::Doubt | Remedy::Another) {
            shard.lost(&self.node);
        }
        self.nodes_left -= 1;
        self.node = match remedy {
            _ if self.nodes_left == 0 || Instant::now() >= self.until => return Err(error),
            Remedy::Another => nodes.entry(),
            Remedy::Moved(Some(address)) => nodes.at(&address),
            _ => return Err(error),
        };
        Ok(())
    }
}
