//! Rules for nested blocks.

use super::Check;
use crate::{BlockNesting, NestedBlock};

impl Check<'_> {
    pub(super) fn block(&mut self, block: &NestedBlock) {
        let (min, max) = (block.min_items, block.max_items);
        match block.nesting {
            BlockNesting::Single if min != max || max > 1 => {
                self.add("a single block is there at most once (no items) or exactly once (1 to 1): use `required()` or nothing.");
            }
            BlockNesting::Group | BlockNesting::Map if (min, max) != (0, 0) => {
                self.add(
                    "groups and maps of blocks cannot limit their number: remove `items` or `required`.",
                );
            }
            BlockNesting::List | BlockNesting::Set if max != 0 && min > max => {
                self.add(format!("at least {min} and at most {max} blocks are impossible: correct `items`."));
            }
            _ => {}
        }
        if block.nesting == BlockNesting::Set {
            self.set_elements(&block.object);
        }
        self.object(&block.object);
    }
}
