//! What a server tells of itself, and what an operator should change about it. Pure: texts in, warnings out.
//!
//! The functions log these warnings at the first contact with a shard. Who asks the server by himself sends `INFO` and
//! `CONFIG GET` with [`CONFIG_PATTERN`]; where one of them is forbidden, as managed services do with `CONFIG`, its text
//! is empty, and nothing is said of what only it tells.

use std::fmt;

/// Matches `save`, `maxclients` and `maxmemory-policy`: before Redis 7.0, `CONFIG GET` takes one pattern only.
pub const CONFIG_PATTERN: &str = "[sm]a[vx]*";

/// What matters to counts in a server's state. What it did not tell is `None`, or 0 for a bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Its `maxmemory-policy`.
    pub eviction_policy: Option<String>,
    /// It follows another server and takes no writes.
    pub is_replica: bool,
    /// The server does not tell which run of it this is, since `INFO` is forbidden.
    pub hides_run: bool,
    /// It is a node of a cluster.
    pub cluster: Option<bool>,
    /// It keeps an append-only file or saves snapshots by itself.
    pub persistent: Option<bool>,
    /// Connections that are open.
    pub clients: u64,
    /// Most connections that it takes.
    pub max_clients: u64,
    /// Memory that it uses, in bytes.
    pub used_memory: u64,
    /// Most memory that it may use, in bytes.
    pub max_memory: u64,
}

/// Something that an operator should change before it costs visits. `Display` says what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Its policy lets it evict keys without a TTL: counts, and what tells whether a batch was counted.
    Eviction {
        /// The policy.
        policy: String,
    },
    /// A restart would lose everything.
    NoPersistence,
    /// At least 80 % of the connections that it takes are open. Each environment needs one.
    Clients {
        /// Connections that are open.
        open: u64,
        /// Most that it takes.
        most: u64,
    },
    /// At least 90 % of its memory are used; when it is full, it refuses visits.
    Memory {
        /// Bytes used.
        used: u64,
        /// Most that it may use.
        most: u64,
    },
    /// It is a replica, and refuses visits until it is promoted.
    Replica,
    /// `INFO` is forbidden, so a restart that lost data looks like one that did not: each connection counts as a run of its own.
    HiddenRun,
}

impl Health {
    /// Reads the answers to `INFO` and to `CONFIG GET` [`CONFIG_PATTERN`] (names and values in turn).
    ///
    /// ```
    /// # use visits_core::store::health::{Health, Warning};
    /// let health = Health::read("role:master\r\nconnected_clients:80\r\nmaxclients:100\r\n", &[]);
    /// assert_eq!(health.warnings(), [Warning::Clients { open: 80, most: 100 }]);
    /// ```
    pub fn read(info: &str, config: &[String]) -> Self {
        let mut health = Self::default();
        fields(info).for_each(|(name, value)| health.learn(name, value));
        health.complete(config);
        health
    }

    /// Takes a field of `INFO`.
    pub(super) fn learn(&mut self, name: &str, value: &str) {
        let number = || value.parse().unwrap_or(0);
        match name {
            "maxmemory_policy" => self.eviction_policy = Some(value.to_owned()),
            "role" => self.is_replica = value == "slave",
            "cluster_enabled" => self.cluster = Some(value == "1"),
            "aof_enabled" if value == "1" => self.persistent = Some(true),
            "connected_clients" => self.clients = number(),
            "maxclients" => self.max_clients = number(),
            "used_memory" => self.used_memory = number(),
            "maxmemory" => self.max_memory = number(),
            _ => {}
        }
    }

    /// Takes from the answer to `CONFIG GET` what `INFO` has not told.
    pub(super) fn complete(&mut self, config: &[String]) {
        for pair in config.chunks_exact(2) {
            match (pair[0].as_str(), pair[1].as_str()) {
                ("maxmemory-policy", policy) if self.eviction_policy.is_none() => {
                    self.eviction_policy = Some(policy.to_owned());
                }
                ("save", points) if self.persistent.is_none() => self.persistent = Some(!points.is_empty()),
                ("maxclients", most) if self.max_clients == 0 => self.max_clients = most.parse().unwrap_or(0),
                _ => {}
            }
        }
    }

    /// The policy, if it lets the server evict counts. No key of ours has a TTL, so `volatile-*` evicts none.
    pub fn evicting_policy(&self) -> Option<&str> {
        self.eviction_policy.as_deref().filter(|policy| policy.starts_with("allkeys-"))
    }

    /// Memory used, in percent of the most that may be used, rounded down. None where either is not known or there is no bound.
    pub fn memory_percent(&self) -> Option<u64> {
        (self.used_memory * 100).checked_div(self.max_memory).filter(|_| self.used_memory > 0)
    }

    /// What should be changed, at most one warning of a kind.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let evicts = self.evicting_policy().map(|policy| Warning::Eviction { policy: policy.to_owned() });
        // A server that evicts is full as a rule, and refuses nothing for it.
        let full = evicts.is_none() && reaches(self.used_memory, 90, self.max_memory);
        warnings.extend(evicts);
        if self.persistent == Some(false) {
            warnings.push(Warning::NoPersistence);
        }
        if reaches(self.clients, 80, self.max_clients) {
            warnings.push(Warning::Clients { open: self.clients, most: self.max_clients });
        }
        if full {
            warnings.push(Warning::Memory { used: self.used_memory, most: self.max_memory });
        }
        if self.is_replica {
            warnings.push(Warning::Replica);
        }
        if self.hides_run {
            warnings.push(Warning::HiddenRun);
        }
        warnings
    }
}

/// The fields in the answer to `INFO`, with their values. To go through once: a start should not pay for every field anew.
pub(super) fn fields(info: &str) -> impl Iterator<Item = (&str, &str)> {
    info.split('\n').filter_map(|line| {
        let colon = line.bytes().position(|byte| byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_end_matches('\r')))
    })
}

/// The value of one field in the answer to `INFO`.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    fields(info).find_map(|(found, value)| (found == name).then_some(value))
}

/// Whether `value` is `percent` of `most` or more; never where `most` is not known.
fn reaches(value: u64, percent: u64, most: u64) -> bool {
    most > 0 && value.saturating_mul(100) >= most.saturating_mul(percent)
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eviction { policy } => {
                write!(f, "its maxmemory-policy is {policy}, so that it may evict counts: set noeviction or volatile-*")
            }
            Self::NoPersistence => {
                f.write_str("it keeps nothing on disk, a restart loses all counts: set appendonly yes")
            }
            Self::Clients { open, most } => write!(f, "{open} of {most} connections are open: raise maxclients"),
            Self::Memory { used, most } => {
                write!(f, "{used} of {most} bytes of memory are used, full it refuses visits: raise maxmemory")
            }
            Self::Replica => {
                f.write_str("it is a replica and refuses visits: promote it or give the primary's address")
            }
            Self::HiddenRun => f.write_str(
                "INFO is forbidden, so that a new connection counts as a restart and what no second look confirms is kept: allow the \
                 user +info",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
