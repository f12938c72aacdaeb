"""Tests of numkan: oracles, strategies, laws, and one test file beside each module's name."""
