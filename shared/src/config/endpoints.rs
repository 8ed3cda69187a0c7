//! `REDIS_ENDPOINTS`: the shards and where they live.
//!
//! Reasons name an entry by its number only: where a password holds an unescaped separator, what looks like
//! a name is a part of it.

use crate::ring::Ring;
use crate::shard::{
    Endpoint, EndpointError, NameError, PasswordError, PasswordSource, ShardConfig, Weight, WeightError,
};

#[derive(Debug, thiserror::Error)]
enum EntryError {
    #[error("it is empty")]
    Empty,
    #[error("it is not name=url")]
    NoName,
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error(transparent)]
    Weight(#[from] WeightError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(
        "after the URL only ;weight=N, ;cluster and one of ;password-file, ;password-secret, ;iam and ;iam-serverless \
         may come, each once, and all but ;cluster with =value (write ; as %3B in a password)"
    )]
    Option,
}

/// The shards of a comma-separated list, or one text with all that is wrong.
pub(super) fn parse(list: &str) -> Result<Vec<ShardConfig>, String> {
    let mut shards = Vec::new();
    let mut wrong = Vec::new();
    for (number, text) in (1..).zip(list.split(',')) {
        match entry(text.trim()) {
            Ok(shard) => shards.push(shard),
            Err(error) => wrong.push(format!("entry {number}: {error}")),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join(", "));
    }
    // The ring knows which shards can share the pages.
    let placed = shards.iter().map(|shard| (shard.name.clone(), shard.weight));
    Ring::new(placed).map_err(|error| error.to_string())?;
    Ok(shards)
}

fn entry(text: &str) -> Result<ShardConfig, EntryError> {
    if text.is_empty() {
        return Err(EntryError::Empty);
    }
    let (name, address) = text.split_once('=').ok_or(EntryError::NoName)?;
    let mut parts = address.split(';');
    let mut endpoint: Endpoint = parts.next().unwrap_or_default().trim().parse()?;
    let options = Options::parse(parts)?;
    let password = options.password.unwrap_or_default();
    password.check(&endpoint)?;
    if options.cluster {
        endpoint = endpoint.of_cluster()?;
    }
    Ok(ShardConfig { name: name.trim().parse()?, endpoint, password, weight: options.weight.unwrap_or_default() })
}

/// What follows an endpoint's URL: `;key=value` or `;flag`, each once.
#[derive(Default)]
struct Options {
    cluster: bool,
    weight: Option<Weight>,
    password: Option<PasswordSource>,
}

impl Options {
    fn parse<'a>(parts: impl Iterator<Item = &'a str>) -> Result<Self, EntryError> {
        let mut options = Self::default();
        for part in parts {
            let (key, value) = part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value.trim())));
            match (key.trim(), value) {
                ("weight", Some(weight)) if options.weight.is_none() => options.weight = Some(weight.parse()?),
                ("cluster", None) if !options.cluster => options.cluster = true,
                (key, Some(value)) => {
                    let source = PasswordSource::from_option(key, value).ok_or(EntryError::Option)??;
                    if options.password.replace(source).is_some() {
                        return Err(PasswordError::Several.into());
                    }
                }
                _ => return Err(EntryError::Option),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::shard::{PasswordSource, ShardConfig};

    fn shown(shard: &ShardConfig) -> (String, String, u8) {
        (shard.name.to_string(), shard.endpoint.to_string(), shard.weight.get())
    }

    #[test]
    fn a_list_gives_its_shards_in_order() {
        let shards = parse("b=redis://h1;weight=0, a = redis://:pw@h2:7071/3 ; weight = 16\n,c=redis://h1").unwrap();
        let expected =
            [("b", "redis://h1:6379/0", 0), ("a", "redis://:***@h2:7071/3", 16), ("c", "redis://h1:6379/0", 1)];
        let expected = expected.map(|(name, endpoint, weight)| (name.to_owned(), endpoint.to_owned(), weight));
        assert_eq!(shards.iter().map(shown).collect::<Vec<_>>(), expected);
        assert_eq!(shards[0].endpoint, shards[2].endpoint);
    }

    #[test]
    fn every_wrong_entry_is_told_by_its_number() {
        let message = parse("a=redis://h,b=http://h,,c d=redis://h,e,f=redis://h;weight=17").unwrap_err();
        let told = [
            "entry 2: the URL's scheme",
            "entry 3: it is empty",
            "entry 4: a name",
            "entry 5: it is not name=url",
            "entry 6: a weight",
        ];
        assert!(told.iter().all(|part| message.contains(part)), "{message}");
        assert!(!message.contains("entry 1"), "{message}");
    }

    #[test]
    fn a_source_of_the_password_a_weight_and_a_cluster_may_follow_the_url_in_any_order() {
        let file = |path: &str| PasswordSource::File(path.into());
        let shards = parse(
            "a=redis://app@h;password-file=/p=1;weight=2,b=redis://h; weight=2 ; password-file = /q,\
             c=redis://h;password-file=/r;cluster;weight=2,d=redis://h;cluster;weight=2;password-file=/r",
        );
        let shards: Vec<_> = shards.unwrap().into_iter().collect();
        let sources: Vec<_> = shards.iter().map(|shard| (shard.password.clone(), shard.weight.get())).collect();
        assert_eq!(sources, [(file("/p=1"), 2), (file("/q"), 2), (file("/r"), 2), (file("/r"), 2)]);
        assert_eq!(
            shards.iter().map(|shard| shard.endpoint.is_cluster()).collect::<Vec<_>>(),
            [false, false, true, true]
        );
        for two in [";password-file=/p;password-file=/p", ";password-file=/p;cluster;iam=c"] {
            let message = parse(&format!("a=rediss://app@h{two}")).unwrap_err();
            assert!(message.contains("comes from one place"), "{two}: {message}");
        }
        assert!(parse("a=redis://app@h;iam=cache").unwrap_err().contains("rediss://"));
    }

    #[test]
    fn nothing_but_known_options_follows_the_url() {
        let weights = [";", ";weight", ";wait=1", ";weight=1;weight=2", ";weight=1;", ";WEIGHT=1"];
        let clusters = [";cluster=1", ";cluster=", ";cluster;cluster", ";clusters"];
        for options in weights.into_iter().chain(clusters).chain([";password=x", ";password-file", ";iam"]) {
            let message = parse(&format!("a=redis://h{options}")).unwrap_err();
            assert!(message.contains("only ;weight=N, ;cluster and one of ;password-file"), "{options}: {message}");
        }
    }

    #[test]
    fn a_cluster_is_told_by_a_flag_and_is_another_endpoint_than_a_server() {
        let shards = parse("a=redis://h;cluster,b=redis://h/0; cluster ;weight=2,c=redis://h").unwrap();
        assert_eq!(shards.iter().map(|shard| shard.endpoint.is_cluster()).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!((&shards[0].endpoint, shards[1].weight.get()), (&shards[1].endpoint, 2));
        assert_ne!(shards[0].endpoint, shards[2].endpoint);
    }

    #[test]
    fn a_cluster_has_database_0_only() {
        for (database, good) in [("", true), ("/0", true), ("/1", false), ("/10", false)] {
            let parsed = parse(&format!("a=redis://h{database};cluster"));
            assert_eq!(parsed.is_ok(), good, "{database}");
            assert!(good || parsed.unwrap_err().contains("entry 1: a cluster has database 0 only"));
        }
    }

    #[test]
    fn shards_that_no_ring_can_place_are_refused() {
        assert!(parse("a=redis://h,a=redis://g").unwrap_err().contains("name a is given twice"));
        assert!(parse("a=redis://h;weight=0,b=redis://g;weight=0").unwrap_err().contains("weight 0"));
    }
}
