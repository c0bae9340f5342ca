//! The properties of the codecs for any type, any value and any bytes. The fuzzers of `fuzz/` call the same functions.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};
use tfplugin_schema::testing::{Choices, properties, seeded};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_value_of_any_type_survives_msgpack(bytes in vec(any::<u8>(), 0..300)) {
        let mut choices = Choices::new(&bytes);
        let ty = choices.ty();
        let value = choices.value(&ty);
        properties::msgpack_round_trip(&ty, &value);
    }

    #[test]
    fn any_known_value_of_any_type_survives_json(bytes in vec(any::<u8>(), 0..300)) {
        let mut choices = Choices::new(&bytes);
        let ty = choices.ty();
        let value = choices.known_value(&ty);
        properties::json_round_trip(&ty, &value);
    }

    #[test]
    fn any_type_survives_json(bytes in vec(any::<u8>(), 0..300)) {
        let ty = Choices::new(&bytes).ty();
        assert_eq!(tfplugin_schema::Type::from_json(ty.to_json().as_bytes()), Ok(ty));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..100)) {
        properties::msgpack_decode(&bytes);
        properties::json_decode(&bytes, false);
        properties::json_decode(&bytes, true);
    }

    #[test]
    fn any_bytes_are_a_refinement_or_an_error(bytes in vec(any::<u8>(), 0..40)) {
        properties::refinements(&bytes);
    }

    #[test]
    fn any_state_of_an_older_schema_is_read_with_a_newer_one(bytes in vec(any::<u8>(), 0..300)) {
        properties::upgrade(&bytes);
    }
}

/// A valid message with one byte changed comes further into a decoder than noise does.
#[test]
fn a_valid_message_with_a_changed_byte_is_a_value_or_an_error() {
    for seed in 0..400 {
        let bytes = seeded(seed, 400);
        let mut choices = Choices::new(&bytes);
        let ty = choices.ty();
        let value = choices.value(&ty);
        let mut wire = tfplugin_schema::msgpack::encode(&value, &ty).unwrap();
        wire.truncate(4_000);
        for at in 0..wire.len().min(60) {
            let change = choices.byte() | 1;
            wire[at] ^= change;
            if let Ok(value) = tfplugin_schema::msgpack::decode(&wire, &ty) {
                properties::msgpack_round_trip(&ty, &value);
            }
            wire[at] ^= change;
        }
        for end in 0..wire.len().min(60) {
            assert!(
                end == wire.len() || tfplugin_schema::msgpack::decode(&wire[..end], &ty).is_err(),
                "seed {seed}"
            );
        }
    }
}
