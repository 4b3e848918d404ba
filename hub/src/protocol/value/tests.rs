//! Values against the bytes of the real server, and against those that nobody should send.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use proptest::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::{Encoding, Names, Protocol, ValueError, skip};
use crate::{Binary, Timestamp};

const JSON: Encoding = Encoding {
    protocol: Protocol::Json,
    names: Names::AsDeclared,
};
const MESSAGEPACK: Encoding = Encoding {
    protocol: Protocol::MessagePack,
    names: Names::AsDeclared,
};

/// SpecHub's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
struct Person {
    name: Option<String>,
    age: i32,
    tags: Option<Vec<Option<String>>>,
    friend: Option<Box<Self>>,
}

fn dot_net(encoding: Encoding) -> Encoding {
    Encoding {
        names: Names::DotNet,
        ..encoding
    }
}

fn older(encoding: Encoding, argument: &[u8]) -> Bytes {
    let encoding = dot_net(encoding);
    let mut person: Person = encoding.decode(argument).unwrap();
    person.age += 1;
    encoding.encode(&person).unwrap()
}

#[test]
fn j_11_older_answers_as_the_real_server() {
    for (argument, result) in [
        (
            r#"{"name":"Ann","age":41,"tags":["a","b"],"friend":null}"#,
            r#"{"name":"Ann","age":42,"tags":["a","b"],"friend":null}"#,
        ),
        (
            r#"{"Name":"Ann","AGE":41,"tAgS":[],"FRIEND":{"name":"Bob","age":1,"tags":[]}}"#,
            r#"{"name":"Ann","age":42,"tags":[],"friend":{"name":"Bob","age":1,"tags":[],"friend":null}}"#,
        ),
        (
            r#"{"name":"Ann","age":41,"tags":null,"more":{"deep":[1,2,{"x":null}]},"friend":null}"#,
            r#"{"name":"Ann","age":42,"tags":null,"friend":null}"#,
        ),
        ("{}", r#"{"name":null,"age":1,"tags":null,"friend":null}"#),
    ] {
        assert_eq!(older(JSON, argument.as_bytes()), result, "{argument}");
    }
}

#[test]
fn m_08_older_answers_as_the_real_server() {
    let cases: [(&[u8], &[u8]); 4] = [
        (
            b"\x84\xa4Name\xa3Ann\xa3Age\x29\xa4Tags\x92\xa1a\xa1b\xa6Friend\xc0",
            b"\x84\xa4Name\xa3Ann\xa3Age\x2a\xa4Tags\x92\xa1a\xa1b\xa6Friend\xc0",
        ),
        (
            b"\x83\xa4Tags\x91\xa1x\xa3Age\x01\xa4Name\xa3Ann",
            b"\x84\xa4Name\xa3Ann\xa3Age\x02\xa4Tags\x91\xa1x\xa6Friend\xc0",
        ),
        (
            b"\x85\xa4Name\xa3Ann\xa3Age\x01\xa4Tags\xc0\xa4More\x81\xa1x\x93\x01\x02\x81\xa1y\xc0\xa6Friend\xc0",
            b"\x84\xa4Name\xa3Ann\xa3Age\x02\xa4Tags\xc0\xa6Friend\xc0",
        ),
        (b"\x80", b"\x84\xa4Name\xc0\xa3Age\x01\xa4Tags\xc0\xa6Friend\xc0"),
    ];
    for (argument, result) in cases {
        assert_eq!(older(MESSAGEPACK, argument), result, "{argument:x?}");
    }
}

#[test]
fn in_01_eight_arguments_bind_each_to_its_type() {
    let json = r#"["a",2,9223372036854775807,1e300,false,null,[1,2],{"Name":"Ann","age":1}]"#;
    let messagepack = b"\x98\xa1a\x02\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\xca\x40\x90\0\0\xc3\xc0\x92\x01\x02\x82\xa4Name\xa3Ann\xa3Age\x01";
    let both: [(Encoding, &[u8], f64, bool); 2] = [
        (JSON, json.as_bytes(), 1e300, false),
        (MESSAGEPACK, messagepack, 4.5, true),
    ];
    for (encoding, arguments, double, truth) in both {
        let arguments = Bytes::copy_from_slice(arguments);
        let mut elements = dot_net(encoding).elements(arguments).unwrap();
        assert_eq!(elements.remaining(), 8);
        assert_eq!(elements.take(), Some(Ok("a".to_owned())));
        assert_eq!(elements.take(), Some(Ok(2)));
        assert_eq!(elements.take(), Some(Ok(i64::MAX)));
        assert_eq!(elements.take(), Some(Ok(double)));
        assert_eq!(elements.remaining(), 4);
        assert_eq!(elements.take(), Some(Ok(truth)));
        assert_eq!(elements.take(), Some(Ok(None::<String>)));
        assert_eq!(elements.take(), Some(Ok(vec![1, 2])));
        let person = elements.take::<Person>().unwrap().unwrap();
        assert_eq!(person.name.as_deref(), Some("Ann"));
        assert_eq!(elements.take::<IgnoredAny>().map(|_| ()), None);
        assert_eq!(elements.remaining(), 0);
    }
}

#[test]
fn j_11_m_08_scalars_have_one_form() {
    #[derive(Serialize)]
    enum Colour {
        Red,
    }
    #[derive(Serialize)]
    struct All(Colour, Vec<u8>, i128, u128, (), Option<u8>, f32, char, bool);
    let all = All(Colour::Red, vec![1, 200], -1, 256, (), None, 0.5, 'é', true);
    assert_eq!(
        JSON.encode(&all).unwrap(),
        r#"["Red",[1,200],-1,256,null,null,0.5,"é",true]"#
    );
    let expected =
        b"\x99\xa3Red\x92\x01\xcc\xc8\xff\xcd\x01\0\xc0\xc0\xca\x3f\0\0\0\xa2\xc3\xa9\xc3";
    assert_eq!(MESSAGEPACK.encode(&all).unwrap(), &expected[..]);

    let map: BTreeMap<i32, &str> = [(-1, "a"), (2, "b")].into();
    assert_eq!(JSON.encode(&map).unwrap(), r#"{"-1":"a","2":"b"}"#);
    let count: BTreeMap<&str, i32> = [("a", 2), ("B", 1)].into();
    assert_eq!(JSON.encode(&count).unwrap(), r#"{"B":1,"a":2}"#);
    assert_eq!(
        MESSAGEPACK.encode(&count).unwrap(),
        &b"\x82\xa1B\x01\xa1a\x02"[..]
    );
}

#[test]
fn cl_08_json_has_no_nan() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(JSON.encode(&vec![Some(number)]).is_err());
        assert!(JSON.encode(&(number as f32)).is_err());
        assert!(MESSAGEPACK.encode(&number).is_ok());
    }
    assert!(MESSAGEPACK.encode(&u128::MAX).is_err());
    assert!(MESSAGEPACK.encode(&i128::MIN).is_err());
    assert_eq!(JSON.encode(&-0.0).unwrap(), "-0.0");
}

#[test]
fn j_11_m_08_numbers_are_read_in_any_width_but_no_other_kind() {
    for text in [
        "1.0",
        "1e3",
        "\"1\"",
        "null",
        "2147483648",
        "01",
        "1 2",
        "",
        "true",
    ] {
        assert!(JSON.decode::<i32>(text.as_bytes()).is_err(), "{text}");
    }
    let wide: [&[u8]; 9] = [
        b"\x05",
        b"\xcc\x05",
        b"\xcd\0\x05",
        b"\xce\0\0\0\x05",
        b"\xcf\0\0\0\0\0\0\0\x05",
        b"\xd0\x05",
        b"\xd1\0\x05",
        b"\xd2\0\0\0\x05",
        b"\xd3\0\0\0\0\0\0\0\x05",
    ];
    for five in wide {
        assert_eq!(MESSAGEPACK.decode(five), Ok(5_u8), "{five:x?}");
        assert_eq!(MESSAGEPACK.decode(five), Ok(5_i64), "{five:x?}");
        assert_eq!(MESSAGEPACK.decode(five), Ok(5_i128), "{five:x?}");
        assert_eq!(MESSAGEPACK.decode(five), Ok(5.0_f64), "{five:x?}");
    }
    assert_eq!(MESSAGEPACK.decode(b"\xca\x3f\0\0\0"), Ok(0.5_f64));
    for other in [
        &b"\xca\x3f\x80\0\0"[..],
        b"\xa11",
        b"\xc0",
        b"\xc3",
        b"\xcd\x01\0",
        b"\xff",
    ] {
        assert!(MESSAGEPACK.decode::<u8>(other).is_err(), "{other:x?}");
    }
}

#[test]
fn arguments_are_always_an_array() {
    let people = vec!["Ann", "Bob"];
    for (encoded, json) in [
        (JSON.encode_arguments(&()), "[]"),
        (JSON.encode_arguments(&((),)), "[null]"),
        (JSON.encode_arguments(&("user", 42)), r#"["user",42]"#),
        (
            JSON.encode_arguments(&(1, 2, 3, 4, 5, 6, 7, "8")),
            r#"[1,2,3,4,5,6,7,"8"]"#,
        ),
        (JSON.encode_arguments(&[1, 2]), "[1,2]"),
        (JSON.encode_arguments(&[0; 40][..3]), "[0,0,0]"),
        (JSON.encode_arguments(&people), r#"["Ann","Bob"]"#),
        (JSON.encode_arguments(&(people,)), r#"[["Ann","Bob"]]"#),
        (JSON.encode_arguments(&&&("user",)), r#"["user"]"#),
    ] {
        assert_eq!(encoded.unwrap(), json);
    }
    assert_eq!(MESSAGEPACK.encode_arguments(&()).unwrap(), &[0x90][..]);
    let empty: [&str; 0] = [];
    assert_eq!(MESSAGEPACK.encode_arguments(&empty).unwrap(), &[0x90][..]);
    assert_eq!(
        MESSAGEPACK.encode_arguments(&("x",)).unwrap(),
        &[0x91, 0xA1, b'x'][..]
    );
}

#[test]
fn m_07_what_is_no_array_is_said_so() {
    let text = "Reading array length for 'arguments' failed.";
    let bad: [&[u8]; 8] = [
        b"",
        b"\x80",
        b"\xc0",
        b"\x01",
        b"\xa1x",
        b"\xdc\x00",
        b"\xdd\xff\xff\xff\xff\x01",
        b"\x92\x01",
    ];
    for arguments in bad {
        let error = MESSAGEPACK
            .elements(Bytes::from_static(arguments))
            .unwrap_err();
        assert_eq!(error, ValueError(text.into()), "{arguments:x?}");
    }
    for arguments in ["", "{}", "null", " "] {
        assert!(
            JSON.elements(Bytes::from_static(arguments.as_bytes()))
                .is_err()
        );
    }
}

#[test]
fn in_05_the_count_is_that_of_the_header_although_less_follows() {
    let mut elements = MESSAGEPACK
        .elements(Bytes::from_static(b"\x92\xa1x"))
        .unwrap();
    assert_eq!(elements.remaining(), 2);
    assert_eq!(elements.take(), Some(Ok("x".to_owned())));
    assert!(matches!(elements.take::<String>(), Some(Err(_))));
    assert_eq!(elements.take::<String>(), None);
    assert_eq!(elements.remaining(), 0);
}

#[test]
fn nothing_is_taken_behind_an_error() {
    for (encoding, bytes) in [
        (JSON, &b"[\"x\", 1, 2]"[..]),
        (MESSAGEPACK, b"\x93\xa1x\x01\x02"),
    ] {
        let mut elements = encoding.elements(Bytes::from_static(bytes)).unwrap();
        assert!(matches!(elements.take::<i32>(), Some(Err(_))));
        assert_eq!(elements.take::<i32>(), None);
        assert_eq!(elements.remaining(), 0);
    }
}

#[test]
fn json_elements_stand_between_any_white_space() {
    let text = " \r\n[ 1 ,\t\"a,]\" , [ ] ,{ } ,null ] ";
    let mut elements = JSON.elements(Bytes::from_static(text.as_bytes())).unwrap();
    assert_eq!(elements.remaining(), 5);
    assert_eq!(elements.take(), Some(Ok(1)));
    assert_eq!(elements.take(), Some(Ok("a,]".to_owned())));
    assert_eq!(elements.take(), Some(Ok(Vec::<u8>::new())));
    assert_eq!(elements.remaining(), 2);
    assert_eq!(elements.take(), Some(Ok(HashMap::<String, u8>::new())));
    assert_eq!(elements.take(), Some(Ok(())));
    assert_eq!(elements.take::<()>(), None);
}

#[test]
fn bytes_behind_a_value_are_an_error() {
    assert!(JSON.decode::<u8>(b"1 1").is_err());
    assert!(JSON.decode::<u8>(b" 1 ").is_ok());
    assert!(MESSAGEPACK.decode::<u8>(b"\x01\x01").is_err());
}

/// Rows 105 and 106 of the hostile input: no stack overflow on 256 KiB.
#[test]
fn nesting_ends_at_64_levels_on_a_small_stack() {
    #[derive(Debug, Deserialize)]
    struct Nest(#[expect(dead_code, reason = "only built")] Vec<Self>);

    let nested = |levels: usize, open: u8, close: &[u8]| {
        let mut value = vec![open; levels - 1];
        value.extend(close);
        value
    };
    let check = move || {
        let at_limit = nested(64, 0x91, &[0x90]);
        assert!(MESSAGEPACK.decode::<Nest>(&at_limit).is_ok());
        assert!(MESSAGEPACK.decode::<serde_json::Value>(&at_limit).is_ok());
        for levels in [65, 1000, 32_000] {
            let too_deep = nested(levels, 0x91, &[0x90]);
            assert!(MESSAGEPACK.decode::<Nest>(&too_deep).is_err());
            assert!(MESSAGEPACK.decode::<IgnoredAny>(&too_deep).is_err());
            let arguments = [&[0x91], &too_deep[..]].concat();
            let mut elements = MESSAGEPACK.elements(arguments.into()).unwrap();
            assert!(matches!(elements.take::<Nest>(), Some(Err(_))));
        }
        for levels in [200, 32_000] {
            let mut text = vec![b'['; levels];
            text.resize(2 * levels, b']');
            assert!(JSON.decode::<Nest>(&text).is_err());
            assert!(dot_net(JSON).decode::<Nest>(&text).is_err());
        }
        // Read again as .NET would, for what may be left out: no deeper, on larger frames.
        let text = format!("{}7{}", "[".repeat(63), "]".repeat(63));
        assert!(dot_net(JSON).decode::<Nest>(text.as_bytes()).is_err());
        let seven = nested(64, 0x91, &[7]);
        assert!(dot_net(MESSAGEPACK).decode::<Nest>(&seven).is_err());
    };
    // Frames that nobody optimised are larger.
    let kibibytes = if cfg!(debug_assertions) { 1024 } else { 256 };
    let small = std::thread::Builder::new().stack_size(kibibytes * 1024);
    small.spawn(check).unwrap().join().unwrap();
}

#[test]
fn declared_counts_are_never_believed() {
    fn refused<T: DeserializeOwned>(value: &[u8]) -> bool {
        MESSAGEPACK.decode::<T>(value).is_err()
    }
    let counts: [&[u8]; 6] = [
        b"\xdd\xff\xff\xff\xff\xc0",
        b"\xdf\xff\xff\xff\xff\xc0",
        b"\xdb\xff\xff\xff\xff\xc0",
        b"\xc6\xff\xff\xff\xff\xc0",
        b"\xc9\xff\xff\xff\xff\xff",
        b"\x91\xdd\x10\0\0\0\xc0",
    ];
    for value in counts {
        assert_eq!(skip::value(value), None, "{value:x?}");
        assert!(refused::<Vec<[u64; 32]>>(value));
        assert!(refused::<HashMap<String, String>>(value));
        assert!(refused::<String>(value));
        assert!(refused::<Binary>(value));
        assert!(refused::<Timestamp>(value));
    }
}

#[test]
fn a_value_that_encodes_another_while_it_is_encoded_leaves_no_trace() {
    struct Inner;
    impl Serialize for Inner {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert_eq!(MESSAGEPACK.encode("inner").unwrap(), &b"\xa5inner"[..]);
            serializer.serialize_u8(1)
        }
    }
    assert_eq!(JSON.encode(&("a", Inner, "b")).unwrap(), r#"["a",1,"b"]"#);
    assert!(JSON.encode(&("a", f64::NAN)).is_err());
    let long = "x".repeat(10_000);
    assert_eq!(JSON.encode(&long).unwrap().len(), 10_002);
    assert_eq!(JSON.encode(&1).unwrap(), "1");
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Any {
    NoneOfThem,
    AnInteger(i64),
    AnUnsigned(u64),
    SomeText(String),
    SomeBytes(Binary),
    SomeList(Vec<Self>),
    SomeMap(BTreeMap<String, Self>),
    APair(Option<bool>, f64),
    AStruct {
        first_one: Box<Self>,
        second_one: Vec<u8>,
    },
}

fn any_value() -> impl Strategy<Value = Any> {
    let leaf = prop_oneof![
        Just(Any::NoneOfThem),
        any::<i64>().prop_map(Any::AnInteger),
        any::<u64>().prop_map(Any::AnUnsigned),
        any::<String>().prop_map(Any::SomeText),
        any::<Vec<u8>>().prop_map(|bytes| Any::SomeBytes(bytes.into())),
        // Halves, which every writer of numbers reads back exactly.
        (any::<Option<bool>>(), any::<i32>()).prop_map(|(b, n)| Any::APair(b, f64::from(n) / 2.0)),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Any::SomeList),
            prop::collection::btree_map(any::<String>(), inner.clone(), 0..6)
                .prop_map(Any::SomeMap),
            (inner, any::<Vec<u8>>()).prop_map(|(first, second_one)| Any::AStruct {
                first_one: Box::new(first),
                second_one,
            }),
        ]
    })
}

proptest! {
    #[test]
    fn every_encoding_reads_what_it_wrote(values in prop::collection::vec(any_value(), 0..5)) {
        for encoding in [JSON, MESSAGEPACK, dot_net(JSON), dot_net(MESSAGEPACK)] {
            let encoded = encoding.encode_arguments(&values).unwrap();
            prop_assert_eq!(encoding.decode::<Vec<Any>>(&encoded), Ok(values.clone()));
            let mut elements = encoding.elements(encoded.clone()).unwrap();
            for (taken, value) in values.iter().enumerate() {
                prop_assert_eq!(elements.remaining(), values.len() - taken);
                prop_assert_eq!(elements.take::<Any>(), Some(Ok(value.clone())));
            }
            prop_assert_eq!(elements.take::<Any>(), None);
            // No beginning of a value is a value.
            for len in 0..encoded.len() {
                prop_assert!(encoding.decode::<Vec<Any>>(&encoded[..len]).is_err());
            }
        }
    }

    #[test]
    fn texts_in_json_are_as_serde_json_has_them(
        texts in prop::collection::vec(
            prop_oneof![any::<String>(), "[ -~]{0,40}", "[a-z\"\\\\\n\u{7f}]{0,40}"],
            0..4,
        ),
    ) {
        let expected = serde_json::to_string(&texts).unwrap();
        let encoded = JSON.encode_arguments(&texts).unwrap();
        prop_assert_eq!(&encoded, &expected);
        let mut elements = JSON.elements(encoded).unwrap();
        for text in texts {
            let alone = JSON.encode(&text).unwrap();
            prop_assert_eq!(&alone, &serde_json::to_string(&text).unwrap());
            prop_assert_eq!(elements.take::<String>(), Some(Ok(text)));
        }
        prop_assert_eq!(elements.remaining(), 0);
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
        for encoding in [JSON, MESSAGEPACK, dot_net(JSON), dot_net(MESSAGEPACK)] {
            let _ = encoding.decode::<Any>(&bytes);
            let _ = encoding.decode::<Person>(&bytes);
            let _ = encoding.decode::<(Timestamp, Binary)>(&bytes);
            let _ = encoding.decode::<serde_json::Value>(&bytes);
            if let Ok(mut elements) = encoding.elements(bytes.clone().into()) {
                let _ = elements.remaining();
                while elements.take::<IgnoredAny>().is_some() {}
            }
        }
    }
}

/// M-08: bytes are no text and no list, wherever they stand; text that is not UTF-8 is repaired,
/// also beside bytes.
#[test]
fn m_08_bytes_are_neither_text_nor_a_list() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Mixed {
        text: Option<String>,
        list: Option<Vec<u8>>,
        bytes: Binary,
    }
    let mixed = |text: &[u8], list: &[u8]| {
        let mut value = vec![0x83];
        for (name, member) in [("text", text), ("list", list), ("bytes", b"\xc4\x01\x07")] {
            value.push(0xA0 | name.len() as u8);
            value.extend_from_slice(name.as_bytes());
            value.extend_from_slice(member);
        }
        MESSAGEPACK.decode::<Mixed>(&value)
    };
    for bin in [
        &b"\xc4\x00"[..],
        b"\xc4\x02\xff\xfe",
        b"\xc4\x02ab",
        b"\xc5\x00\x01a",
        b"\xc6\0\0\0\x01a",
    ] {
        assert!(MESSAGEPACK.decode::<String>(bin).is_err(), "{bin:x?}");
        assert!(
            MESSAGEPACK.decode::<Option<String>>(bin).is_err(),
            "{bin:x?}"
        );
        assert!(MESSAGEPACK.decode::<Vec<u8>>(bin).is_err(), "{bin:x?}");
        assert!(
            MESSAGEPACK.decode::<Option<Vec<String>>>(bin).is_err(),
            "{bin:x?}"
        );
        assert!(MESSAGEPACK.decode::<(u8,)>(bin).is_err(), "{bin:x?}");
        assert!(MESSAGEPACK.decode::<Binary>(bin).is_ok(), "{bin:x?}");
        assert!(
            MESSAGEPACK.decode::<Option<Binary>>(bin).is_ok(),
            "{bin:x?}"
        );
        let list = [&b"\x91"[..], bin].concat();
        assert!(
            MESSAGEPACK.decode::<Vec<String>>(&list).is_err(),
            "{bin:x?}"
        );
        assert!(
            MESSAGEPACK.decode::<Vec<Vec<u8>>>(&list).is_err(),
            "{bin:x?}"
        );
        assert!(MESSAGEPACK.decode::<Vec<Binary>>(&list).is_ok(), "{bin:x?}");
        assert!(mixed(bin, b"\x90").is_err(), "{bin:x?}");
        assert!(mixed(b"\xa0", bin).is_err(), "{bin:x?}");
    }
    let read = mixed(b"\xa2\xff\xfe", b"\x92\x01\x02").unwrap();
    assert_eq!(read.text.as_deref(), Some("\u{fffd}\u{fffd}"));
    assert_eq!(read.list, Some(vec![1, 2]));
    assert_eq!(*read.bytes, [7]);
    let read = mixed(b"\xc0", b"\xc0").unwrap();
    assert_eq!((read.text, read.list), (None, None));
}

/// J-11: whole numbers have no `.0`, of whatever width.
#[test]
fn j_11_whole_numbers_of_32_bits_have_no_fraction() {
    for (number, text) in [
        (5.0_f32, "5"),
        (-3.0, "-3"),
        (0.5, "0.5"),
        (16_777_216.0, "16777216"),
        (1e10, "10000000000"),
        (0.1, "0.1"),
    ] {
        assert_eq!(JSON.encode(&number).unwrap(), text);
    }
}
