/*-------------------------------------------------------------------------
 *
 * placeholders.c
 *	  Custom variables that no library has defined ("app.user_id").
 *
 * Runs in: pool backends, between two clients.
 *
 * SET makes such a variable, and core never removes it: after RESET, or when
 * it was set in a transaction only, SHOW gives '' where it would have given an
 * error.  So whether one exists belongs to a session, and those of other
 * sessions have to go.
 *
 * Since 16 the variables are in a hash table, from which one can be removed.
 * Before, they are in an array which is core's own, but whose number of
 * elements only core can change.  There a removed variable gets a name that
 * no SET can make and that sorts behind all others, and loses the flag of a
 * placeholder; if a session needs one of that name again, it comes back.  When
 * many have piled up (sessions have made new ones while the old ones were
 * away) they are removed by the only function of core's that can do it,
 * MarkGUCPrefixReserved(), which loses some bytes each time.
 *
 * Nobody but the table has a pointer to a placeholder between transactions:
 * there are no stacked values, and core's handles are not for placeholders.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"
#include "backend/hash.h"
#include "backend/settings.h"

#include "fmgr.h"
#include "tcop/tcopprot.h"
#include "utils/elog.h"

/*
 * When they were last looked for: variables in all, and how many placeholders
 * of sessions were among them, known or set.
 */
static int	counted_variables = -1;
static int	counted_placeholders;

static struct config_generic **known;
static int	nknown;
static int	max_known;

static void
count(struct config_generic *gconf)
{
	if ((gconf->flags & GUC_CUSTOM_PLACEHOLDER) == 0)
		return;
	if (gconf->reset_source == PGC_S_DEFAULT || gconf->reset_source == PGC_S_CLIENT)
		counted_placeholders++;
	if (!pooler_setting_is_known(gconf))
		return;
	known = pooler_setting_room(known, nknown, &max_known, sizeof(*known));
	known[nknown++] = gconf;
}

static void count_all(void);

int
pooler_placeholders_known(struct config_generic ***list)
{
	int			variables = pooler_placeholders_variables();

	nknown = 0;
	if (counted_placeholders > 0 || counted_variables != variables)
	{
		counted_placeholders = 0;
		counted_variables = variables;
		count_all();
	}
	*list = known;
	return nknown;
}

/* Core makes one for each name that it allows, before it looks at the value. */
static bool
make(const char *name)
{
	(void) set_config_option_ext(name, "", PGC_USERSET, PGC_S_SESSION,
								 GetUserId(), GUC_ACTION_SET, false, DEBUG5, false);
	return pooler_find_setting(name) != NULL;
}

static void
destroy(struct config_generic *gconf, const char *name)
{
	struct config_string *conf = (struct config_string *) gconf;

	Assert(gconf->stack == NULL && gconf->last_reported == NULL);
	Assert(gconf->sourcefile == NULL);
	if (*conf->variable != NULL)
		pooler_guc_free(*conf->variable);
	pooler_guc_free(unconstify(char *, name));
	pooler_guc_free(gconf);
}

#ifdef POOLER_HAVE_NONDEF_LIST

/*---------------------------------------------------------------------------
 * a hash table
 *---------------------------------------------------------------------------
 */

/* Private to guc.c. */
typedef struct GucEntry
{
	const char *name;			/* key */
	struct config_generic *gconf;
} GucEntry;

static HTAB *
variables(void)
{
	static HTAB *table = NULL;
	const char *name = "data_directory";
	GucEntry   *entry;

	if (table != NULL)
		return table;
	table = pooler_hash_find_below("GUCMemoryContext", "GUC hash table");
	if (table != NULL)
	{
		entry = hash_search(table, &name, HASH_FIND, NULL);
		if (entry == NULL || entry->gconf != pooler_find_setting(name))
			table = NULL;
	}
	if (table == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not find the table of configuration variables")));
	return table;
}

int
pooler_placeholders_variables(void)
{
	return hash_get_num_entries(variables());
}

static void
count_all(void)
{
	HASH_SEQ_STATUS status;
	GucEntry   *entry;

	hash_seq_init(&status, variables());
	while ((entry = hash_seq_search(&status)) != NULL)
		count(entry->gconf);
}

void
pooler_placeholder_remove(struct config_generic *gconf)
{
	const char *name = gconf->name;

	(void) hash_search(variables(), &name, HASH_REMOVE, NULL);
	destroy(gconf, name);
}

bool
pooler_placeholder_make(const char *name)
{
	return make(name);
}

#else

/*---------------------------------------------------------------------------
 * an array
 *---------------------------------------------------------------------------
 */

/* No SET can make a name with this; it sorts behind all that SET can make. */
#define HIDDEN_CLASS	(CHAR_MIN < 0 ? "~" : "\xff")

#define MAX_HIDDEN		512

typedef struct Hidden
{
	struct config_generic *gconf;
	const char *name;			/* its own */
	char		alias[16];		/* under which it is in the array */
} Hidden;

static Hidden hidden[MAX_HIDDEN];
int			pooler_placeholders_hidden = 0;

/* Of loaded libraries, by the length of their names. */
static Size libraries;

int
pooler_placeholders_variables(void)
{
	return GetNumConfigOptions() - pooler_placeholders_hidden;
}

static void
count_all(void)
{
	PoolerSettingIterator it = {0};
	struct config_generic *gconf;

	while ((gconf = pooler_next_setting(&it)) != NULL)
		count(gconf);
}

/* Core warns of each that it removes, which is nobody's business. */
static void
remove_class(void)
{
	int			level = log_min_messages;
	CommandDest dest = whereToSendOutput;

	log_min_messages = PANIC;
	whereToSendOutput = DestNone;
	PG_TRY();
	{
		MarkGUCPrefixReserved(HIDDEN_CLASS);
	}
	PG_FINALLY();
	{
		log_min_messages = level;
		whereToSendOutput = dest;
	}
	PG_END_TRY();
}

/*
 * The prefix is noted as reserved again and again, which costs some bytes each
 * time, and some nanoseconds whenever a placeholder is made: so not one by one.
 */
static void
remove_hidden(void)
{
	int			left = pooler_placeholders_variables();

	if (pooler_placeholders_hidden == 0)
		return;
	for (int i = 0; i < pooler_placeholders_hidden; i++)
		hidden[i].gconf->flags |= GUC_CUSTOM_PLACEHOLDER;
	remove_class();
	if (GetNumConfigOptions() != left)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not remove custom configuration variables")));
	for (int i = 0; i < pooler_placeholders_hidden; i++)
		destroy(hidden[i].gconf, hidden[i].name);
	pooler_placeholders_hidden = 0;
}

/* Moves an element of core's array. */
static void
move(int from, int to)
{
	struct config_generic **vars = get_guc_variables();
	struct config_generic *gconf = vars[from];

	if (from < to)
		memmove(vars + from, vars + from + 1, (to - from) * sizeof(*vars));
	else
		memmove(vars + to + 1, vars + to, (from - to) * sizeof(*vars));
	vars[to] = gconf;
}

void
pooler_placeholder_remove(struct config_generic *gconf)
{
	static uint32 number = 0;
	int			visible;
	Hidden	   *h;

	if (pooler_placeholders_hidden == MAX_HIDDEN)
		remove_hidden();
	if (pooler_placeholders_hidden == 0)
		libraries = EstimateLibraryStateSpace();
	visible = pooler_placeholders_variables();
	h = &hidden[pooler_placeholders_hidden];
	h->gconf = gconf;
	h->name = gconf->name;
	snprintf(h->alias, sizeof(h->alias), "%s.%010u", HIDDEN_CLASS, number++);
	move(pooler_setting_position(gconf->name, visible), GetNumConfigOptions() - 1);
	gconf->name = h->alias;
	gconf->flags &= ~GUC_CUSTOM_PLACEHOLDER;
	/* a name in double quotes may be any, so it can be guessed */
	gconf->flags |= GUC_SUPERUSER_ONLY;
	gconf->context = PGC_INTERNAL;
	pooler_placeholders_hidden++;
}

/*
 * The order of hidden[] is that of the array.  The last one to go is the most
 * likely to come back.
 */
static bool
bring_back(const char *name)
{
	int			visible = pooler_placeholders_variables();

	for (int i = pooler_placeholders_hidden - 1; i >= 0; i--)
	{
		struct config_generic *gconf = hidden[i].gconf;

		if (pooler_setting_name_compare(hidden[i].name, name) != 0)
			continue;
		move(visible + i, pooler_setting_position(name, visible));
		gconf->name = hidden[i].name;
		gconf->flags |= GUC_CUSTOM_PLACEHOLDER;
		gconf->flags &= ~GUC_SUPERUSER_ONLY;
		gconf->context = PGC_USERSET;
		pooler_placeholders_hidden--;
		memmove(&hidden[i], &hidden[i + 1],
				(pooler_placeholders_hidden - i) * sizeof(Hidden));
		for (int j = i; j < pooler_placeholders_hidden; j++)
			hidden[j].gconf->name = hidden[j].alias;
		return true;
	}
	return false;
}

/* A library that was loaded meanwhile may have reserved the prefix. */
bool
pooler_placeholder_make(const char *name)
{
	if (pooler_find_setting(name) != NULL)
		return true;
	if (pooler_placeholders_hidden > 0 && libraries != EstimateLibraryStateSpace())
		remove_hidden();
	return bring_back(name) || make(name);
}

#endif
