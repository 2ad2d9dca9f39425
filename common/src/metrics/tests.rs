use super::*;

#[test]
fn names_are_registered_once() {
    let metrics = Metrics::for_countries([Country::JP]).expect("registers");
    assert!(metrics.text().contains("otp_build_info{version="));
}
