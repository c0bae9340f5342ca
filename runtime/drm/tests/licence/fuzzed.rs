//! What fuzzers send to the licence service, without a fuzzer.

#[path = "../../../fuzz/src/drive.rs"]
mod drive;
#[allow(unreachable_pub, reason = "it is public where fuzzers call it")]
#[path = "../../../fuzz/src/licence_request.rs"]
mod licence_request;
#[allow(unreachable_pub, reason = "it is public where fuzzers call it")]
#[path = "../../../fuzz/src/token.rs"]
mod token;

#[test]
fn any_token_is_refused_with_a_code_or_was_signed_by_the_issuer_and_means_what_it_says() {
    drive::drive("token", 200, token::any);
}

#[test]
fn any_licence_request_is_a_few_keys_each_once_or_a_refusal_with_one_of_two_codes() {
    drive::drive("licence_request", 300, licence_request::any);
}
