//! Exports and imports, also those that are interrupted.

use std::fs;

use serde_json::json;

use crate::cluster;

#[test]
fn what_is_exported_is_imported_again() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("keys.jsonl");
    let file = file.to_str().unwrap();
    let mut script = String::from("use db2\nset x:s 'a b'\nset x:t v --ttl 1h\n");
    script += "sadd x:set a b c\nhset x:hash f 1 g 2\nzadd x:zset 1.5 a 2 b\nrpush x:list c b a b\nhexpire x:hash 1h g\n";
    let members: Vec<String> = (0..700).map(|number| format!("m{number:04}")).collect();
    script += &format!("sadd x:large {}\n", members.join(" "));
    assert_eq!(cluster().fed_at(&[0], &["repl"], &script).code, 0);

    let said = cluster().json(&["export", file, "-b", "db2", "--prefix", "x:"]);
    assert_eq!(
        (&said["keys"], &said["lines"], &said["left_out"]),
        (&json!(7), &json!(8), &json!([]))
    );
    cluster().run(&["export", file, "-b", "db2"]).fails(1, "exists");
    cluster().run(&["export", file, "-b", "db2", "--resume"]).fails(2, "was interrupted");

    let said = cluster().json(&["import", file, "-b", "db3"]);
    assert_eq!((&said["keys"], &said["lines"]), (&json!(7), &json!(8)));
    // What a key held before is gone, and doing it again changes nothing.
    cluster().run(&["rpush", "x:list", "z", "-b", "db3"]).done();
    cluster().run(&["import", file, "-b", "db3", "--parallel", "1"]).done();
    let shown = |words: &[&str]| {
        let both = ["db2", "db3"].map(|bucket| {
            let line: Vec<&str> = words.iter().copied().chain(["-b", bucket]).collect();
            cluster().run(&line).done().out
        });
        assert_eq!(both[0], both[1], "{words:?}");
        both[1].clone()
    };
    assert_eq!(shown(&["get", "x:s"]), "a b\n");
    assert_eq!(shown(&["lrange", "x:list", "0", "-1"]), "c\nb\na\nb\n");
    assert_eq!(shown(&["scard", "x:large"]), "700\n");
    for words in
        [&["smembers", "x:set"][..], &["hgetall", "x:hash"], &["zrange", "x:zset", "0", "-1"]]
    {
        shown(words);
    }
    let left = cluster().run(&["httl", "x:hash", "f", "g", "-b", "db3"]).done().out;
    let left: Vec<i64> = left.lines().map(|line| line.parse().unwrap()).collect();
    assert!(left[0] == -1 && left[1] > 3_000_000, "{left:?}");
    let left = cluster().run(&["ttl", "x:t", "-b", "db3"]).done().out;
    assert!(left.trim_end().parse::<i64>().unwrap() > 3_000_000, "{left}");
    cluster().run(&["sadd", "x:set", "d", "-b", "db3"]).done();
    cluster().run(&["import", file, "-b", "db3", "--merge"]).done();
    assert_eq!(cluster().run(&["scard", "x:set", "-b", "db3"]).done().out, "4\n");
}

#[test]
fn an_import_that_was_interrupted_goes_on_and_foreign_files_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("keys.jsonl");
    let name = file.to_str().unwrap();
    let line = |number: usize| {
        json!({"key": format!("i:{number:04}"), "type": "string", "values": number.to_string()})
            .to_string()
            + "\n"
    };
    let good: String = (0..600).map(line).collect();
    fs::write(&file, good.clone() + "nonsense\n").unwrap();
    cluster().run(&["import", name, "-b", "db4"]).fails(5, "line 601");
    cluster().run(&["import", name, "-b", "db4"]).fails(2, "interrupted");
    let progress = fs::read_to_string(home.path().join("keys.jsonl.progress")).unwrap();
    assert!(progress.contains("\"lines\":512"), "{progress}");
    fs::write(&file, &good).unwrap();
    let said = cluster().json(&["import", name, "-b", "db4", "--resume"]);
    assert_eq!(said["keys"], 600);
    assert!(!home.path().join("keys.jsonl.progress").exists());
    assert_eq!(cluster().run(&["get", "i:0000", "-b", "db4"]).done().out, "0\n");
    assert_eq!(cluster().run(&["get", "i:0599", "-b", "db4"]).done().out, "599\n");
    cluster().run(&["import", name, "-b", "nowhere"]).fails(5, "no such bucket");
    cluster().run(&["import", "/nowhere/keys.jsonl"]).fails(1, "/nowhere/keys.jsonl");
}
