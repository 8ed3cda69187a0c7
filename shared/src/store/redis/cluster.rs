//! Calls to a shard: over a connection on which the shard was recognised, in a cluster at the node that has it now.
//!
//! [`Nodes`] are the servers behind one endpoint, with one connection each. A [`Route`] is the way of one call: after a failure
//! or a redirection it turns to another node. A [`Connection`] follows what concerns one command only: `ASK`, while a slot moves
//! to another node and this key is there already. A `MOVED` concerns the shard, and ends the call at that node.

use super::RedisStore;
use super::connection::{ConnectError, Connected, Link, is_no_login};
use super::contact::ContactError;
use super::contact::Shard;
use crate::store::{Incarnation, StoreError};
use crate::telemetry::traces;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Arg, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

impl RedisStore {
    /// Runs `call` over the shard's connection. A connection that was open before and turns out to be
    /// closed is replaced and the call made once more, in a cluster perhaps at another node: all our calls may be
    /// repeated. At least one command of `call` must name a key of the shard, or a cluster has no reason to say that
    /// the shard has moved.
    pub(crate) async fn with_shard<T, F>(
        &self,
        shard: &Shard,
        call: impl Fn(Connection) -> F + Send + Sync,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        Ok(self.with_incarnation(shard, call).await?.0)
    }

    /// The same, with the run of the server that answered.
    pub(crate) async fn with_incarnation<T, F>(
        &self,
        shard: &Shard,
        call: impl Fn(Connection) -> F + Send + Sync,
    ) -> Result<(T, Incarnation), StoreError>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        self.with_run(shard, |connection, _| call(connection)).await
    }

    /// The same, for a call that must say to which run of the server it goes.
    pub(crate) fn with_run<T, F>(
        &self,
        shard: &Shard,
        call: impl Fn(Connection, Incarnation) -> F + Send + Sync,
    ) -> impl Future<Output = Result<(T, Incarnation), StoreError>>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        #[cfg(any(test, feature = "testing"))]
        let answer = self.with_faults(shard, call);
        #[cfg(not(any(test, feature = "testing")))]
        let answer = self.with_route(shard, call);
        traces::call(shard.config.name.as_str(), answer)
    }

    /// Lets a test's faults happen to the call.
    #[cfg(any(test, feature = "testing"))]
    async fn with_faults<T, F>(
        &self,
        shard: &Shard,
        call: impl Fn(Connection, Incarnation) -> F + Send + Sync,
    ) -> Result<(T, Incarnation), StoreError>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        let (faults, call) = (&self.faults, &call);
        let index = self.shards.iter().position(|other| std::ptr::eq(other, shard)).unwrap_or_default();
        let send = |held_back: Option<crate::tests::HeldBack>| async move {
            let held_back = &held_back;
            let call = |redis: Connection, run| call(redis.held_back(held_back.clone()), faults.run(index, run));
            let (answer, run) = self.with_route(shard, call).await?;
            Ok((answer, faults.run(index, run)))
        };
        faults.call(index, shard.config.name.as_str(), send).await
    }

    async fn with_route<T, F>(
        &self,
        shard: &Shard,
        call: impl Fn(Connection, Incarnation) -> F + Send + Sync,
    ) -> Result<(T, Incarnation), StoreError>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        let mut route = Route::new(shard, self.answer_timeout);
        loop {
            let failure = match self.connect(shard, &route.node).await {
                Ok((connected, incarnation)) => {
                    let connection = Connection::new(&connected, &route.node, &shard.nodes);
                    match timeout(self.answer_timeout, call(connection.clone(), incarnation)).await {
                        Ok(Ok(answer)) => {
                            route.arrived();
                            return Ok((answer, connection.answered(incarnation)));
                        }
                        failed => {
                            let error = failed.ok().and_then(RedisResult::err);
                            self.unanswered(shard, (&route.node, &connected), &connection, error)
                        }
                    }
                }
                Err(failure) => failure,
            };
            route.turn(failure)?;
        }
    }

    /// A call was sent and brought this error, or none in time.
    fn unanswered(
        &self,
        shard: &Shard,
        (node, connected): (&Link, &Connected),
        connection: &Connection,
        error: Option<RedisError>,
    ) -> Failure {
        match error {
            Some(error) if is_server_answer(&error) => Failure::answered(shard, (node, connected), connection, &error),
            error => {
                node.drop_connection(connected.number);
                connection.drop_elsewhere();
                let remedy = if connected.is_stale(error.as_ref()) { Remedy::Again } else { Remedy::Doubt };
                let silence = || format!("no answer within {:?}", self.answer_timeout);
                let reason = error.map_or_else(silence, |error| error.to_string());
                Failure { error: StoreError::Unknown { shard: shard.config.name.to_string(), reason }, remedy }
            }
        }
    }

    /// A connection over which this shard has been recognised, and the run of its server.
    async fn connect(&self, shard: &Shard, node: &Arc<Link>) -> Result<(Connected, Incarnation), Failure> {
        let connected = node.get().await.map_err(|error| Failure::unconnected(shard, &error))?;
        if let Some(incarnation) = shard.recognised_over(connected.number) {
            return Ok((connected, incarnation));
        }
        let mut connection = Connection::new(&connected, node, &shard.nodes);
        let check = self.contact.check(&mut connection, &shard.keys, &shard.config);
        match timeout(self.answer_timeout, check).await {
            Ok(Ok((identity, server))) => {
                shard.recognise(&identity, connected.number, &server);
                Ok((connected, server.incarnation))
            }
            Ok(Err(ContactError::UnfitServer(reason))) => {
                Err(Failure { error: shard.unfit(&reason), remedy: Remedy::None })
            }
            Ok(Err(ContactError::Redis(error))) if is_server_answer(&error) => {
                Err(Failure::answered(shard, (node, &connected), &connection, &error))
            }
            failed => {
                node.drop_connection(connected.number);
                connection.drop_elsewhere();
                let error = failed.ok().and_then(Result::err).and_then(ContactError::into_redis);
                let remedy = if connected.is_stale(error.as_ref()) { Remedy::Again } else { Remedy::Another };
                Err(Failure { error: shard.unanswered(error.as_ref()), remedy })
            }
        }
    }
}

/// Whether the server itself answered with an error, so that the connection is good and nothing was
/// applied.
pub(crate) fn is_server_answer(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

/// Most nodes that one call asks: the way to a shard has one redirection, more only while the cluster changes or
/// nodes are down.
const MOST_NODES: u32 = 6;

/// Why a node brought no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    remedy: Remedy,
}

impl Failure {
    /// There is no connection to a node that somebody is logged in on. Another one may have one, unless there is no
    /// password: all take the same.
    pub(crate) fn unconnected(shard: &Shard, error: &ConnectError) -> Self {
        let remedy = if error.is_without_password() { Remedy::None } else { Remedy::Another };
        Self { error: shard.unconnected(error), remedy }
    }

    /// `node` itself answered with an error: nothing was applied. Its connection is left where it has no login any more,
    /// and where the node is in doubt: the shard's address may lead to another server by now, and only a new connection
    /// gets there. The same server is recognised anew over it: it may be another run.
    pub(crate) fn answered(
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
enum Remedy {
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
pub(crate) struct Route<'a> {
    shard: &'a Shard,
    pub(crate) node: Arc<Link>,
    nodes_left: u32,
    until: Instant,
}

impl<'a> Route<'a> {
    /// Begins at the shard's node. No further node is asked once `patience` is over.
    pub(crate) fn new(shard: &'a Shard, patience: Duration) -> Self {
        Self { shard, node: shard.node(), nodes_left: MOST_NODES, until: Instant::now() + patience }
    }

    /// The node answered.
    pub(crate) fn arrived(&self) {
        if self.shard.nodes.is_cluster() {
            self.shard.found_at(&self.node);
        }
    }

    /// Turns to the node that is to be asked after this failure. An error: there is none.
    pub(crate) fn turn(&mut self, failure: Failure) -> Result<(), StoreError> {
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

/// Most nodes that are remembered: some more than any cluster that this program was made for, since a node that
/// came back at another address is remembered twice.
const MOST_KNOWN: usize = 256;

/// Where a node listens.
type Address = (String, u16);

#[derive(Debug)]
pub(crate) struct Nodes {
    /// What the endpoint's URL names.
    seed: Arc<Link>,
    /// The nodes of a cluster, the seed included. The first is asked for shards whose node is not known; one that
    /// fails goes to the end, so that a cluster without its seed is still found. None: a single server.
    known: Option<Mutex<Vec<Arc<Link>>>>,
}

impl Nodes {
    pub(crate) fn new(seed: Link, cluster: bool) -> Self {
        let seed = Arc::new(seed);
        Self { known: cluster.then(|| Mutex::new(vec![Arc::clone(&seed)])), seed }
    }

    /// Whom to ask for a shard whose node is not known.
    pub(crate) fn entry(&self) -> Arc<Link> {
        let first = self.known().and_then(|known| known.first().cloned());
        first.unwrap_or_else(|| Arc::clone(&self.seed))
    }

    /// The node that listens there.
    pub(crate) fn at(&self, (host, port): &Address) -> Arc<Link> {
        let Some(mut known) = self.known() else { return Arc::clone(&self.seed) };
        if let Some(link) = known.iter().find(|link| link.address() == (host, *port)) {
            return Arc::clone(link);
        }
        if known.len() >= MOST_KNOWN {
            // The one that failed last, but for the seed: its name may mean another server by now.
            let gone = known.iter().rposition(|link| !Arc::ptr_eq(link, &self.seed));
            gone.map(|gone| known.remove(gone));
        }
        let link = Arc::new(self.seed.beside(host, *port));
        known.push(Arc::clone(&link));
        link
    }

    /// Whether these are the nodes of a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        self.known.is_some()
    }

    /// Has this node be asked last from now on.
    pub(crate) fn failed(&self, node: &Arc<Link>) {
        let Some(mut known) = self.known() else { return };
        if let Some(place) = known.iter().position(|link| Arc::ptr_eq(link, node)) {
            known[place..].rotate_left(1);
        }
    }

    /// Learns of the nodes that `asked` names in its answer to `CLUSTER SLOTS`, so that it is not the only one known
    /// should it fail. Any other answer teaches nothing.
    pub(crate) fn learn(&self, answer: &Value, asked: &Link) {
        addresses(answer, asked, &mut |address| drop(self.at(&address)));
    }

    fn known(&self) -> Option<MutexGuard<'_, Vec<Arc<Link>>>> {
        self.known.as_ref().map(|known| known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Finds the addresses in an answer to `CLUSTER SLOTS`, nested lists with `[host, port, id, …]` at the ends. A node
/// that does not know its own host tells none: it is the one that it was reached at.
fn addresses(answer: &Value, asked: &Link, found: &mut impl FnMut(Address)) {
    let Value::Array(items) = answer else { return };
    if let [host @ (Value::BulkString(_) | Value::Nil), Value::Int(port), ..] = items.as_slice() {
        let host = if let Value::BulkString(host) = host { String::from_utf8_lossy(host) } else { "".into() };
        if let Some(port) = u16::try_from(*port).ok().filter(|port| *port != 0) {
            found((host_or(&host, asked), port));
        }
        return;
    }
    for item in items {
        addresses(item, asked, found);
    }
}

/// The address in a `MOVED` or `ASK` that `asked` gave.
pub(crate) fn redirection(error: &RedisError, asked: &Link) -> Option<Address> {
    let (address, _slot) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    Some((host_or(host, asked), port.parse().ok()?))
}

fn host_or(host: &str, asked: &Link) -> String {
    let unknown = host.is_empty() || host == "?";
    if unknown { asked.address().0 } else { host }.to_owned()
}

/// A connection to a shard's server, or in a cluster to its node. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
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
    pub(crate) fn new(connected: &Connected, node: &Arc<Link>, nodes: &Arc<Nodes>) -> Self {
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
    fn held_back(self, held_back: Option<crate::tests::HeldBack>) -> Self {
        Self { held_back, ..self }
    }

    /// The same for keys of other slots than the shard's: follows `MOVED` too, command by command.
    pub(crate) fn to_any_slot(&self) -> Self {
        Self { any_slot: true, ..self.clone() }
    }

    /// In a cluster, and over a new connection: asks the node for the others. What goes wrong shows in the next command.
    pub(crate) fn learn_nodes(&mut self) -> Option<RedisFuture<'_, ()>> {
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
    pub(crate) fn answered(&self, incarnation: Incarnation) -> Incarnation {
        self.elsewhere().map_or(incarnation, |_| Incarnation::of_one_connection())
    }

    /// The call failed: the other node's connection, too, is in doubt.
    fn drop_elsewhere(&self) {
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

#[cfg(test)]
mod tests;
