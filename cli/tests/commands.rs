//! Checks the output and exit status of the commands that do not require a kernel. After changing
//! any output, run `TRYCMD=overwrite cargo test -p ksyscall-cli --test commands` and review the
//! diff.

#[test]
fn commands() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}
