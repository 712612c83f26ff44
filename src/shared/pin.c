/*-------------------------------------------------------------------------
 *
 * pin.c
 *	  The words for what keeps a client on its backend.
 *
 * Runs in: any process.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/pin.h"

static const struct
{
	const char *name;
	const char *words;
}			texts[] = {
	[POOLER_PIN_TEMP] = {"temporary objects", gettext_noop("temporary objects")},
	[POOLER_PIN_LOCKS] = {"session locks", gettext_noop("session-level advisory locks")},
	[POOLER_PIN_LISTEN] = {"listen", gettext_noop("LISTEN")},
	[POOLER_PIN_CURSORS] = {"holdable cursors", gettext_noop("cursors WITH HOLD")},
	[POOLER_PIN_BACKUP] = {"base backup", gettext_noop("a base backup")},
	[POOLER_PIN_ORIGIN] = {"replication origin", gettext_noop("a replication origin")},
	[POOLER_PIN_SLOTS] = {"temporary slots", gettext_noop("temporary replication slots")},
	[POOLER_PIN_MODE] = {"pool_mode", gettext_noop("pooler.pool_mode = session")},
	[POOLER_PIN_STATEMENTS] = {"prepared statements", gettext_noop("prepared statements that do not fit into shared memory")},
	[POOLER_PIN_PIPELINE] = {"pipelining", gettext_noop("commands sent before the results of earlier ones were there")},
};

const char *
pooler_pin_name(int pin)
{
	return pin > 0 && pin < (int) lengthof(texts) ? texts[pin].name : NULL;
}

const char *
pooler_pin_words(int pin)
{
	return pin > 0 && pin < (int) lengthof(texts) ? _(texts[pin].words) : "";
}
