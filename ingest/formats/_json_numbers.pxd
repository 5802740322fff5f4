"""Numbers of JSON: passed over strictly, their digits taken along as far as 64 bits hold them."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from ingest.formats._json_cursor cimport Reader


cdef inline int whole_number(Reader* reader, uint64_t* value) noexcept nogil:
    """Digits without a leading zero; their count, or 0 for none and for more than 64 bits hold."""
    cdef const uint8_t* at = reader.at
    cdef const uint8_t* end = reader.end
    cdef const uint8_t* start = at
    cdef uint64_t number = 0
    cdef uint64_t digit
    if at < end and at[0] == 48:
        # 01 is no number.
        if at + 1 < end and 48 <= at[1] <= 57:
            return 0
        value[0] = 0
        reader.at = at + 1
        return 1
    while at < end:
        digit = <uint64_t>at[0] - 48
        if digit > 9:
            break
        if at - start >= 19:
            if at - start >= 20 or number > 1844674407370955161ULL or (number == 1844674407370955161ULL and digit > 5):
                return 0
        number = number * 10 + digit
        at += 1
    value[0] = number
    reader.at = at
    return <int>(at - start)


cdef inline bint at_fraction(Reader* reader) noexcept nogil:
    return reader.at < reader.end and (reader.at[0] == 46 or (reader.at[0] | 32) == 101)


cdef inline int scan_number(Reader* reader, uint64_t* digits, int64_t* exponent) noexcept nogil:
    """Passes a number: 0 it is none, 1 whole, 2 with fraction or exponent, 3 the same with too many digits."""
    cdef bint negative = reader.at[0] == 45
    cdef int whole, more
    cdef int64_t power = 0
    if negative:
        reader.at += 1
    whole = whole_number(reader, digits)
    if whole == 0:
        # Perhaps a number that is too long for 64 bits: with a fraction it is one for the exact parser.
        return long_number(reader)
    if not at_fraction(reader):
        return 1
    if reader.at[0] == 46:
        reader.at += 1
        more = fraction_digits(reader, digits, whole)
        if more == 0:
            return 0
        exponent[0] = -more
        if more < 0:
            return 3 if pass_exponent(reader, &power) else 0
    if not pass_exponent(reader, &power):
        return 0
    exponent[0] += power
    return 2


cdef inline int fraction_digits(Reader* reader, uint64_t* digits, int whole) noexcept nogil:
    """Adds the digits after a point; their count, 0 for none, -1 for more than fit."""
    cdef const uint8_t* start = reader.at
    cdef uint64_t digit
    while reader.at < reader.end:
        digit = <uint64_t>reader.at[0] - 48
        if digit > 9:
            break
        if whole + (reader.at - start) < 19:
            digits[0] = digits[0] * 10 + digit
        reader.at += 1
    if whole + (reader.at - start) > 19:
        return -1
    return <int>(reader.at - start)


cdef inline bint pass_exponent(Reader* reader, int64_t* power) noexcept nogil:
    cdef bint negative
    cdef const uint8_t* start
    if reader.at >= reader.end or (reader.at[0] | 32) != 101:
        return True
    reader.at += 1
    if reader.at >= reader.end:
        return False
    negative = reader.at[0] == 45
    if negative or reader.at[0] == 43:
        reader.at += 1
    start = reader.at
    while reader.at < reader.end and 48 <= reader.at[0] <= 57:
        if power[0] < 100000:
            power[0] = power[0] * 10 + reader.at[0] - 48
        reader.at += 1
    if negative:
        power[0] = -power[0]
    return reader.at > start


cdef inline int long_number(Reader* reader) noexcept nogil:
    cdef const uint8_t* start = reader.at
    cdef uint64_t digits = 0
    cdef int64_t power = 0
    if start >= reader.end or start[0] < 49 or start[0] > 57:
        return 0
    while reader.at < reader.end and 48 <= reader.at[0] <= 57:
        reader.at += 1
    if not at_fraction(reader):
        return 0
    if reader.at[0] == 46:
        reader.at += 1
        if fraction_digits(reader, &digits, 19) == 0:
            return 0
    return 3 if pass_exponent(reader, &power) else 0


cdef inline bint has_exponent(const uint8_t* text, int64_t size) noexcept nogil:
    cdef int64_t position
    for position in range(size):
        if (text[position] | 32) == 101:
            return True
    return False
