"""Which content coding a client wants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.filters.accept_encoding import best_coding

OFFERED = ("zstd", "br", "gzip")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("x-gzip, gzip;q=0", ""),
        ("deflate", ""),
        ("gzip;q=1.0, br;q=0.9", "gzip"),
        ("gzip;q=0.5, br;q=0.501", "br"),
        ("gzip ; q=0.5 , br ;q=0.05", "gzip"),
        ("gzip;Q=0.5", "gzip"),
        ("gzip;q=0", ""),
        ("gzip;q=0.000", ""),
        ("gzip;q=0.001", "gzip"),
        ("gzip;q=1.000", "gzip"),
        ("*", "zstd"),
        ("*;q=0", ""),
        ("*;q=0, gzip", "gzip"),
        ("zstd;q=0, *", "br"),
        ("gzip, *;q=0.5", "gzip"),
        ("identity", ""),
        ("identity, gzip;q=0.5", ""),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("identity;q=0", ""),
        ("", ""),
        (" , ,gzip,, ", "gzip"),
    ],
)
def test_weights_and_the_wildcard_count_as_rfc_9110_says(accepted: str, coding: str) -> None:
    assert best_coding(accepted, OFFERED) == coding


@pytest.mark.parametrize(
    "malformed",
    ["q=2", "q=-1", "q=nan", "q=1e9", "q=0.0001", "q=1.001", "q=", "q", "", "level=1", "q=0.5;x=1"],
)
def test_a_coding_with_a_malformed_weight_is_not_used(malformed: str) -> None:
    assert best_coding(f"zstd;{malformed}, gzip;q=0.001", OFFERED) == "gzip"


def test_of_equal_codings_the_first_offered_is_taken() -> None:
    assert best_coding("gzip, br, zstd", ("gzip", "br", "zstd")) == "gzip"
    assert best_coding("gzip, br, zstd", ("br", "gzip")) == "br"


def test_where_nothing_is_offered_nothing_is_taken() -> None:
    assert best_coding("gzip, *", ()) == ""


@given(st.text(st.sampled_from("gzip br*;q=01.,identyx-\t"), max_size=60))
def test_nonsense_never_gets_what_it_did_not_name(accepted: str) -> None:
    coding = best_coding(accepted, OFFERED)
    assert coding in {*OFFERED, ""}
    assert not coding or coding in accepted or "*" in accepted
