"""Dates, times of day and offsets (RFC 3339) as numbers."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from ingest.formats._json_cursor cimport Reader


cdef inline int64_t number_of(const uint8_t* at, int count) noexcept nogil:
    """Decimal digits, or a negative number if one is none."""
    cdef int64_t value = 0
    cdef int position
    cdef uint64_t digit
    for position in range(count):
        digit = <uint64_t>at[position] - 48
        if digit > 9:
            return -1000000
        value = value * 10 + <int64_t>digit
    return value


cdef inline int64_t days_in(int64_t month) noexcept nogil:
    """Of a leap year."""
    if month == 2:
        return 29
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef inline bint day_of(const uint8_t* at, int64_t* days) noexcept nogil:
    """Days since 1970 of ``YYYY-MM-DD`` (Hinnant's days_from_civil)."""
    cdef int64_t year = number_of(at, 4)
    cdef int64_t month = number_of(at + 5, 2)
    cdef int64_t day = number_of(at + 8, 2)
    cdef int64_t era, of_era
    if year < 1 or month < 1 or month > 12 or day < 1 or day > days_in(month) or at[4] != 45 or at[7] != 45:
        return False
    if month == 2 and day == 29 and (year % 4 or (year % 100 == 0 and year % 400)):
        return False
    if month <= 2:
        year -= 1
    era = year // 400
    of_era = (year - era * 400) * 365 + (year - era * 400) // 4 - (year - era * 400) // 100
    of_era += (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    days[0] = era * 146097 + of_era - 719468
    return True


cdef inline bint clock_of(const uint8_t* at, int64_t* second) noexcept nogil:
    cdef int64_t hours = number_of(at, 2)
    cdef int64_t minutes = number_of(at + 3, 2)
    cdef int64_t seconds = number_of(at + 6, 2)
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59 or seconds < 0 or seconds > 59:
        return False
    second[0] = hours * 3600 + minutes * 60 + seconds
    return at[2] == 58 and at[5] == 58


cdef inline bint fraction_of(Reader* reader, int digits, int64_t* fraction) noexcept nogil:
    """What stands after the seconds, in units of ``digits`` places; finer digits must be zero."""
    cdef const uint8_t* start
    cdef int count = 0
    cdef int64_t value = 0
    fraction[0] = 0
    if reader.at >= reader.end or reader.at[0] != 46:
        return True
    reader.at += 1
    start = reader.at
    while reader.at < reader.end and 48 <= reader.at[0] <= 57:
        if reader.at - start < digits:
            value = value * 10 + reader.at[0] - 48
        elif reader.at[0] != 48:
            return False
        reader.at += 1
    count = <int>(reader.at - start)
    if count == 0 or count > 9:
        return False
    while count < digits:
        value *= 10
        count += 1
    fraction[0] = value
    return True


cdef inline bint zone_of(Reader* reader, bint zoned, int64_t* offset) noexcept nogil:
    """The seconds by which the text is ahead of UTC; a zone must be there where the column has one, else not."""
    cdef int64_t hours, minutes
    offset[0] = 0
    if not zoned:
        return True
    if reader.at < reader.end and reader.at[0] == 90:
        reader.at += 1
        return True
    if reader.end - reader.at < 6 or reader.at[3] != 58 or (reader.at[0] != 43 and reader.at[0] != 45):
        return False
    hours, minutes = number_of(reader.at + 1, 2), number_of(reader.at + 4, 2)
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return False
    offset[0] = (hours * 3600 + minutes * 60) * (1 if reader.at[0] == 43 else -1)
    reader.at += 6
    return True


cdef inline int64_t unit_of(int digits) noexcept nogil:
    return 1 if digits == 0 else 1000 if digits == 3 else 1000000 if digits == 6 else 1000000000
