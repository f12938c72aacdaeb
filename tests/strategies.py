"""Hypothesis strategies for splines: those of the conformance kit."""

from numkan.conformance.strategies import cases as cases
from numkan.conformance.strategies import coefficients as coefficients
from numkan.conformance.strategies import degrees as degrees
from numkan.conformance.strategies import dtypes as dtypes
from numkan.conformance.strategies import knot_vectors as knot_vectors
from numkan.conformance.strategies import points as points
