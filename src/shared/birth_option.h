/*-------------------------------------------------------------------------
 *
 * birth_option.h
 *	  The name of the startup option by which a new backend knows its pooler.
 *
 * Runs in: pooler and newly forked backends.  The option's name starts with
 * "_pq_.", so core answers it before authentication with a message that our
 * wrapper sees; only names are kept by then, so the name carries the slot and
 * the token.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_BIRTH_OPTION_H
#define POOLER_BIRTH_OPTION_H

#include "shared/shmem.h"

#define POOLER_BIRTH_OPTION_PREFIX	"_pq_.pooler_"
#define POOLER_BIRTH_OPTION_LEN		(12 + 5 + 1 + 2 * POOLER_TOKEN_LEN + 1)

/* Writes _pq_.pooler_SSSSS_TTTT...; SSSSS is the slot, T the token in hex. */
static inline void
pooler_birth_option_format(char *buf, int slot, const uint8 *token)
{
	int			n = sprintf(buf, POOLER_BIRTH_OPTION_PREFIX "%05d_", slot);

	for (int i = 0; i < POOLER_TOKEN_LEN; i++)
		n += sprintf(buf + n, "%02x", token[i]);
}

#endif							/* POOLER_BIRTH_OPTION_H */
