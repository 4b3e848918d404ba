//! How members are named and found, and what MessagePack takes for text.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[cfg(feature = "messagepack")]
mod defaults;

use super::Case;
use crate::protocol::{Encoding, Names, Protocol};
use crate::{Binary, Timestamp};

const JSON: Encoding = Encoding {
    protocol: Protocol::Json,
    names: Names::DotNet,
};
const MESSAGEPACK: Encoding = Encoding {
    protocol: Protocol::MessagePack,
    names: Names::DotNet,
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
struct Person {
    first_name: String,
    #[serde(default)]
    close_friend: Option<Box<Self>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Single(Person),
    Double(Person, u8),
    Wide { line_width: u8, of_whom: Person },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nested {
    in_list: Vec<Person>,
    in_map: BTreeMap<String, Person>,
    in_tuple: (u8, Person),
    in_enums: Vec<Shape>,
    in_newtype: Wrapper,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wrapper(Person);

fn ann() -> Person {
    Person {
        first_name: "Ann".into(),
        close_friend: None,
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn fields_are_renamed_as_dot_net_would() {
    for (declared, camel, pascal) in [
        ("name", "name", "Name"),
        ("friend_name", "friendName", "FriendName"),
        ("friendName", "friendName", "FriendName"),
        ("FriendName", "friendName", "FriendName"),
        ("line_2", "line2", "Line2"),
        ("r#type", "r#type", "R#type"),
        ("_id", "id", "Id"),
        ("a__b", "aB", "AB"),
        ("end_", "end", "End"),
        ("größe_x", "größeX", "GrößeX"),
        ("_", "", ""),
        (
            "a_name_of_more_than_sixty_four_bytes_that_does_not_fit_into_the_buffer",
            "aNameOfMoreThanSixtyFourBytesThatDoesNotFitIntoTheBuffer",
            "ANameOfMoreThanSixtyFourBytesThatDoesNotFitIntoTheBuffer",
        ),
    ] {
        for (case, expected) in [(Case::Camel, camel), (Case::Pascal, pascal)] {
            case.with_renamed(declared, |renamed| assert_eq!(renamed, expected));
            assert_eq!(case.interned(declared), expected);
        }
    }
}

#[test]
fn j_11_members_are_camel_case_at_any_depth_and_map_keys_and_variants_stay() {
    let value = Nested {
        in_list: vec![ann()],
        in_map: [("a_key".to_owned(), ann())].into(),
        in_tuple: (1, ann()),
        in_enums: vec![
            Shape::Nothing,
            Shape::Single(ann()),
            Shape::Double(ann(), 2),
            Shape::Wide {
                line_width: 3,
                of_whom: ann(),
            },
        ],
        in_newtype: Wrapper(ann()),
    };
    let person = r#"{"firstName":"Ann","closeFriend":null}"#;
    let expected = r#"{"inList":[%],"inMap":{"a_key":%},"inTuple":[1,%],"inEnums":["Nothing",{"Single":%},{"Double":[%,2]},{"Wide":{"lineWidth":3,"ofWhom":%}}],"inNewtype":%}"#;
    let encoded = JSON.encode(&value).unwrap();
    assert_eq!(text(&encoded), expected.replace('%', person));
    assert_eq!(JSON.decode::<Nested>(&encoded).as_ref(), Ok(&value));

    let encoded = MESSAGEPACK.encode(&value).unwrap();
    assert_eq!(MESSAGEPACK.decode::<Nested>(&encoded).as_ref(), Ok(&value));
    for name in [
        "InList",
        "FirstName",
        "LineWidth",
        "OfWhom",
        "Wide",
        "a_key",
    ] {
        let found = encoded
            .windows(name.len())
            .any(|window| window == name.as_bytes());
        assert!(found, "{name}");
    }
}

#[test]
fn m_08_members_are_pascal_case() {
    let encoded = MESSAGEPACK.encode(&ann()).unwrap();
    assert_eq!(encoded, &b"\x82\xa9FirstName\xa3Ann\xabCloseFriend\xc0"[..]);
}

#[test]
fn members_are_found_in_any_case_and_unknown_ones_skipped() {
    for name in [
        "first_name",
        "firstName",
        "FirstName",
        "FIRSTNAME",
        "FIRST_NAME",
        "firstname",
    ] {
        let json = format!(r#"{{"more":{{"x":[1]}},"{name}":"Ann","first-name":1}}"#);
        assert_eq!(JSON.decode(json.as_bytes()), Ok(ann()), "{name}");
        let mut messagepack = vec![0x82, 0xA4];
        messagepack.extend(b"more\x91\xc0");
        messagepack.push(0xA0 | name.len() as u8);
        messagepack.extend(name.bytes());
        messagepack.extend(b"\xa3Ann");
        assert_eq!(MESSAGEPACK.decode(&messagepack), Ok(ann()), "{name}");
    }
    let of_another_name = JSON.decode::<Person>(br#"{"name":"Ann"}"#);
    assert_eq!(of_another_name, Ok(Person::default()));
    let escaped = br#"{"\u0046irstName":"Ann"}"#;
    assert_eq!(JSON.decode(escaped), Ok(ann()));
}

#[test]
fn an_exact_name_wins_over_one_that_is_only_alike() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Alike {
        ab: u8,
        a_b: u8,
    }
    let read = JSON.decode(br#"{"a_b":1,"ab":2}"#);
    assert_eq!(read, Ok(Alike { ab: 2, a_b: 1 }));
}

#[test]
fn a_struct_is_read_from_an_object_only() {
    for array in [&br#"["Ann",null]"#[..], b"[]", b"\"Ann\"", b"1"] {
        assert!(JSON.decode::<Person>(array).is_err());
    }
    for other in [
        &b"\x92\xa3Ann\xc0"[..],
        b"\xa1x",
        b"\x07",
        b"\x81\x00\xa3Ann",
    ] {
        assert!(MESSAGEPACK.decode::<Person>(other).is_err(), "{other:x?}");
    }
}

#[test]
fn as_declared_names_are_as_serde_says() {
    let json = Encoding {
        names: Names::AsDeclared,
        ..JSON
    };
    assert_eq!(
        text(&json.encode(&ann()).unwrap()),
        r#"{"first_name":"Ann","close_friend":null}"#
    );
    assert!(json.decode::<Person>(br#"{"firstName":"Ann"}"#).is_err());
    let messagepack = Encoding {
        names: Names::AsDeclared,
        ..MESSAGEPACK
    };
    let encoded = messagepack.encode(&ann()).unwrap();
    assert_eq!(
        encoded,
        &b"\x82\xaafirst_name\xa3Ann\xacclose_friend\xc0"[..]
    );
    assert_eq!(messagepack.decode(&encoded), Ok(ann()));
    assert!(messagepack.decode::<Person>(b"\x81\x00\xa3Ann").is_err());
}

#[test]
fn flattened_members_stay_as_declared() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        own_name: u8,
        #[serde(flatten)]
        rest_of: Person,
    }
    let value = Flat {
        own_name: 1,
        rest_of: ann(),
    };
    let encoded = JSON.encode(&value).unwrap();
    assert_eq!(
        text(&encoded),
        r#"{"own_name":1,"first_name":"Ann","close_friend":null}"#
    );
    for encoding in [JSON, MESSAGEPACK] {
        let encoded = encoding.encode(&value).unwrap();
        assert_eq!(encoding.decode::<Flat>(&encoded).as_ref(), Ok(&value));
    }
}

#[test]
fn raw_json_passes_as_it_is() {
    #[derive(Serialize, Deserialize)]
    struct Raw {
        raw_text: Box<serde_json::value::RawValue>,
    }
    let json = r#"{"rawText":{"as_it": 1}}"#;
    let raw: Raw = JSON.decode(json.as_bytes()).unwrap();
    assert_eq!(text(&JSON.encode(&raw).unwrap()), json);
}

#[test]
fn m_08_text_is_read_from_strings_only() {
    fn read<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
        MESSAGEPACK.decode(value).ok()
    }
    assert_eq!(read::<String>(b"\xa2hi").as_deref(), Some("hi"));
    assert_eq!(read::<String>(b"\xd9\x02hi").as_deref(), Some("hi"));
    assert_eq!(read::<String>(b"\xda\0\x02hi").as_deref(), Some("hi"));
    assert_eq!(read::<String>(b"\xdb\0\0\0\x02hi").as_deref(), Some("hi"));
    assert_eq!(read::<String>(b"\xa2h\xff").as_deref(), Some("h\u{FFFD}"));
    for other in [
        &b"\xc4\x02hi"[..],
        b"\xc4\x00",
        b"\x01",
        b"\xc3",
        b"\x91\xa1h",
    ] {
        assert_eq!(read::<String>(other), None, "{other:x?}");
    }
    assert_eq!(read::<Shape>(b"\xa7Nothing"), Some(Shape::Nothing));
    for other in [
        &b"\x00"[..],
        b"\xa7nothing",
        b"\xa0",
        b"\xc0",
        b"\xc4\x07Nothing",
    ] {
        assert_eq!(read::<Shape>(other), None, "{other:x?}");
    }
}

#[test]
fn text_forms_are_for_both_protocols_native_ones_for_wire_types() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct All(
        IpAddr,
        Binary,
        Timestamp,
        Option<Binary>,
        BTreeMap<IpAddr, Timestamp>,
    );

    let address: IpAddr = "10.0.0.1".parse().unwrap();
    let epoch = Timestamp::UNIX_EPOCH;
    let some = Binary::from(vec![1]);
    let all = All(
        address,
        some.clone(),
        epoch,
        Some(some),
        [(address, epoch)].into(),
    );
    let json = JSON.encode(&all).unwrap();
    assert_eq!(
        text(&json),
        r#"["10.0.0.1","AQ==","1970-01-01T00:00:00Z","AQ==",{"10.0.0.1":"1970-01-01T00:00:00Z"}]"#
    );
    assert_eq!(JSON.decode::<All>(&json).as_ref(), Ok(&all));
    let messagepack = MESSAGEPACK.encode(&all).unwrap();
    let expected =
        b"\x95\xa810.0.0.1\xc4\x01\x01\xd6\xff\0\0\0\0\xc4\x01\x01\x81\xa810.0.0.1\xd6\xff\0\0\0\0";
    assert_eq!(messagepack, &expected[..]);
    assert_eq!(MESSAGEPACK.decode::<All>(&messagepack).as_ref(), Ok(&all));
}
