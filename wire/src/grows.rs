//! Structs as arrays that only ever grow at their end.

/// Makes structs cross the wire as arrays of their fields, in the order given.
///
/// A reader takes what it knows: the fields of the first version must be there, those that came `later` are
/// defaulted where an older sender leaves them out, and what a newer one adds is skipped. So fields are
/// never removed, reordered or given another type; that is another kind of message.
macro_rules! grows {
    ($($type:ident { $($field:ident),* $(; later $($later:ident),+)? })+) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeTuple;
                let fields = 0 $(+ { let _ = stringify!($field); 1 })* $($(+ { let _ = stringify!($later); 1 })+)?;
                let mut tuple = serializer.serialize_tuple(fields)?;
                $(tuple.serialize_element(&self.$field)?;)*
                $($(tuple.serialize_element(&self.$later)?;)+)?
                tuple.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $type;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str(concat!("the fields of ", stringify!($type)))
                    }

                    fn visit_seq<A: serde::de::SeqAccess<'de>>(
                        self,
                        mut fields: A,
                    ) -> Result<$type, A::Error> {
                        let read = $type {
                            $($field: match fields.next_element()? {
                                Some(value) => value,
                                None => return Err(serde::de::Error::missing_field(stringify!($field))),
                            },)*
                            $($($later: fields.next_element()?.unwrap_or_default(),)+)?
                        };
                        while fields.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                        Ok(read)
                    }
                }
                deserializer.deserialize_seq(Fields)
            }
        }
    )+};
}

pub(crate) use grows;
