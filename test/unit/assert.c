/*-------------------------------------------------------------------------
 *
 * assert.c
 *	  What a failed Assert() calls, for unit tests of a server with assertions.
 *
 * Without core's headers: its parameters differ from version to version, and
 * none of them is needed.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>

void		ExceptionalCondition(void);

void
ExceptionalCondition(void)
{
	fprintf(stderr, "an assertion has failed\n");
	abort();
}
