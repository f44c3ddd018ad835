//! Deletion of organizations while something it depends on fails, and the
//! fields that say what deletion does, moved between in any order.

mod tier3_deletion {
    mod blocked;
    mod inventory;
    mod orders;
}
