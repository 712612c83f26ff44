/*-------------------------------------------------------------------------
 *
 * registry.c
 *	  Prepared statements that clients have in common.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/registry.h"

void
pooler_registry_create(dsa_area *area)
{
}

void
pooler_registry_release(const char *part, int len)
{
}
