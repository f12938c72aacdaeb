"""The laws that numkan is held to are those of the conformance kit; here are the names that other tests use."""

from numkan.conformance.adapter import Array as Array
from numkan.conformance.cases import Case as Case
from numkan.conformance.law import Law as Law
from numkan.conformance.law import assert_identical as assert_identical
from numkan.conformance.law import assert_within as assert_within
