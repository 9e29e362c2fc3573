//! Commands on data of every type.

use serde_json::json;

use crate::cluster;

/// Lines, each with what it shows; the last of them may end with another code than 0.
#[track_caller]
fn script(lines: &[(&str, &str)]) {
    for (words, shown) in lines {
        let words: Vec<&str> = words.split(' ').collect();
        let said = cluster().run(&words);
        assert_eq!(said.out.trim_end(), *shown, "{words:?}: {said:?}");
        let nothing = *shown == "(nothing)";
        assert_eq!(said.code, if nothing { 6 } else { 0 }, "{words:?}: {said:?}");
    }
}

#[test]
fn registers_and_numbers() {
    script(&[
        ("get reg:none", "(nothing)"),
        ("set reg:1 hello", "OK"),
        ("get reg:1", "hello"),
        ("set reg:1 other --nx", "(nothing)"),
        ("set reg:1 bye --xx --get", "hello"),
        ("append reg:1 !", "4"),
        ("strlen reg:1", "4"),
        ("getrange reg:1 0 1", "by"),
        ("setrange reg:1 0 B", "4"),
        ("get reg:1", "Bye!"),
        ("exists reg:1", "1"),
        ("type reg:1", "string"),
        ("ttl reg:1", "-1"),
        ("expire reg:1 1h", "1"),
        ("persist reg:1", "1"),
        ("getdel reg:1", "Bye!"),
        ("incr reg:2", "1"),
        ("incr reg:2 41", "42"),
        ("incr reg:2 -2", "40"),
        ("incrbyfloat reg:2 0.5", "40.5"),
        ("del reg:2 reg:3 reg:none", "1"),
    ]);
    let run = |words: &[&str]| cluster().run(words).done().out.trim_end().to_owned();
    assert_eq!(run(&["set", "cmVnOjQ=", "/wA=", "--base64"]), "OK");
    assert_eq!(run(&["get", "reg:4"]), "base64:/wA=");
    let said = cluster().json(&["get", "reg:4"]);
    assert_eq!((&said["reply"], &said["outcome"]), (&json!({"base64": "/wA="}), &json!("done")));
    assert!(said["owners"].as_array().is_some_and(|owners| owners.len() >= 2));
    let said = cluster().run(&["set", "reg:5", "v", "--ttl", "1h"]).done();
    assert_eq!(said.out, "OK\n");
    let left: i64 = run(&["ttl", "reg:5"]).parse().unwrap();
    assert!(left > 3_000_000 && left <= 3_600_000, "{left}");
}

#[test]
fn siblings_are_kept_and_resolved_by_their_context() {
    let run = |words: &[&str]| cluster().run(words).done().out;
    run(&["set", "sib:1", "a"]);
    let shown = cluster().json(&["siblings", "sib:1"]);
    let context = shown["reply"]["context"].as_str().unwrap().to_owned();
    assert_eq!(shown["reply"]["siblings"], json!(["a"]));
    run(&["resolve", "sib:1", "b", "--context", &context]);
    // It did not know of b, which stays beside it.
    run(&["resolve", "sib:1", "c", "--context", &context]);
    let shown = cluster().json(&["siblings", "sib:1"]);
    assert_eq!(shown["reply"]["siblings"].as_array().unwrap().len(), 2, "{shown}");
    let context = shown["reply"]["context"].as_str().unwrap();
    run(&["resolve", "sib:1", "d", "--context", context]);
    assert!(run(&["siblings", "sib:1"]).starts_with("d\ncontext: "));
    cluster().run(&["resolve", "sib:1", "e"]).fails(2, "--context");
    cluster().run(&["resolve", "sib:1", "e", "--context", "nonsense"]).fails(5, "context token");
}

#[test]
fn sets_flags_and_estimates() {
    script(&[
        ("sadd cart apples pears plums", "3"),
        ("sadd cart apples", "0"),
        ("smembers cart", "apples\npears\nplums"),
        ("sismember cart apples nuts", "1\n0"),
        ("srem cart pears", "1"),
        ("scard cart", "2"),
        ("srem cart apples", "1"),
        ("spop cart 5", "plums"),
        ("smembers cart", "(empty)"),
        ("sadd kept:1 a --kind remove_wins", "1"),
        ("srem kept:1 a --kind remove_wins", "1"),
        ("smembers kept:1 --kind remove_wins", "(empty)"),
        ("sadd grown:1 a --kind grow_only", "1"),
        ("flag flag:1", "0"),
        ("enable flag:1", "OK"),
        ("flag flag:1", "1"),
        ("disable flag:1", "OK"),
        ("flag flag:1", "0"),
        ("enable flag:2 --disable-wins", "OK"),
        ("flag flag:2 --disable-wins", "1"),
        ("pfadd seen:1 a b c a", "1"),
        ("pfcount seen:1", "3"),
    ]);
    let one = cluster().run(&["sadd", "random:1", "x"]).done();
    assert_eq!(one.out, "1\n");
    assert_eq!(cluster().run(&["srandmember", "random:1"]).done().out, "x\n");
    cluster().run(&["srem", "grown:1", "a", "--kind", "grow_only"]).fails(5, "");
}

#[test]
fn hashes_and_nested_maps() {
    script(&[
        ("hset person:1 name Ann age 41", "2"),
        ("hsetnx person:1 name Bob", "0"),
        ("hget person:1 name nothing", "Ann\n(nothing)"),
        ("hincrby person:1 age 1", "42"),
        ("hincrbyfloat person:1 age 0.5", "42.5"),
        ("hexists person:1 name", "1"),
        ("hlen person:1", "2"),
        ("hkeys person:1", "age\nname"),
        ("hgetall person:1", "age\t42.5\nname\tAnn"),
        ("hexpire person:1 10m age nothing", "1\n-2"),
        ("hpersist person:1 age name", "1\n-1"),
        ("httl person:1 age nothing", "-1\n-2"),
        ("hdel person:1 age", "1"),
        ("map-set doc:1 address/city Bern", "1"),
        ("map-set doc:1 address/zip 3000", "1"),
        ("map-incr doc:1 visits 3", "3"),
        ("map-get doc:1 address/city", "Bern"),
        ("map-entries doc:1 address", "address/city\tBern\naddress/zip\t3000"),
        ("map-len doc:1", "3"),
        ("map-del doc:1 address", "2"),
        ("map-len doc:1", "1"),
    ]);
    cluster().run(&["hset", "person:1", "name"]).fails(2, "pairs");
    cluster().run(&["map-get", "doc:1", "/"]).fails(2, "at least one segment");
}

#[test]
fn sorted_sets_and_lists() {
    script(&[
        ("zadd board 3 cleo 1 ann 2 bob", "3"),
        ("zadd board 5 ann --gt --ch", "1"),
        ("zadd board 1 ann --nx", "0"),
        ("zrange board 0 -1", "bob\t2.0\ncleo\t3.0\nann\t5.0"),
        ("zrange board 0 0 --rev", "ann\t5.0"),
        ("zrangebyscore board (2 +inf --count 1", "cleo\t3.0"),
        ("zcount board -inf 3", "2"),
        ("zscore board bob nobody", "2.0\n(nothing)"),
        ("zincrby board 10 bob", "12.0"),
        ("zrank board bob", "2\t12.0"),
        ("zcard board", "3"),
        ("zpopmin board", "cleo\t3.0"),
        ("zpopmax board 2", "bob\t12.0\nann\t5.0"),
        ("zadd board 1 a", "1"),
        ("zrem board a b", "1"),
        ("rpush todo b c", "2"),
        ("lpush todo a", "3"),
        ("linsert todo after b b2", "4"),
        ("lrange todo 0 -1", "a\nb\nb2\nc"),
        ("lset todo 0 A", "OK"),
        ("lindex todo 0", "A"),
        ("lpos todo c", "3"),
        ("lrem todo 0 b2", "1"),
        ("ltrim todo 0 1", "OK"),
        ("llen todo", "2"),
        ("lpop todo", "A"),
        ("rpop todo 2", "b"),
        ("lindex todo 0", "(nothing)"),
    ]);
    cluster().run(&["zadd", "board", "high", "a"]).fails(2, "no number");
    cluster().run(&["zadd", "board", "1", "a", "--nx", "--gt"]).fails(2, "--xx");
    cluster().run(&["lrange", "todo", "a", "b"]).fails(2, "no integer");
}

#[test]
fn what_a_key_is_not_is_refused() {
    cluster().run(&["sadd", "kind:1", "a"]).done();
    let said = cluster().run(&["--json", "incr", "kind:1"]).fails(5, "wrong_type");
    assert!(said.out.is_empty(), "{said:?}");
    cluster().run(&["incr", "kind:1", "lots"]).fails(2, "no integer");
    cluster().run(&["set", "kind:2", "word"]).done();
    cluster().run(&["incr", "kind:2"]).fails(5, "not an integer");
    cluster().run(&["get", "kind:2", "--level", "most"]).fails(5, "no level");
    cluster().run(&["get", "kind:2", "--bucket", "nowhere"]).fails(5, "no such bucket");
    assert_eq!(cluster().run(&["get", "kind:2", "--level", "all"]).done().out, "word\n");
    cluster().run(&["incr", "kind:3", "--level", "linearizable"]).fails(5, "strong");
}

#[test]
fn keys_are_listed_and_explained() {
    for key in ["list:a", "list:b", "list:c"] {
        cluster().run(&["sadd", key, "m"]).done();
    }
    cluster().run(&["set", "list:d", "v"]).done();
    let said = cluster().run(&["keys", "--prefix", "list:", "--type", "set"]).done();
    let mut lines: Vec<&str> = said.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["set\tlist:a", "set\tlist:b", "set\tlist:c"]);
    let said = cluster().json(&["keys", "--prefix", "list:", "--limit", "2"]);
    assert_eq!(said["keys"].as_array().unwrap().len(), 2, "{said}");
    let said = cluster().run(&["explain", "list:a"]).done();
    for wanted in ["type", "set", "owners", "coordinator", "digest"] {
        assert!(said.out.contains(wanted), "{said:?}");
    }
    let said = cluster().json(&["explain", "list:a", "--level", "all"]);
    assert_eq!(said["explanation"]["owners"].as_array().unwrap().len(), 3, "{said}");
    cluster().run(&["explain", "list:a", "--bucket", "nowhere"]).fails(5, "no such bucket");
}

#[test]
fn a_session_reads_what_it_wrote_and_goes_on_after_mistakes() {
    let script = "set rep:1 'a b'   # said in quotes\n\
        get rep:1\n\
        level one one\n\
        incr rep:2 5\n\
        get rep:2\n\
        level\n\
        sing\n\
        incr rep:1\n\
        use db1\n\
        set rep:1 other\n\
        get rep:1\n\
        use db0\n\
        status\n\
        help\n\
        exit\n\
        set rep:1 never\n";
    let said = cluster().fed_at(&[0, 1], &["repl"], script);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[..2], ["OK", "a b"], "{said:?}");
    assert_eq!(lines[3..5], ["5", "5"], "{said:?}");
    assert!(said.out.contains("bucket db1\nOK\nother\n"), "{said:?}");
    assert!(said.out.contains("3 up, 0 suspect, 0 down"), "{said:?}");
    assert!(said.err.contains("sing") && said.err.contains("not an integer"), "{said:?}");
    assert_eq!(said.code, 5, "that of the last failure: {said:?}");
    assert_eq!(cluster().run(&["get", "rep:1"]).done().out, "a b\n");
}
