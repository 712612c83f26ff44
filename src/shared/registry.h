/*-------------------------------------------------------------------------
 *
 * registry.h
 *	  Prepared statements that clients have in common.
 *
 * Runs in: pool backends; the pooler, which gives back what a client held.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_REGISTRY_H
#define POOLER_REGISTRY_H

#include "compat.h"

#include "utils/dsa.h"

/* In the postmaster, once the area has been created. */
extern void pooler_registry_create(dsa_area *area);

/* Gives back the references in a session's part POOLER_PART_STATEMENTS. */
extern void pooler_registry_release(const char *part, int len);

#endif							/* POOLER_REGISTRY_H */
