//! Attacks on the isolation of organizations, made against the real API server
//! as the attacker. `rows/*.yaml` is the table of single requests; the other
//! tests need more than one.

mod tier3_attacks {
    mod denial;
    mod in_the_way;
    mod report;
    mod row;
    mod stage;
    mod table;
}
