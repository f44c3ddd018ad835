//! The operator under crash, fault and drift, in short: `cargo xtask test
//! --faults` runs the same proofs in full.

mod tier3_operator_faults {
    mod crash;
    mod faulty;
    mod fields;
    mod leaders;
}
