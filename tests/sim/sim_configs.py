"""Small configurations that together reach every branch of the generator; each builds in seconds."""

from phantom_hw.config import PhantomConfig

SMALL = {
    "tiny": PhantomConfig.preset("tiny"),
    "split": PhantomConfig(
        pe_rows=2, pe_cols=2, threads=3, lookahead=6, group=3, acc_depth=16, split_banks=True, row_slots=4, row_width=8,
        item_slots=8, moving_link=4, chunk=7),
    "one_thread": PhantomConfig(
        pe_rows=1, pe_cols=2, threads=1, lookahead=1, group=1, tds="in_order", act_width=4, weight_width=4,
        acc_width=16, acc_depth=16, row_slots=2, row_width=4, item_slots=4, moving_link=1, chunk=4),
    "sliding": PhantomConfig(
        pe_rows=1, pe_cols=1, threads=3, lookahead=5, group=1, refill=2, acc_depth=32, row_width=20, item_slots=8,
        moving_link=2, chunk=5, skip_empty=True, row_blocks=2),
    "wide": PhantomConfig(
        pe_rows=1, pe_cols=1, threads=8, lookahead=4, group=2, act_width=16, weight_width=16, acc_width=48,
        acc_depth=32, row_width=16, item_slots=4, moving_link=16, chunk=64),
    "batch": PhantomConfig(
        pe_rows=2, pe_cols=1, threads=5, lookahead=3, group=3, tds="in_order", act_width=4, acc_depth=64,
        row_slots=8, row_width=24, item_slots=4, moving_link=8, chunk=33, skip_empty=True),
    "short_rows": PhantomConfig(
        pe_rows=1, pe_cols=1, threads=2, lookahead=8, group=1, refill=3, acc_depth=16, row_width=4, item_slots=4,
        moving_link=4, row_slots=2, row_blocks=2),
}
