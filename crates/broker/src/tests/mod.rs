//! Whole sessions against each other, in memory.

mod routing;
