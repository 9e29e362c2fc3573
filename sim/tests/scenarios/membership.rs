//! Who is a member, and who is alive.

use crate::assert_kept;

/// Both seeds restarted before they had saved their members. They knew those who spoke to them by name only, and took
/// them for down for ever.
#[test]
fn whoever_is_heard_is_known_though_all_who_could_tell_have_forgotten() {
    assert_kept(&[669, 969, 993, 1396]);
}
