
/// One entry, and its sums of one page.
#[test]
fn a_commit_with_garbage_changes_nothing_and_without_it_all() {
    let script =
        concat!(include_str!("../../src/store/redis/prelude.lua"), include_str!("../../src/store/redis/commit.lua"));
    let server = RedisServer::start();
    let mut redis = server.connect();
    let _: String = redis::cmd("XADD").arg("journal").arg(&["1-0", "b", "bytes"]).query(&mut redis).unwrap();
    let before = contents(&mut redis);
    let keys = "journal,shard,site,aside,site:2026-11,top,days:2026-11:home".split(',').collect::<Vec<_>>();
    // First, last, bytes, folding before and after, ring, misplaced, listed, site, day, its sums, pages; and of the page.
    let arguments = format!("1-0,1-0,37,,,{RING},0,200,3,1,29,2,1,0,0,0,0,1,2,1");
    let arguments: Vec<&str> = arguments.split(',').collect();
    let mut commit = |keys: &[&str], arguments: &[&str]| {
        let answer = redis::cmd("EVAL").arg(script).arg(keys.len()).arg(keys).arg(arguments).query(&mut redis);
        (answer as Result<(u64, u64, Vec<(usize, String)>), _>, contents(&mut redis))
    };
    let mut wrong: Vec<(Vec<&str>, Vec<&str>)> = (0..keys.len()).map(|n| (keys[..n].to_vec(), arguments.clone())).collect();
    wrong.push(([&keys[..], &["another"]].concat(), arguments.clone()));
    wrong.extend((0..arguments.len()).map(|n| (keys.clone(), arguments[..n].to_vec())));
    for position in (2..arguments.len()).filter(|position| ![3, 4, 5].contains(position)) {
        for text in ["", "x", "-1", "01", "1.5", "1000000000000000"] {
            let mut arguments = arguments.clone();
            arguments[position] = text;
            wrong.push((keys.clone(), arguments));
        }
    }
    for (keys, arguments) in wrong {
        let (answer, after) = commit(&keys, &arguments);
        assert!(answer.is_err_and(|error| error.code() == Some("INVALID")), "{keys:?} {arguments:?}");
        assert!(after == before, "{keys:?} {arguments:?}");
    }
    let (answer, after) = commit(&keys, &arguments);
    assert_eq!((answer.unwrap(), after.len()), ((1, 0, vec![]), before.len() + 4));
    assert_eq!(redis.hgetall("days:2026-11:home"), Ok([("29", 2), ("29b", 1)].map(|(day, n)| (day.to_owned(), n)).into()) as redis::RedisResult<std::collections::BTreeMap<String, u64>>);
}
