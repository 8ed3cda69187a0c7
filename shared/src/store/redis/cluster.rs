//! Calls to a shard: over a connection on which the shard was recognised, in a cluster at the node that has it now.
//!
//! [`Nodes`] are the servers behind one endpoint, with one connection each. After a failure or a redirection a call turns to another
//! node. A [`Connection`] follows what concerns one command only: `ASK`, while a slot moves
//! to another node and this key is there already. A `MOVED` concerns the shard: the call is made anew at that node.

use super::RedisStore;
use super::connection::{Connected, Link, advice};
use super::contact::Shard;
use crate::store::{ServerRun, StoreError};
use futures_util::future::try_join;
use redis::aio::ConnectionLike;
use redis::{
    Arg, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::{Instant, timeout};

/// Most attempts of one call: the way to a shard has one redirection, more only while the cluster changes or
/// nodes are down.
const MAX_ATTEMPTS: u32 = 6;

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
        Ok(self.with_server_run(shard, call).await?.0)
    }

    /// Sends two commands at once, of which one names a key of the shard. Not as a pipeline: while a slot moves, a cluster may
    /// redirect one of them. Returns their answers, and the run of the server.
    pub(crate) async fn query_both<A: FromRedisValue + Send, B: FromRedisValue + Send>(
        &self,
        shard: &Shard,
        one: &Cmd,
        other: &Cmd,
    ) -> Result<((A, B), ServerRun), StoreError> {
        let both = |mut redis: Connection| async move {
            let mut beside = redis.clone();
            try_join(one.query_async(&mut redis), other.query_async(&mut beside)).await
        };
        self.with_server_run(shard, both).await
    }

    /// Runs `call` like [`with_shard`](Self::with_shard), and returns the run of the server that answered, too. In tests, the planned
    /// faults happen to it.
    pub(crate) async fn with_server_run<T, F>(
        &self,
        shard: &Shard,
        call: impl Fn(Connection) -> F + Send + Sync,
    ) -> Result<(T, ServerRun), StoreError>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        #[cfg(not(any(test, feature = "testing")))]
        return self.with_route(shard, call).await;
        #[cfg(any(test, feature = "testing"))]
        {
            let (faults, call) = (&self.faults, &call);
            let index = self.shards.iter().position(|other| std::ptr::eq(other, shard)).unwrap_or_default();
            let send = |held_back: Option<crate::tests::HeldBack>| async move {
                let call = |redis: Connection| {
                    call(Connection { run: faults.run(index, redis.run), held_back: held_back.clone(), ..redis })
                };
                let (answer, run) = self.with_route(shard, call).await?;
                Ok((answer, faults.run(index, run)))
            };
            faults.call(index, shard.config.name.as_str(), send).await
        }
    }

    async fn with_route<T, F>(
        &self,
        shard: &Shard,
        call: impl Fn(Connection) -> F + Send + Sync,
    ) -> Result<(T, ServerRun), StoreError>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        // No further node is asked after that.
        let until = Instant::now() + self.answer_timeout;
        let mut attempts_left = MAX_ATTEMPTS;
        loop {
            let node = shard.node();
            let failure = match self.connect(shard, &node).await {
                Ok(connection) => match timeout(self.answer_timeout, call(connection.clone())).await {
                    Ok(Ok(answer)) => {
                        shard.found_at(&node);
                        return Ok((answer, connection.answered()));
                    }
                    failed => {
                        let error = failed.ok().and_then(RedisResult::err);
                        let silence = || format!("no answer within {:?}", self.answer_timeout);
                        let reason = error.as_ref().map_or_else(silence, ToString::to_string);
                        let unknown = StoreError::Unknown { shard: shard.config.name.to_string(), reason };
                        connection.failed(shard, error, unknown, Next::Doubt)
                    }
                },
                Err(failure) => failure,
            };
            attempts_left -= 1;
            let goes_on = failure.next.turn(shard, &node) && attempts_left > 0 && Instant::now() < until;
            if !goes_on {
                return Err(failure.error);
            }
        }
    }

    /// Returns a connection over which this shard has been recognised.
    async fn connect(&self, shard: &Shard, node: &Arc<Link>) -> Result<Connection, Failure> {
        let connected = node.get().await.map_err(|error| {
            // Another node may be there, unless there is no password: all take the same.
            let next = if error.without_password { Next::Stop } else { Next::Another };
            Failure { error: shard.unreachable(error.reason), next }
        })?;
        let connection = |run| Connection::new(connected.clone(), node, &shard.nodes, run);
        if let Some(run) = shard.recognised_over(connected.number) {
            return Ok(connection(run));
        }
        let mut first = connection(ServerRun::default());
        match timeout(self.answer_timeout, self.recognise(&mut first, shard)).await {
            // Another one for the call: the roster may have led this one elsewhere.
            Ok(Ok(Ok(run))) => Ok(connection(run)),
            Ok(Ok(Err(reason))) => Err(Failure { error: shard.unfit(&reason), next: Next::Stop }),
            failed => {
                let error = failed.ok().and_then(RedisResult::err);
                let unreachable = shard.unreachable(node.silence(error.as_ref()));
                Err(first.failed(shard, error, unreachable, Next::Another))
            }
        }
    }
}

/// Returns whether the server itself answered with an error, so that the connection is good and nothing was
/// applied.
pub(crate) fn is_server_answer(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

fn is_moved(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::Moved)
}

/// A node that brought no answer.
struct Failure {
    error: StoreError,
    next: Next,
}

/// The next step of a call after a failure.
enum Next {
    /// The connection had been closed unnoticed: the same over a new one.
    Again,
    /// The node is good, and this is its answer.
    Stop,
    /// The node must be asked no more before the others. The call may be applied there.
    Doubt,
    /// The node is in doubt, and nothing was sent: another one may be asked at once.
    Another,
    /// The shard is at this node.
    Moved(Address),
}

impl Next {
    /// Turns the shard away from `node`, where this asks for it. Returns whether the call goes on at the shard's node.
    fn turn(&self, shard: &Shard, node: &Arc<Link>) -> bool {
        match self {
            Self::Again => true,
            Self::Stop => false,
            Self::Doubt => {
                shard.lost(node);
                false
            }
            Self::Another => {
                shard.lost(node);
                shard.nodes.is_cluster()
            }
            Self::Moved(address) => {
                shard.found_at(&shard.nodes.at(address));
                true
            }
        }
    }
}

/// Host and port of a node.
type Address = (String, u16);

/// The servers behind one endpoint.
#[derive(Debug)]
pub(crate) struct Nodes {
    /// The server that the endpoint's URL names.
    seed: Arc<Link>,
    cluster: bool,
    /// All of them, the seed included. The first is asked for shards whose node is not known; one that
    /// fails goes to the end, so that a cluster without its seed is still found.
    known: Mutex<Vec<Arc<Link>>>,
}

impl Nodes {
    pub(crate) fn new(seed: Link, cluster: bool) -> Self {
        let seed = Arc::new(seed);
        Self { known: Mutex::new(vec![Arc::clone(&seed)]), seed, cluster }
    }

    /// Returns the node to ask for a shard whose node is not known.
    pub(crate) fn entry(&self) -> Arc<Link> {
        Arc::clone(self.known().first().unwrap_or(&self.seed))
    }

    /// Returns the node of the cluster that listens there.
    pub(crate) fn at(&self, (host, port): &Address) -> Arc<Link> {
        let mut known = self.known();
        let found = known.iter().find(|link| link.address() == (host, *port)).cloned();
        found.unwrap_or_else(|| {
            let link = Arc::new(self.seed.beside(host, *port));
            known.push(Arc::clone(&link));
            link
        })
    }

    /// Returns whether these are the nodes of a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        self.cluster
    }

    /// Has this node be asked last from now on.
    pub(crate) fn failed(&self, node: &Arc<Link>) {
        let mut known = self.known();
        if let Some(place) = known.iter().position(|link| Arc::ptr_eq(link, node)) {
            known[place..].rotate_left(1);
        }
    }

    /// Learns of the nodes that `asked` names in its answer to `CLUSTER SLOTS`, so that it is not the only one known
    /// should it fail, and forgets all others but the seed. Any other answer teaches nothing.
    fn learn(&self, answer: &Value, asked: &Link) {
        let mut found = Vec::new();
        addresses(answer, asked, &mut found);
        if !found.is_empty() {
            let is_there = |link: &Link| found.iter().any(|(host, port)| link.address() == (host, *port));
            self.known().retain(|link| Arc::ptr_eq(link, &self.seed) || is_there(link));
        }
        for address in &found {
            self.at(address);
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Arc<Link>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds the addresses in an answer to `CLUSTER SLOTS`, nested lists with `[host, port, id, …]` at the ends. A node
/// that does not know its own host tells none: it is the one that it was reached at.
fn addresses(answer: &Value, asked: &Link, found: &mut Vec<Address>) {
    let Value::Array(items) = answer else { return };
    if let [host @ (Value::BulkString(_) | Value::Nil), Value::Int(port), ..] = items.as_slice() {
        let host = if let Value::BulkString(host) = host { String::from_utf8_lossy(host) } else { "".into() };
        if let Some(port) = u16::try_from(*port).ok().filter(|port| *port != 0) {
            found.push((host_or(&host, asked), port));
        }
        return;
    }
    for item in items {
        addresses(item, asked, found);
    }
}

/// Returns the address in a `MOVED` or `ASK` that `asked` gave.
fn redirection(error: &RedisError, asked: &Link) -> Option<Address> {
    let (address, _slot) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    Some((host_or(host, asked), port.parse().ok()?))
}

fn host_or(host: &str, asked: &Link) -> String {
    let unknown = host.is_empty() || host == "?";
    if unknown { asked.address().0 } else { host }.to_owned()
}

/// The node that the last `ASK` led to.
type Elsewhere = Option<(Arc<Link>, Connected)>;

/// A connection to a shard's server, or in a cluster to its node, for one call. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// The run of the server at the other end.
    pub(crate) run: ServerRun,
    nodes: Arc<Nodes>,
    node: Arc<Link>,
    connected: Connected,
    elsewhere: Arc<Mutex<Elsewhere>>,
    any_slot: bool,
    #[cfg(any(test, feature = "testing"))]
    held_back: Option<crate::tests::HeldBack>,
}

impl Connection {
    fn new(connected: Connected, node: &Arc<Link>, nodes: &Arc<Nodes>, run: ServerRun) -> Self {
        Self {
            run,
            nodes: Arc::clone(nodes),
            node: Arc::clone(node),
            connected,
            elsewhere: Arc::default(),
            any_slot: false,
            #[cfg(any(test, feature = "testing"))]
            held_back: None,
        }
    }

    /// Returns the number of the connection.
    pub(crate) fn number(&self) -> u64 {
        self.connected.number
    }

    /// Returns the same connection for keys of other slots than the shard's: it follows `MOVED` too, command by command.
    pub(crate) fn to_any_slot(&self) -> Self {
        Self { any_slot: true, ..self.clone() }
    }

    /// Asks the node of a cluster for the others, over a new connection. An error shows in the next command.
    pub(crate) async fn learn_nodes(&self) {
        if self.nodes.is_cluster() && !self.connected.reused {
            let mut slots = redis::cmd("CLUSTER");
            slots.arg("SLOTS");
            if let Ok(answer) = self.connected.redis.clone().req_packed_command(&slots).await {
                self.nodes.learn(&answer, &self.node);
            }
        }
    }

    /// Returns the run of the server that answered: of the node at the other end, unless another one had a part in it.
    /// That one's is not known, so it is taken for one of its own: what was seen there proves nothing later.
    fn answered(&self) -> ServerRun {
        self.elsewhere().as_ref().map_or(self.run, |_| ServerRun::of_one_connection())
    }

    /// Returns the failure of a command that brought `error`, or `None` in time. Where the server did not answer, it is
    /// `unanswered`, and `next` is next.
    fn failed(&self, shard: &Shard, error: Option<RedisError>, unanswered: StoreError, next: Next) -> Failure {
        match error {
            Some(error) if is_server_answer(&error) => self.refused(shard, &error),
            error => {
                self.drop_connections();
                let next = if self.connected.is_stale(error.as_ref()) { Next::Again } else { next };
                Failure { error: unanswered, next }
            }
        }
    }

    /// The node itself answered with an error: nothing was applied. Its connection is left where it has no login any more,
    /// and where the node is in doubt: the shard's address may lead to another server by now, and only a new connection
    /// gets there. The same server is recognised anew over it: it may be another run.
    fn refused(&self, shard: &Shard, error: &RedisError) -> Failure {
        use ServerErrorKind::{Ask, BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly};
        let no_login = error.code() == Some("NOAUTH");
        let text = error.to_string();
        let refused = shard.refused(&format!("{text}{}", if no_login { advice(&text) } else { "" }));
        let (error, next) = match error.kind() {
            ErrorKind::Server(Moved | Ask) if !self.nodes.is_cluster() => {
                let hint = "it is a node of a cluster; add ;cluster to its entry in REDIS_ENDPOINTS";
                (shard.unfit(hint), Next::Stop)
            }
            ErrorKind::Server(Moved | Ask) => (refused, redirection(error, &self.node).map_or(Next::Stop, Next::Moved)),
            // It may be cut off from the others, which have made another node the shard's.
            ErrorKind::Server(ClusterDown | MasterDown | BusyLoading | ReadOnly) => (refused, Next::Doubt),
            _ => (refused, Next::Stop),
        };
        if no_login || matches!(next, Next::Doubt) {
            self.drop_connections();
        }
        Failure { error, next }
    }

    /// Drops the connections of all nodes that had a part in the call.
    fn drop_connections(&self) {
        self.node.drop_connection(self.number());
        if let Some((node, connected)) = &*self.elsewhere() {
            node.drop_connection(connected.number);
        }
    }

    fn elsewhere(&self) -> MutexGuard<'_, Elsewhere> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the command where the error says. It is sent once: what goes wrong there is the caller's.
    async fn follow(&self, error: RedisError, command: &Cmd) -> RedisResult<Value> {
        let Some(address) = redirection(&error, &self.node) else { return Err(error) };
        let node = self.nodes.at(&address);
        let connected = node
            .get()
            .await
            .map_err(|error| RedisError::from((ErrorKind::Io, "no connection to another node", error.reason)))?;
        let mut redis = connected.redis.clone();
        *self.elsewhere() = Some((node, connected));
        if is_moved(&error) {
            return redis.req_packed_command(command).await;
        }
        // In one piece: on a shared connection another call's command must not come in between.
        let mut asking = Pipeline::with_capacity(2);
        asking.cmd("ASKING").add_command(command.clone());
        let answers = redis.req_packed_commands(&asking, 1, 1).await?;
        answers.into_iter().next().unwrap_or_default().extract_error()
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        #[cfg(any(test, feature = "testing"))]
        if let Some(held_back) = self.held_back.clone() {
            return Box::pin(async move { held_back.hold(command).await });
        }
        Box::pin(async move {
            let mut redis = self.connected.redis.clone();
            if !self.nodes.is_cluster() {
                return redis.req_packed_command(command).await;
            }
            // A script is loaded where it was missing.
            let is_script_load = matches!(command.args_iter().next(), Some(Arg::Simple(b"SCRIPT")));
            let elsewhere = self.elsewhere().as_ref().map(|(_, connected)| connected.redis.clone());
            if let (true, Some(mut elsewhere)) = (is_script_load, elsewhere) {
                return elsewhere.req_packed_command(command).await;
            }
            let answer = redis.req_packed_command(command).await.and_then(Value::extract_error);
            match answer {
                Err(error)
                    if error.kind() == ErrorKind::Server(ServerErrorKind::Ask) || self.any_slot && is_moved(&error) =>
                {
                    self.follow(error, command).await
                }
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
        Box::pin(async move { self.connected.redis.clone().req_packed_commands(pipeline, offset, count).await })
    }

    fn get_db(&self) -> i64 {
        self.connected.redis.get_db()
    }
}

#[cfg(test)]
mod tests;
