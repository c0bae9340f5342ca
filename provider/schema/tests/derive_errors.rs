//! What must not compile does not, and the error stands where the mistake is and says what to do.

#[test]
fn mistakes_are_errors_where_they_are_made() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
