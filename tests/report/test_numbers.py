import math

import pytest

from blpsim.report.numbers import Cell, rounded, share_with_error, with_error

NAN = math.nan


@pytest.mark.parametrize(
    ("value", "error", "number", "shown"),
    [
        (-0.012345, 0.0045321, "-0.0123", "(0.0045)"),
        (0.946, 0.0071, "0.9460", "(0.0071)"),
        (1.25, 0.0996, "1.25", "(0.10)"),
        (1.25, 0.00996, "1.250", "(0.010)"),
        (3.14159, 1.0, "3.1", "(1.0)"),
        (-184.4, 25.3, "-184", "(25)"),
        (12_345.0, 2_468.0, "12300", "(2500)"),
        (5.0, 99.6, "0", "(100)"),
        (0.0001234, 0.0000123, "0.000123", "(0.000012)"),
        (0.0000123, 0.00000996, "0.000012", "(0.000010)"),
    ],
)
def test_decimals_follow_two_digits_of_the_error(value, error, number, shown):
    assert with_error(value, error) == Cell(number, shown)


def test_a_small_negative_value_does_not_become_minus_zero():
    assert with_error(-0.0004, 0.12) == Cell("0.00", "(0.12)")


@pytest.mark.parametrize(
    ("value", "error", "number", "shown"),
    [
        (1.234e-9, 4.56e-11, "1.234e-09", "(4.6e-11)"),
        (-1.84e8, 9.2e7, "-1.84e+08", "(9.2e+07)"),
        (12.0, 3.4e7, "1e+01", "(3.4e+07)"),
        (0.0, 3.4e-9, "0.0e+00", "(3.4e-09)"),
    ],
)
def test_numbers_too_large_or_small_for_a_column_have_exponents(value, error, number, shown):
    assert with_error(value, error) == Cell(number, shown)


def test_what_has_no_error_says_so_and_what_has_no_value_is_a_dash():
    assert with_error(0.123456, NAN) == Cell("0.1235", "(-)")
    assert with_error(0.5, 0.0) == with_error(0.5, 1e-17) == Cell("0.5", "(0)")
    assert with_error(math.inf, NAN) == Cell("inf", "(-)")
    assert with_error(NAN, NAN) == Cell("-", "")
    assert str(with_error(NAN, NAN)) == "-"


def test_a_share_is_a_percentage_and_at_its_ends_shows_wilsons_bound():
    assert share_with_error(0.946, 0.0071, 0.93, 0.96) == Cell("94.60", "(0.71)")
    assert share_with_error(1.0, 0.0, 0.9812, 1.0) == Cell("100", "[>98.1]")
    assert share_with_error(0.0, 0.0, 0.0, 0.0188) == Cell("0", "[<1.9]")
    assert share_with_error(NAN, NAN, NAN, NAN) == Cell("-", "")


def test_negative_decimals_round_before_the_point():
    assert rounded(1_251.0, -2) == "1300"
    assert str(Cell("1300", "(100)")) == "1300 (100)"
