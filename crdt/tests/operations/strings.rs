//! Strings: registers, counters and what is both.

use coterie_crdt::operation::{Expire, KeyOperation, Limits, Reply, SetCondition, StringOperation};

use crate::support::{
    Client, WRONG_TYPE, bytes, done, expire_at, get, hset, integer, nothing, sadd, set, text, value,
};

fn set_if(text: &str, condition: SetCondition) -> StringOperation {
    StringOperation::Set { value: bytes(text), condition, get: false, expire: Expire::Never }
}

fn set_keeping(text: &str, expire: Expire) -> StringOperation {
    StringOperation::Set { value: bytes(text), condition: SetCondition::Always, get: false, expire }
}

fn increment(by: i64) -> StringOperation {
    StringOperation::IncrementBy(by)
}

fn increment_float(by: &str) -> StringOperation {
    StringOperation::IncrementByFloat(bytes(by))
}

#[test]
fn get_of_a_missing_key_is_nothing() {
    assert_eq!(Client::new().run(get()), nothing());
}

#[test]
fn set_assigns_and_get_reads() {
    let mut client = Client::new();
    assert_eq!(client.run(set("a")), done());
    assert_eq!(client.run(set("b")), done());
    assert_eq!(client.run(get()), value("b"));
}

#[test]
fn set_nx_assigns_only_to_a_missing_key() {
    let mut client = Client::new();
    assert_eq!(client.run(set_if("a", SetCondition::IfAbsent)), done());
    assert_eq!(client.run(set_if("b", SetCondition::IfAbsent)), nothing());
    assert_eq!(client.run(get()), value("a"));
}

#[test]
fn set_nx_sees_a_key_of_another_type() {
    let mut client = Client::new();
    client.run(sadd(&["m"])).unwrap();
    assert_eq!(client.run(set_if("b", SetCondition::IfAbsent)), nothing());
    assert_eq!(text(client.run(get())), WRONG_TYPE);
}

#[test]
fn set_xx_assigns_only_to_a_key_that_is_there() {
    let mut client = Client::new();
    assert_eq!(client.run(set_if("a", SetCondition::IfPresent)), nothing());
    assert_eq!(client.run(get()), nothing());
    client.run(set("b")).unwrap();
    assert_eq!(client.run(set_if("c", SetCondition::IfPresent)), done());
    assert_eq!(client.run(get()), value("c"));
}

#[test]
fn set_get_answers_what_was_there_whether_or_not_it_assigns() {
    let mut client = Client::new();
    let nx = |text| StringOperation::Set {
        value: bytes(text),
        condition: SetCondition::IfAbsent,
        get: true,
        expire: Expire::Never,
    };
    assert_eq!(client.run(nx("a")), nothing());
    assert_eq!(client.run(nx("b")), value("a"));
    assert_eq!(client.run(get()), value("a"));
}

#[test]
fn set_get_of_another_type_is_refused() {
    let mut client = Client::new();
    client.run(sadd(&["m"])).unwrap();
    let operation = StringOperation::Set {
        value: bytes("a"),
        condition: SetCondition::Always,
        get: true,
        expire: Expire::Never,
    };
    assert_eq!(text(client.run(operation)), WRONG_TYPE);
}

#[test]
fn set_replaces_a_key_of_another_type() {
    let mut client = Client::new();
    client.run(sadd(&["m", "n"])).unwrap();
    assert_eq!(client.run(set("a")), done());
    assert_eq!(client.run(get()), value("a"));
    client.run(KeyOperation::Delete).unwrap();
    assert_eq!(client.run(sadd(&["m"])), integer(1));
}

#[test]
fn set_drops_the_expiry() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    client.run(expire_at(client.now + 50)).unwrap();
    client.run(set("b")).unwrap();
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(-1));
}

#[test]
fn set_keepttl_leaves_the_expiry() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    client.run(expire_at(client.now + 50)).unwrap();
    client.run(set_keeping("b", Expire::Keep)).unwrap();
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(50));
}

#[test]
fn set_keepttl_keeps_the_expiry_of_another_type() {
    let mut client = Client::new();
    client.run(hset(&[("f", "v")])).unwrap();
    client.run(expire_at(client.now + 50)).unwrap();
    client.run(set_keeping("b", Expire::Keep)).unwrap();
    assert_eq!(client.run(get()), value("b"));
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(50));
}

#[test]
fn set_px_expires_the_key() {
    let mut client = Client::new();
    client.run(set_keeping("a", Expire::At(client.now + 50))).unwrap();
    client.now += 49;
    assert_eq!(client.run(get()), value("a"));
    client.now += 1;
    assert_eq!(client.run(get()), nothing());
}

#[test]
fn get_of_another_type_is_refused() {
    let mut client = Client::new();
    client.run(hset(&[("f", "v")])).unwrap();
    for operation in [
        get(),
        StringOperation::Length,
        StringOperation::GetDelete,
        StringOperation::Append(bytes("x")),
        StringOperation::SetRange { offset: 0, value: bytes("x") },
        increment(1),
        increment_float("1"),
        StringOperation::GetSiblings,
    ] {
        assert_eq!(text(client.run(operation)), WRONG_TYPE);
    }
}

#[test]
fn strlen_counts_bytes() {
    let mut client = Client::new();
    assert_eq!(client.run(StringOperation::Length), integer(0));
    client.run(set("häuser")).unwrap();
    assert_eq!(client.run(StringOperation::Length), integer(7));
}

#[test]
fn getrange_takes_inclusive_and_negative_indexes() {
    let mut client = Client::new();
    client.run(set("This is a string")).unwrap();
    let cases = [
        (0, 3, "This"),
        (-3, -1, "ing"),
        (0, -1, "This is a string"),
        (10, 100, "string"),
        (5, 3, ""),
        (100, 200, ""),
        (-100, 3, "This"),
        (0, -100, "T"),
        (-100, -50, "T"),
        (-50, -100, ""),
        (-1, -3, ""),
        (i64::MIN, i64::MAX, "This is a string"),
    ];
    for (start, end, expected) in cases {
        let reply = client.run(StringOperation::GetRange { start, end });
        assert_eq!(reply, value(expected), "{start}..={end}");
    }
}

#[test]
fn getrange_of_a_missing_key_is_empty() {
    let operation = StringOperation::GetRange { start: 0, end: -1 };
    assert_eq!(Client::new().run(operation), value(""));
}

#[test]
fn append_creates_and_extends() {
    let mut client = Client::new();
    assert_eq!(client.run(StringOperation::Append(bytes("Hello"))), integer(5));
    assert_eq!(client.run(StringOperation::Append(bytes(" World"))), integer(11));
    assert_eq!(client.run(get()), value("Hello World"));
}

#[test]
fn append_to_a_sum_appends_to_its_text() {
    let mut client = Client::new();
    client.run(increment(12)).unwrap();
    assert_eq!(client.run(StringOperation::Append(bytes("3"))), integer(3));
    assert_eq!(client.run(increment(1)), integer(124));
}

#[test]
fn setrange_overwrites_and_extends() {
    let mut client = Client::new();
    client.run(set("Hello World")).unwrap();
    let operation = StringOperation::SetRange { offset: 6, value: bytes("Redis!") };
    assert_eq!(client.run(operation), integer(12));
    assert_eq!(client.run(get()), value("Hello Redis!"));
}

#[test]
fn setrange_fills_with_zeros() {
    let mut client = Client::new();
    let operation = StringOperation::SetRange { offset: 2, value: bytes("x") };
    assert_eq!(client.run(operation), integer(3));
    assert_eq!(client.run(get()), value("\0\0x"));
}

#[test]
fn setrange_of_nothing_does_not_create_the_key() {
    let mut client = Client::new();
    let operation = StringOperation::SetRange { offset: 5, value: bytes("") };
    assert_eq!(client.run(operation), integer(0));
    assert_eq!(client.run(KeyOperation::Exists), integer(0));
}

#[test]
fn setrange_before_the_start_is_refused() {
    let operation = StringOperation::SetRange { offset: -1, value: bytes("x") };
    assert_eq!(text(Client::new().run(operation)), "ERR offset is out of range");
}

#[test]
fn values_over_the_limit_are_refused() {
    let mut client = Client::new();
    client.limits = Limits { value_bytes_max: 4, ..Limits::default() };
    client.run(set("1234")).unwrap();
    let too_large = "ERR value of 5 bytes exceeds the limit of 4";
    assert_eq!(text(client.run(set("12345"))), too_large);
    let too_long = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    assert_eq!(text(client.run(StringOperation::Append(bytes("5")))), too_long);
    let operation = StringOperation::SetRange { offset: 4, value: bytes("x") };
    assert_eq!(text(client.run(operation)), too_long);
    let operation = StringOperation::SetRange { offset: i64::MAX, value: bytes("x") };
    assert_eq!(text(client.run(operation)), too_long);
    assert_eq!(client.run(get()), value("1234"));
}

#[test]
fn incr_counts_from_zero() {
    let mut client = Client::new();
    assert_eq!(client.run(increment(1)), integer(1));
    assert_eq!(client.run(increment(-5)), integer(-4));
    assert_eq!(client.run(get()), value("-4"));
}

#[test]
fn incr_adds_to_an_assigned_number() {
    let mut client = Client::new();
    client.run(set("10")).unwrap();
    assert_eq!(client.run(increment(5)), integer(15));
    client.run(set("100")).unwrap();
    assert_eq!(client.run(increment(1)), integer(101));
}

#[test]
fn incr_of_what_is_no_integer_is_refused() {
    let message = "ERR value is not an integer or out of range";
    for no_integer in ["abc", "", "1.5", "01", "+1", " 1", "1 ", "9223372036854775808", "-0", "-"] {
        let mut client = Client::new();
        client.run(set(no_integer)).unwrap();
        assert_eq!(text(client.run(increment(1))), message, "{no_integer:?}");
    }
}

#[test]
fn incr_past_64_bits_is_refused() {
    let mut client = Client::new();
    client.run(set("9223372036854775807")).unwrap();
    let message = "ERR increment or decrement would overflow";
    assert_eq!(text(client.run(increment(1))), message);
    assert_eq!(client.run(increment(-1)), integer(i64::MAX - 1));
    client.run(set("-9223372036854775808")).unwrap();
    assert_eq!(text(client.run(increment(-1))), message);
}

#[test]
fn incr_over_and_over_at_the_end_of_64_bits_stays_exact() {
    let mut client = Client::new();
    for _ in 0..40 {
        assert_eq!(client.run(increment(i64::MAX)), integer(i64::MAX));
        assert_eq!(client.run(increment(-i64::MAX)), integer(0));
    }
}

#[test]
fn incrbyfloat_answers_as_redis_prints() {
    let mut client = Client::new();
    client.run(set("10.50")).unwrap();
    assert_eq!(client.run(increment_float("0.1")), value("10.6"));
    assert_eq!(client.run(increment_float("-5")), value("5.6"));
    client.run(set("5.0e3")).unwrap();
    assert_eq!(client.run(increment_float("2.0e2")), value("5200"));
}

#[test]
fn incrbyfloat_then_incr_works_on_a_whole_sum_only() {
    let mut client = Client::new();
    client.run(increment_float("1.5")).unwrap();
    assert_eq!(text(client.run(increment(1))), "ERR value is not an integer or out of range");
    client.run(increment_float("0.5")).unwrap();
    assert_eq!(client.run(increment(1)), integer(3));
}

#[test]
fn incrbyfloat_of_what_is_no_number_is_refused() {
    let mut client = Client::new();
    for number in ["abc", "nan", "1 "] {
        client.run(set(number)).unwrap();
        assert_eq!(text(client.run(increment_float("1"))), "ERR value is not a valid float");
        client.run(set("1")).unwrap();
        assert_eq!(text(client.run(increment_float(number))), "ERR value is not a valid float");
    }
}

#[test]
fn incrbyfloat_to_infinity_is_refused() {
    let message = "ERR increment would produce NaN or Infinity";
    let mut client = Client::new();
    assert_eq!(text(client.run(increment_float("inf"))), message);
    client.run(set("inf")).unwrap();
    assert_eq!(text(client.run(increment_float("1"))), message);
    client.run(set("0")).unwrap();
    client.run(increment_float("1.7e21")).unwrap();
    assert_eq!(text(client.run(increment_float("1.7e21"))), message);
}

#[test]
fn getdel_answers_and_removes() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    assert_eq!(client.run(StringOperation::GetDelete), value("a"));
    assert_eq!(client.run(StringOperation::GetDelete), nothing());
    assert_eq!(client.run(KeyOperation::Exists), integer(0));
}

#[test]
fn getdel_takes_increments_along() {
    let mut client = Client::new();
    client.run(increment(5)).unwrap();
    assert_eq!(client.run(StringOperation::GetDelete), value("5"));
    assert_eq!(client.run(increment(1)), integer(1));
    assert_eq!(client.run(get()), value("1"));
}

#[test]
fn getdel_takes_the_expiry_along() {
    let mut client = Client::new();
    client.run(set_keeping("a", Expire::At(client.now + 50))).unwrap();
    client.run(StringOperation::GetDelete).unwrap();
    client.run(increment(1)).unwrap();
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(-1));
}

#[test]
fn getex_sets_drops_and_leaves_the_expiry() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    let at = client.now + 50;
    assert_eq!(client.run(StringOperation::GetExpire(Expire::At(at))), value("a"));
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(50));
    assert_eq!(client.run(StringOperation::GetExpire(Expire::Keep)), value("a"));
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(50));
    assert_eq!(client.run(StringOperation::GetExpire(Expire::Never)), value("a"));
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(-1));
}

#[test]
fn getex_of_a_missing_key_sets_no_expiry() {
    let mut client = Client::new();
    let at = client.now + 50;
    assert_eq!(client.run(StringOperation::GetExpire(Expire::At(at))), nothing());
    client.run(set_keeping("a", Expire::Keep)).unwrap();
    assert_eq!(client.run(KeyOperation::TimeToLive), integer(-1));
}

#[test]
fn getex_with_a_time_that_has_passed_ends_the_key() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    let past = client.now - 1;
    assert_eq!(client.run(StringOperation::GetExpire(Expire::At(past))), value("a"));
    assert_eq!(client.run(get()), nothing());
}

#[test]
fn siblings_of_one_replica_are_the_one_value() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    let Reply::Siblings(found, context) = client.run(StringOperation::GetSiblings).unwrap() else {
        panic!("siblings");
    };
    assert_eq!(found, [bytes("a")]);
    assert_eq!(context.vector().len() + context.cloud().len(), 1);
}

#[test]
fn a_sibling_write_keeps_what_its_context_lacks() {
    let mut client = Client::new();
    client.run(set("a")).unwrap();
    let put = |text: &str, replaces| StringOperation::PutSibling { value: bytes(text), replaces };
    client.run(put("b", Default::default())).unwrap();
    let Reply::Siblings(found, context) = client.run(StringOperation::GetSiblings).unwrap() else {
        panic!("siblings");
    };
    assert_eq!(found, [bytes("a"), bytes("b")]);
    client.run(put("c", context)).unwrap();
    let Reply::Siblings(found, _) = client.run(StringOperation::GetSiblings).unwrap() else {
        panic!("siblings");
    };
    assert_eq!(found, [bytes("c")]);
}

#[test]
fn siblings_past_the_limit_are_refused() {
    let mut client = Client::new();
    client.limits = Limits { siblings_max: 2, ..Limits::default() };
    let put = || StringOperation::PutSibling { value: bytes("x"), replaces: Default::default() };
    client.run(put()).unwrap();
    client.run(put()).unwrap();
    assert_eq!(
        text(client.run(put())),
        "ERR key has 2 siblings, the limit; write with their context to resolve them"
    );
}

#[test]
fn several_operations_make_one_delta_and_see_each_other() {
    let mut client = Client::new();
    let operations = [set("5"), increment(2), StringOperation::Append(bytes("0")), get()];
    let replies = client.run_all(operations.map(coterie_crdt::operation::Operation::String));
    assert_eq!(replies, [done(), integer(7), integer(2), value("70")]);
    assert_eq!(client.run(get()), value("70"));
}

#[test]
fn one_operation_that_fails_does_not_stop_the_others() {
    let mut client = Client::new();
    let operations = [set("a"), increment(2), StringOperation::Append(bytes("b"))];
    let replies = client.run_all(operations.map(coterie_crdt::operation::Operation::String));
    assert_eq!(text(replies[1].clone()), "ERR value is not an integer or out of range");
    assert_eq!(client.run(get()), value("ab"));
}

#[test]
fn increments_after_a_delete_in_one_delta_start_from_zero() {
    use crate::support::Command;
    let mut client = Client::new();
    client.run(increment(5)).unwrap();
    let replies = client.run_all([
        KeyOperation::Delete.operation(),
        increment(3).operation(),
        get().operation(),
    ]);
    assert_eq!(replies, [integer(1), integer(3), value("3")]);
    assert_eq!(client.run(get()), value("3"));
}
