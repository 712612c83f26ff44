/*-------------------------------------------------------------------------
 *
 * session_settings.c
 *	  What a session has set: saved when its client leaves, put in force
 *	  where the client goes on.
 *
 * Runs in: pool backends, between two clients.  Looks at the variables, not
 * at the commands: what a function, a library or a DO block has set counts,
 * and what SET LOCAL or a transaction that was rolled back did has vanished by
 * itself.
 *
 * Restoring has two halves.  The first one only goes back to reset values,
 * which core has checked long ago: it can't fail, and so it is done outside
 * of a transaction, where nothing rolls it back.  The second one sets values,
 * in a transaction; if that fails, all that it has set is gone, and the next
 * restore starts from whatever it finds.  Nothing is assumed of what an
 * earlier one has done.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"
#include "backend/settings.h"

#include "access/xact.h"
#include "access/parallel.h"
#include "catalog/pg_authid.h"
#include "common/hashfn.h"
#include "utils/acl.h"

/* Buffers for texts that are bigger than this are not kept. */
#define KEPT_TEXT	(64 * 1024)

/*
 * In a saved session; followed by name and value, both with their zero.
 */
typedef struct Record
{
	bool		has_value;		/* else a custom variable without one */
	bool		placeholder;	/* of no library's, so nobody has checked it */
	uint8		scontext;		/* GucContext that set it */
	uint8		unused;
	Oid			srole;			/* role that set it */
	Oid			role;			/* if the value is the name of one: its OID */
} Record;

/*---------------------------------------------------------------------------
 * what is in force
 *---------------------------------------------------------------------------
 */

/* A variable as it was last seen; gconf is for comparing, not for following. */
typedef struct Seen
{
	struct config_generic *gconf;
	union config_var_val value;
	int			text;			/* of a string: where its copy is */
	GucContext	scontext;
	Oid			srole;
	Oid			role;
} Seen;

static Seen *seen;				/* in the order of walking */
static int	nseen;
static int	max_seen;
static StringInfoData seen_texts;
static int	seen_variables;		/* how many there were in all */
static int	seen_of_transactions;	/* see of_transactions */
static bool seen_valid = true;	/* nothing is set when we start */

static void
note(struct config_generic *gconf)
{
	Seen	   *s;

	seen = pooler_setting_room(seen, nseen, &max_seen, sizeof(Seen));
	s = &seen[nseen++];
	s->gconf = gconf;
	s->value = pooler_setting_value(gconf);
	s->scontext = gconf->scontext;
	s->srole = gconf->srole;
	s->role = pooler_setting_role_id(gconf);
	if (gconf->vartype == PGC_STRING)
	{
		const char *text = s->value.stringval ? s->value.stringval : "";

		s->text = seen_texts.len;
		appendBinaryStringInfo(&seen_texts, text, strlen(text) + 1);
	}
}

static bool
is_as_seen(struct config_generic *gconf, const Seen *s)
{
	union config_var_val value;

	if (s->gconf != gconf || s->scontext != gconf->scontext ||
		s->srole != gconf->srole)
		return false;
	value = pooler_setting_value(gconf);
	switch (gconf->vartype)
	{
		case PGC_BOOL:
			return value.boolval == s->value.boolval;
		case PGC_INT:
			return value.intval == s->value.intval;
		case PGC_REAL:
			return value.realval == s->value.realval;
		case PGC_STRING:
			return strcmp(value.stringval ? value.stringval : "",
						  seen_texts.data + s->text) == 0 &&
				pooler_setting_role_id(gconf) == s->role;
		case PGC_ENUM:
			return value.enumval == s->value.enumval;
	}
	return false;
}

/*
 * These have the transaction's values, so that setting them for the session
 * means nothing; only pg_settings.source tells that it was done.
 */
static const char *const of_transactions[] = {
	"transaction_isolation", "transaction_read_only", "transaction_deferrable"
};

static struct config_generic *
of_transaction(int i)
{
	static struct config_generic *found[lengthof(of_transactions)];

	if (found[i] == NULL)
		found[i] = pooler_find_setting(of_transactions[i]);
	return found[i];
}

/* A bit for each that the session has set. */
static int
set_of_transactions(void)
{
	int			bits = 0;

	for (int i = 0; i < (int) lengthof(of_transactions); i++)
	{
		if (of_transaction(i)->source == PGC_S_SESSION)
			bits |= 1 << i;
	}
	return bits;
}

/*
 * A variable that is made or removed shows in their number; one whose value
 * comes or goes, in the walk.
 */
bool
pooler_settings_changed(void)
{
	PoolerSettingIterator it = {0};
	struct config_generic *gconf;
	int			i = 0;

	if (!seen_valid)
		return false;
	if (pooler_placeholders_variables() != seen_variables ||
		set_of_transactions() != seen_of_transactions)
		return true;
	while ((gconf = pooler_next_setting(&it)) != NULL)
	{
		if (!pooler_setting_is_set(gconf))
			continue;
		if (i == nseen || !is_as_seen(gconf, &seen[i++]))
			return true;
	}
	return i != nseen;
}

/*---------------------------------------------------------------------------
 * saving
 *---------------------------------------------------------------------------
 */

static uint64
save_one(StringInfo part, struct config_generic *gconf, bool has_value)
{
	char		buf[POOLER_SETTING_TEXT];
	Record		record = {0};
	const char *value = NULL;
	int			start = part->len;

	record.has_value = has_value;
	record.placeholder = (gconf->flags & GUC_CUSTOM_PLACEHOLDER) != 0;
	if (has_value)
	{
		record.scontext = gconf->scontext;
		record.srole = gconf->srole;
		record.role = pooler_setting_role_id(gconf);
		value = pooler_setting_text(gconf, pooler_setting_value(gconf), buf);
	}
	if (value == NULL)
		value = "";
	appendBinaryStringInfo(part, (char *) &record, sizeof(record));
	appendBinaryStringInfo(part, gconf->name, strlen(gconf->name) + 1);
	appendBinaryStringInfo(part, value, strlen(value) + 1);
	return hash_bytes_extended((unsigned char *) part->data + start,
							   part->len - start, pooler_shared->digest_seed);
}

static void
forget_seen(void)
{
	nseen = 0;
	if (seen_texts.maxlen > KEPT_TEXT)
	{
		pfree(seen_texts.data);
		seen_texts.data = NULL;
	}
	if (seen_texts.data == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		initStringInfo(&seen_texts);
		MemoryContextSwitchTo(old);
	}
	resetStringInfo(&seen_texts);
}

/* Takes what is in force as seen; appends it to part unless that is NULL. */
static uint64
look(StringInfo part)
{
	PoolerSettingIterator it = {0};
	struct config_generic *gconf;
	struct config_generic **known;
	uint64		digest = 0;

	seen_valid = false;
	forget_seen();
	while ((gconf = pooler_next_setting(&it)) != NULL)
	{
		if (!pooler_setting_is_set(gconf))
			continue;
		note(gconf);
		if (part != NULL)
			digest += save_one(part, gconf, true);
	}
	if (part != NULL)
	{
		int			n = pooler_placeholders_known(&known);

		for (int i = 0; i < n; i++)
			digest += save_one(part, known[i], false);
		for (int i = 0; i < (int) lengthof(of_transactions); i++)
		{
			if (of_transaction(i)->source == PGC_S_SESSION)
				digest += save_one(part, of_transaction(i), false);
		}
	}
	seen_of_transactions = set_of_transactions();
	seen_variables = pooler_placeholders_variables();
	seen_valid = true;
	return digest;
}

/* 0 stands for nothing, and the highest value for what nobody knows. */
uint64
pooler_settings_save(StringInfo part)
{
	uint64		digest = look(part);

	if (part->len == 0)
		return 0;
	return digest == 0 || digest == PG_UINT64_MAX ? 1 : digest;
}

void
pooler_settings_forget(void)
{
	seen_valid = false;
}

/*---------------------------------------------------------------------------
 * what is wanted
 *---------------------------------------------------------------------------
 */

typedef struct Wanted
{
	Record		record;
	const char *name;			/* these two in the saved session */
	const char *value;
	struct config_generic *gconf;	/* NULL: there is none here */
	bool		done;
} Wanted;

static Wanted *wanted;
static int	nwanted;
static int	max_wanted;

static int
compare_addresses(const void *a, const void *b)
{
	const struct config_generic *x = ((const Wanted *) a)->gconf;
	const struct config_generic *y = ((const Wanted *) b)->gconf;

	return (x > y) - (x < y);
}

/* Sorted by address of the variable, so that it can be found by that. */
static void
read_wanted(const char *part, int len)
{
	const char *end = part + len;

	nwanted = 0;
	for (const char *p = part; p < end;)
	{
		Wanted	   *w;

		wanted = pooler_setting_room(wanted, nwanted, &max_wanted, sizeof(Wanted));
		w = &wanted[nwanted++];
		memcpy(&w->record, p, sizeof(Record));
		w->name = p + sizeof(Record);
		w->value = w->name + strlen(w->name) + 1;
		p = w->value + strlen(w->value) + 1;
		w->done = false;
		w->gconf = pooler_find_setting(w->name);
	}
	if (nwanted > 1)
		qsort(wanted, nwanted, sizeof(Wanted), compare_addresses);
}

static const Wanted *
find_wanted(struct config_generic *gconf)
{
	Wanted		key = {.gconf = gconf};

	if (nwanted == 0)
		return NULL;
	return bsearch(&key, wanted, nwanted, sizeof(Wanted), compare_addresses);
}

/* Is it to have a value, if perhaps another one? */
static bool
is_to_be_set(struct config_generic *gconf)
{
	const Wanted *w = find_wanted(gconf);

	return w != NULL && w->record.has_value;
}

static bool
is_as_wanted(const Wanted *w)
{
	char		buf[POOLER_SETTING_TEXT];
	const char *value;

	if (w->gconf == NULL)
		return false;
	if (!w->record.has_value)
		return true;
	if (!pooler_setting_is_set(w->gconf))
		return false;
	value = pooler_setting_text(w->gconf, pooler_setting_value(w->gconf), buf);
	return value != NULL && strcmp(value, w->value) == 0 &&
		pooler_setting_role_id(w->gconf) == w->record.role;
}

/*---------------------------------------------------------------------------
 * restoring, first half: back to reset values
 *---------------------------------------------------------------------------
 */

/*
 * Collected first: resetting session_authorization resets role as well, which
 * would pull the list away from below the walk.
 */
static void
reset_unwanted(void)
{
	static struct config_generic **list = NULL;
	static int	max = 0;
	struct config_generic *who = pooler_setting_session_authorization();
	struct config_generic *gconf;
	PoolerSettingIterator it = {0};
	int			n = 0;

	if (pooler_setting_is_set(who) && !is_to_be_set(who))
		pooler_setting_reset(who);
	while ((gconf = pooler_next_setting(&it)) != NULL)
	{
		if (!pooler_setting_is_set(gconf) || is_to_be_set(gconf))
			continue;
		list = pooler_setting_room(list, n, &max, sizeof(*list));
		list[n++] = gconf;
	}
	for (int i = 0; i < n; i++)
		pooler_setting_reset(list[i]);
}

static void
mark_of_transactions(void)
{
	for (int i = 0; i < (int) lengthof(of_transactions); i++)
		of_transaction(i)->source = find_wanted(of_transaction(i)) != NULL ?
			PGC_S_SESSION : PGC_S_OVERRIDE;
}

static void
remove_unknown(void)
{
	struct config_generic **known;
	int			n = pooler_placeholders_known(&known);

	for (int i = 0; i < n; i++)
	{
		if (find_wanted(known[i]) == NULL)
			pooler_placeholder_remove(known[i]);
	}
}

/*---------------------------------------------------------------------------
 * restoring, second half: setting values
 *---------------------------------------------------------------------------
 */

/*
 * Check hooks that look for objects in catalogs.  A session keeps such a value
 * when the object has gone, so it has to be kept here as well: PGC_S_TEST makes
 * these hooks lenient.  (Not those of "role" and "session_authorization", whose
 * assign hooks need what the check hooks then leave out.)
 */
static bool
is_checked_leniently(const char *name)
{
	return strcmp(name, "temp_tablespaces") == 0 ||
		strcmp(name, "default_tablespace") == 0 ||
		strcmp(name, "default_table_access_method") == 0 ||
		strcmp(name, "default_text_search_config") == 0;
}

static int
set_option(const Wanted *w, GucSource source, int elevel)
{
	return set_config_option_ext(w->name, w->value, PGC_SUSET, source,
								 w->record.srole, GUC_ACTION_SET, true,
								 elevel, false);
}

/* What the variable's assign hook does. */
static void
put_role_in_force(struct config_generic *gconf, Oid role, bool is_superuser)
{
	if (gconf == pooler_setting_role())
		SetCurrentRoleId(role, is_superuser);
	else
		SetSessionAuthorization(role, is_superuser);
}

/*
 * A role is put in force by its OID, as core does it in a parallel worker
 * (check_role() in variable.c): it may have been renamed, and another one may
 * have its name now; and the right to it may have been taken away, of which a
 * session takes no notice.  One that has been dropped ends the client.
 */
static int
set_role(const Wanted *w, int elevel)
{
	Oid			role = w->record.role;
	Oid			before = pooler_setting_role_id(w->gconf);
	bool		before_is_superuser = OidIsValid(before) && superuser_arg(before);
	char	   *name = GetUserNameFromId(role, true);
	volatile int result = 0;

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("role \"%s\" does not exist", w->value)));
	pfree(name);
	put_role_in_force(w->gconf, role, superuser_arg(role));
	PG_TRY();
	{
		/*
		 * With this the check hook takes the one that is in force.  It is
		 * looked at in variable.c and by nobody else who is called from here.
		 */
		InitializingParallelWorker = true;
		result = set_option(w, PGC_S_SESSION, elevel);
	}
	PG_FINALLY();
	{
		InitializingParallelWorker = false;
		/* no assign hook was called, so no rollback would take it back */
		if (result <= 0)
			put_role_in_force(w->gconf, before, before_is_superuser);
	}
	PG_END_TRY();
	return result;
}

/*
 * The right to set it was checked when the client did: so it is set with the
 * highest one, and only what is remembered of who did it is as it was then.
 */
static bool
set_value(Wanted *w, int elevel)
{
	bool		lenient = is_checked_leniently(w->name);
	Oid			user;
	int			seccontext;
	int			result;

	/* a value of the session would win; and hooks ask for the user's rights */
	GetUserIdAndSecContext(&user, &seccontext);
	if (lenient)
	{
		pooler_setting_reset(w->gconf);
		SetUserIdAndSecContext(w->record.srole, seccontext);
	}
	if (OidIsValid(w->record.role))
		result = set_role(w, elevel);
	else
		result = set_option(w, lenient ? PGC_S_TEST : PGC_S_SESSION, elevel);
	if (lenient)
		SetUserIdAndSecContext(user, seccontext);
	if (result <= 0)
		return false;
	w->gconf = pooler_find_setting(w->name);
	w->gconf->source = PGC_S_SESSION;
	w->gconf->scontext = w->record.scontext;
	w->gconf->srole = w->record.srole;
	return true;
}

/*
 * Libraries differ from backend to backend.  What was set before one had
 * defined the variable need not be valid where one has; LOAD would have
 * dropped it with a warning.
 */
static bool
drop(const Wanted *w)
{
	if (!w->record.placeholder || w->gconf == NULL ||
		(w->gconf->flags & GUC_CUSTOM_PLACEHOLDER) != 0)
		return false;
	if (pooler_setting_is_set(w->gconf))
		pooler_setting_reset(w->gconf);
	return true;
}

/* False if it was not accepted, and elevel is below ERROR. */
static bool
apply(Wanted *w, int elevel)
{
	if (w->done)
		return true;
	if (w->gconf == NULL)
	{
		w->done = !pooler_placeholder_make(w->name) || !w->record.has_value;
		if (w->done)
			return true;
	}
	else if (is_as_wanted(w))
	{
		if (w->record.has_value)
		{
			w->gconf->scontext = w->record.scontext;
			w->gconf->srole = w->record.srole;
		}
		w->done = true;
		return true;
	}
	w->done = set_value(w, elevel) || drop(w);
	return w->done;
}

/* Who one is comes first: it sets "role", and says which ones are allowed. */
static void
apply_named(const char *name)
{
	for (int i = 0; i < nwanted; i++)
	{
		if (strcmp(wanted[i].name, name) == 0)
			(void) apply(&wanted[i], ERROR);
	}
}

/*
 * Values may be valid only together with others (log_statement_stats), so
 * that what is refused is tried again after the rest.
 */
static void
apply_wanted(void)
{
	struct config_generic *role = pooler_setting_role();
	bool		refused;
	bool		progress;

	apply_named("session_authorization");
	/* which sets "role" to none, also where RESET ROLE was the last word */
	if (pooler_setting_is_set(role) && !is_to_be_set(role))
		pooler_setting_reset(role);
	apply_named("role");
	do
	{
		refused = progress = false;
		for (int i = 0; i < nwanted; i++)
		{
			if (wanted[i].done)
				continue;
			if (apply(&wanted[i], DEBUG5))
				progress = true;
			else
				refused = true;
		}
	} while (refused && progress);
	for (int i = 0; refused && i < nwanted; i++)
		(void) apply(&wanted[i], ERROR);
}

static bool
all_as_wanted(void)
{
	for (int i = 0; i < nwanted; i++)
	{
		Wanted	   *w = &wanted[i];

		if (!is_as_wanted(w) ||
			(w->record.has_value && (w->gconf->scontext != w->record.scontext ||
									 w->gconf->srole != w->record.srole)))
			return false;
	}
	return true;
}

void
pooler_settings_restore(const char *startup, int startup_len,
						const char *part, int len)
{
	seen_valid = false;
	pooler_startup_undo(startup, startup_len);
	read_wanted(part, len);
	reset_unwanted();
	remove_unknown();
	mark_of_transactions();
	if (!pooler_startup_in_force(startup, startup_len) || !all_as_wanted())
	{
		StartTransactionCommand();
		pooler_startup_apply(startup, startup_len);
		apply_wanted();
		CommitTransactionCommand();
	}
	(void) look(NULL);
}
