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
        let told = |name| field(info, name);
        let set = |name| config.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_str());
        let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
        let saves = set("save").map(|points| !points.is_empty());
        Self {
            eviction_policy: told("maxmemory_policy").or_else(|| set("maxmemory-policy")).map(str::to_owned),
            is_replica: told("role") == Some("slave"),
            cluster: told("cluster_enabled").map(|enabled| enabled == "1"),
            persistent: if told("aof_enabled") == Some("1") { Some(true) } else { saves },
            clients: number(told("connected_clients")),
            max_clients: number(told("maxclients").or_else(|| set("maxclients"))),
            used_memory: number(told("used_memory")),
            max_memory: number(told("maxmemory")),
        }
    }

    /// The policy, if it lets the server evict counts. No key of ours has a TTL, so `volatile-*` evicts none.
    pub fn evicting_policy(&self) -> Option<&str> {
        self.eviction_policy.as_deref().filter(|policy| policy.starts_with("allkeys-"))
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
        warnings
    }
}

/// The value of a field in the answer to `INFO`.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
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
        }
    }
}

#[cfg(test)]
mod tests;
