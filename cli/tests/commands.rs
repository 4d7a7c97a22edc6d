//! What the command prints and how it ends, where it needs no kernel. After a change of a text:
//! `TRYCMD=overwrite cargo test -p ksyscall-cli --test commands`, and look at the diff.

#[test]
fn commands() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}
