/*-------------------------------------------------------------------------
 *
 * temp_buffers.c
 *	  The setting temp_buffers: each client's own, in a process that has a
 *	  fixed number of local buffers.
 *
 * Runs in: pool backends.  Core makes local buffers when the process touches
 * its first temporary table, as many as temp_buffers says, keeps them until
 * the process ends, and from then on refuses another value.  But it may have
 * been another client's table.  So the variable is one of ours here: a client
 * can have any value as long as it has not touched a temporary table itself,
 * and num_temp_buffers always is the number of buffers that there are, which
 * core since 18 takes for granted when it counts how many it may pin.  The
 * buffers can't be made anew: what core knows of their memory is private.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"
#include "backend/settings.h"

#include "executor/instrument.h"
#include "storage/buf_internals.h"

/* What the variable is now: the value of the client. */
static int	wanted;

static int64 used_by_others;
static GucIntCheckHook core_check;

/* Grows whenever a local buffer is used; nothing ever resets it. */
static int64
uses(void)
{
	return pgBufferUsage.local_blks_hit + pgBufferUsage.local_blks_read +
		pgBufferUsage.local_blks_dirtied + pgBufferUsage.local_blks_written;
}

/* The refusal is core's: one more than there are is never right. */
static bool
check(int *newval, void **extra, GucSource source)
{
	int			refused = NLocBuffer + 1;

	return uses() == used_by_others || *newval == wanted ||
		core_check(&refused, extra, source);
}

static void
assign(int newval, void *extra)
{
	num_temp_buffers = NLocBuffer != 0 ? NLocBuffer : newval;
}

void
pooler_temp_buffers_begin(void)
{
	struct config_int *conf =
		(struct config_int *) pooler_find_setting("temp_buffers");

	wanted = *conf->variable;
	core_check = conf->check_hook;
	conf->variable = &wanted;
	conf->check_hook = check;
	conf->assign_hook = assign;
}

void
pooler_temp_buffers_next_client(void)
{
	used_by_others = uses();
}
