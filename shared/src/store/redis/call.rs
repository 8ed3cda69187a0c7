//! One call to a shard: over a connection on which the shard was recognised, in a cluster at the node that has it now.

use super::RedisStore;
use super::connection::{Connected, Link};
use super::contact::ContactError;
use super::route::{Failure, Remedy, Route};
use super::routed::Connection;
use super::shard::Shard;
use crate::store::{Incarnation, StoreError};
use crate::telemetry::traces;
use redis::{ErrorKind, RedisError, RedisResult};
use std::sync::Arc;
use tokio::time::timeout;

impl RedisStore {
    /// Runs `call` over the shard's connection. A connection that was open before and turns out to be
    /// closed is replaced and the call made once more, in a cluster perhaps at another node: all our calls may be
    /// repeated. At least one command of `call` must name a key of the shard, or a cluster has no reason to say that
    /// the shard has moved.
    pub(super) async fn with_shard<T, F>(
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
    pub(super) async fn with_incarnation<T, F>(
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
    pub(super) fn with_run<T, F>(
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
pub(super) fn is_server_answer(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}
