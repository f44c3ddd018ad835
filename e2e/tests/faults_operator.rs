//! The long proofs of the operator; `cargo xtask test --faults` runs them.

mod faults_operator {
    mod crash;
    mod drift;
    mod faulty;
    mod fields;
    mod leaders;
}
