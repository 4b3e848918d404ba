//! An enum that is a number in JSON and its name in MessagePack, as .NET has it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Debug, Clone, Copy)]
pub struct Colour(i32);

const NAMES: [&str; 3] = ["Red", "Green", "Blue"];

impl Colour {
    pub fn next(self) -> Self {
        Self((self.0.wrapping_add(1)) % 3)
    }
}
