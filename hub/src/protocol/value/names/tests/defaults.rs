//! What a client leaves out, and what it says is null.

use std::collections::{BTreeMap, HashMap};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::protocol::{Encoding, Names, Protocol};
use crate::{Binary, Timestamp};

crate::dotnet_enum! {
    /// A colour.
    pub(crate) enum Colour { Red = 0, Green = 1 }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Level {
    Low,
    High(u32),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    name: String,
    values: Vec<i64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct All {
    flag: bool,
    number: i32,
    unsigned: u64,
    real: f64,
    letter: char,
    text: String,
    list: Vec<u8>,
    map: BTreeMap<String, i32>,
    pair: (u8, String),
    maybe: Option<u8>,
    inner: Inner,
    boxed: Box<Inner>,
    level: Level,
    colour: Colour,
    bytes: Binary,
    time: Timestamp,
    #[serde(default = "ten")]
    ten: i32,
}

fn ten() -> i32 {
    10
}

fn nothing() -> All {
    let inner = || Inner {
        name: String::new(),
        values: Vec::new(),
    };
    All {
        flag: false,
        number: 0,
        unsigned: 0,
        real: 0.0,
        letter: '\0',
        text: String::new(),
        list: Vec::new(),
        map: BTreeMap::new(),
        pair: (0, String::new()),
        maybe: None,
        inner: inner(),
        boxed: Box::new(inner()),
        level: Level::Low,
        colour: Colour::Red,
        bytes: Binary::default(),
        time: "0001-01-01T00:00:00".parse().unwrap(),
        ten: 10,
    }
}

const DOTNET: [Encoding; 4] = [
    Encoding {
        protocol: Protocol::Json,
        names: Names::DotNet,
    },
    Encoding {
        protocol: Protocol::MessagePack,
        names: Names::DotNet,
    },
    Encoding {
        protocol: Protocol::Json,
        names: Names::DotNetPascalCase,
    },
    Encoding {
        protocol: Protocol::MessagePack,
        names: Names::DotNetPascalCase,
    },
];

/// JSON, as the protocol of an encoding has it.
fn decoded<T: DeserializeOwned>(encoding: Encoding, json: &str) -> Result<T, String> {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    let bytes = encoding.encode(&value).unwrap();
    let alone = encoding.decode(&bytes).map_err(|error| error.to_string());
    // As an argument it is read the same, and what stands behind it too.
    let arguments = encoding.encode_arguments(&(&value, 7)).unwrap();
    let mut elements = encoding.elements(arguments).unwrap();
    let taken = elements.take::<T>().unwrap();
    assert_eq!(taken.is_ok(), alone.is_ok(), "{json}");
    if taken.is_ok() {
        assert_eq!(elements.take::<i32>(), Some(Ok(7)), "{json}");
        assert_eq!(elements.take::<i32>(), None);
    }
    alone
}

#[test]
fn j_11_m_08_a_member_that_is_left_out_is_its_types_least_value() {
    for encoding in DOTNET {
        assert_eq!(
            decoded::<All>(encoding, "{}"),
            Ok(nothing()),
            "{encoding:?}"
        );
        let some = r#"{"NUMBER":3,"ten":4,"inner":{"values":[1]},"unknown":{"a":1}}"#;
        let mut expected = nothing();
        (expected.number, expected.ten, expected.inner.values) = (3, 4, vec![1]);
        assert_eq!(decoded(encoding, some), Ok(expected), "{encoding:?}");
    }
}

#[test]
fn as_declared_all_must_be_there() {
    for protocol in Protocol::ALL {
        let encoding = Encoding {
            protocol,
            names: Names::AsDeclared,
        };
        assert!(decoded::<Inner>(encoding, r#"{"name":"a"}"#).is_err());
        assert!(decoded::<Inner>(encoding, r#"{"name":null,"values":[]}"#).is_err());
        assert!(decoded::<Inner>(encoding, r#"{"NAME":"a","values":[]}"#).is_err());
        assert!(decoded::<Inner>(encoding, r#"{"name":"a","values":[]}"#).is_ok());
    }
}

/// As a real ASP.NET Core server has it: what cannot be null there is refused.
#[test]
fn j_11_m_08_null_where_a_type_can_be_null_there_and_not_here() {
    for encoding in DOTNET {
        let json = r#"{"text":null,"list":null,"map":null,"inner":null,"boxed":{"name":null},"maybe":null}"#;
        assert_eq!(
            decoded::<All>(encoding, json),
            Ok(nothing()),
            "{encoding:?}"
        );
        assert_eq!(decoded::<String>(encoding, "null"), Ok(String::new()));
        assert_eq!(
            decoded::<Vec<String>>(encoding, r#"["a",null]"#),
            Ok(vec!["a".into(), String::new()])
        );
        let map: HashMap<String, Vec<i32>> = decoded(encoding, r#"{"a":null}"#).unwrap();
        assert_eq!(map["a"], [0; 0]);
        for json in [
            r#"{"flag":null}"#,
            r#"{"number":null}"#,
            r#"{"real":null}"#,
            r#"{"level":null}"#,
            r#"{"colour":null}"#,
            r#"{"time":null}"#,
        ] {
            assert!(
                decoded::<All>(encoding, json).is_err(),
                "{encoding:?} {json}"
            );
        }
        assert!(decoded::<i32>(encoding, "null").is_err());
        assert!(decoded::<bool>(encoding, "null").is_err());
    }
}

#[test]
fn a_fault_stays_one_whatever_else_is_left_out() {
    for encoding in DOTNET {
        for json in [
            r#"{"number":"three"}"#,
            r#"{"inner":{"values":[1,"two"]}}"#,
            r#"{"inner":[]}"#,
            r#"{"level":"Highest"}"#,
            "[]",
            "7",
        ] {
            assert!(
                decoded::<All>(encoding, json).is_err(),
                "{encoding:?} {json}"
            );
        }
    }
}

#[derive(Debug, Deserialize)]
struct Identified {
    #[expect(dead_code, reason = "it is never read")]
    id: Uuid,
}

#[derive(Debug, Deserialize)]
enum Endless {
    #[expect(dead_code, reason = "it is never read")]
    Both(Box<Self>, Box<Self>),
}

#[derive(Debug, Deserialize)]
struct Holds {
    #[expect(dead_code, reason = "it is never read")]
    endless: Endless,
}

#[derive(Debug, Deserialize)]
struct Itself {
    #[expect(dead_code, reason = "it is never read")]
    next: Box<Self>,
}

/// A client that leaves something out must not have it looked for without end.
#[test]
fn what_has_no_least_value_is_missed() {
    for encoding in DOTNET {
        assert!(decoded::<Identified>(encoding, "{}").is_err());
        assert!(decoded::<Holds>(encoding, "{}").is_err());
        assert!(decoded::<Itself>(encoding, "{}").is_err());
        assert!(decoded::<Itself>(encoding, r#"{"next":{"next":null}}"#).is_err());
    }
}

#[test]
fn j_12_names_in_pascal_case_are_written_so_and_read_in_any() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Person {
        first_name: String,
    }
    for protocol in Protocol::ALL {
        let encoding = Encoding {
            protocol,
            names: Names::DotNetPascalCase,
        };
        let ann = Person {
            first_name: "Ann".into(),
        };
        let written = encoding.encode(&ann).unwrap();
        let member = b"FirstName";
        assert!(written.windows(member.len()).any(|part| part == member));
        for name in ["FirstName", "firstName", "FIRSTNAME", "first_name"] {
            let json = format!(r#"{{"{name}":"Ann"}}"#);
            assert_eq!(decoded::<Person>(encoding, &json).as_ref(), Ok(&ann));
        }
    }
}
