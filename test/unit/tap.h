/*
 * tap.h
 *		The few functions with which a unit test speaks TAP.
 *
 * Each test program includes it once and ends with `return done_testing();`.
 */
#ifndef POOLER_TEST_TAP_H
#define POOLER_TEST_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAP_UNUSED	__attribute__((unused))
#define TAP_PRINTF(f, a)	__attribute__((format(printf, f, a)))

static int	tap_count = 0;
static int	tap_failed = 0;

static bool tap_result(bool passed, const char *fmt, va_list args)
			TAP_PRINTF(2, 0);
static bool ok(bool passed, const char *fmt,...) TAP_UNUSED TAP_PRINTF(2, 3);
static bool is(long long got, long long expected, const char *fmt,...)
			TAP_UNUSED TAP_PRINTF(3, 4);
static bool is_str(const char *got, const char *expected, const char *fmt,...)
			TAP_UNUSED TAP_PRINTF(3, 4);

static bool
tap_result(bool passed, const char *fmt, va_list args)
{
	tap_count++;
	if (!passed)
		tap_failed++;
	printf("%sok %d - ", passed ? "" : "not ", tap_count);
	vprintf(fmt, args);
	putchar('\n');
	return passed;
}

static bool
ok(bool passed, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	tap_result(passed, fmt, args);
	va_end(args);
	return passed;
}

static bool
is(long long got, long long expected, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	if (!tap_result(got == expected, fmt, args))
		printf("#      got: %lld\n# expected: %lld\n", got, expected);
	va_end(args);
	return got == expected;
}

/* NULL equals only NULL. */
static bool
is_str(const char *got, const char *expected, const char *fmt,...)
{
	bool		same = got == expected ||
		(got != NULL && expected != NULL && strcmp(got, expected) == 0);
	va_list		args;

	va_start(args, fmt);
	if (!tap_result(same, fmt, args))
		printf("#      got: %s\n# expected: %s\n",
			   got ? got : "(null)", expected ? expected : "(null)");
	va_end(args);
	return same;
}

/*
 * A copy in a heap block of exactly this size, so that the address sanitizer
 * sees a read beyond it.  The caller frees it.
 */
static inline uint8_t *
exact(const void *bytes, size_t len)
{
	uint8_t    *copy = malloc(len > 0 ? len : 1);

	if (copy == NULL)
		abort();
	if (len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

/* A string literal with zero bytes in it, as pointer and length. */
#define BYTES(s)	(s), sizeof(s) - 1

static int
done_testing(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed == 0 ? 0 : 1;
}

#endif							/* POOLER_TEST_TAP_H */
