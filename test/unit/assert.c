/*
 * assert.c
 *		What a failed assertion in inline functions of core's headers calls, for
 *		unit tests and fuzzers with headers of a server with assertions.
 *
 * Without postgres.h: what else it is given differs between versions.
 */
#include <stdio.h>
#include <stdlib.h>

extern void ExceptionalCondition(const char *condition);

void
ExceptionalCondition(const char *condition)
{
	fprintf(stderr, "TRAP: failed Assert(\"%s\")\n", condition);
	abort();
}
