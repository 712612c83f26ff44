/*-------------------------------------------------------------------------
 *
 * startup_settings.c
 *	  What a client asked for when it connected: its reset values.
 *
 * Runs in: pool backends, between two clients.
 *
 * A value from the startup packet is set with PGC_S_CLIENT as its source, as
 * core does it.  Core knows no way back from there, since in core nobody else
 * comes after: so the reset value that was there before, with all that core
 * keeps with it, is put aside, and is put back when the next client does not
 * have this setting.  It was checked when it was set, so that putting it back
 * can't fail.
 *
 * What is put aside is out of reach of a reload.  If there was one in the
 * meantime, the configuration file is read again.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"
#include "backend/settings.h"

#include "catalog/pg_authid.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* A startup setting that is in force. */
typedef struct Applied
{
	char	   *name;
	char	   *value;			/* as the client has it; NULL: not quite */
	struct config_generic *gconf;	/* for comparing: may have been replaced */
	uint32		since;			/* number of the last reload then */

	/* the reset value from before; owned by us as long as it is here */
	union config_var_val original;
	void	   *extra;
	GucSource	source;
	GucContext	scontext;
	Oid			srole;
} Applied;

static Applied *applied;
static int	napplied;
static int	max_applied;

/*---------------------------------------------------------------------------
 * refusing
 *---------------------------------------------------------------------------
 */

/*
 * Everybody can set post_auth_delay for himself, and then the process sleeps
 * where no signal ends it.  It has one of the few places for logins meanwhile,
 * and when the pooler has given it up, one of max_connections, beyond what a
 * pool may have.
 */
void
pooler_startup_restrict(void)
{
	struct config_generic *delay = pooler_find_setting("post_auth_delay");

	if (delay != NULL && delay->context == PGC_BACKEND)
		delay->context = PGC_SU_BACKEND;
}

/*---------------------------------------------------------------------------
 * reporting
 *---------------------------------------------------------------------------
 */

/*
 * Has it an effect only while a backend starts?  Libraries are loaded then,
 * although core lets their lists be set at any time.
 */
static bool
is_for_a_starting_backend(struct config_generic *gconf)
{
	return gconf->context == PGC_BACKEND || gconf->context == PGC_SU_BACKEND ||
		strcmp(gconf->name, "local_preload_libraries") == 0 ||
		strcmp(gconf->name, "session_preload_libraries") == 0;
}

/*
 * Values may depend on defaults and on each other (DateStyle), and "options"
 * knows abbreviations, so what the client wrote is not enough.
 */
void
pooler_startup_report(StringInfo pairs)
{
	static const char mark[] = POOLER_NEEDS_OWN_BACKEND "\0";
	PoolerSettingIterator it = {0};
	struct config_generic *gconf;
	bool		own_backend = false;

	while ((gconf = pooler_next_setting(&it)) != NULL)
	{
		char		buf[POOLER_SETTING_TEXT];
		const char *value;

		if (gconf->reset_source != PGC_S_CLIENT)
			continue;
		if (is_for_a_starting_backend(gconf))
			own_backend = true;
		value = pooler_setting_text(gconf, pooler_setting_reset_value(gconf), buf);
		if (value == NULL)
			continue;
		appendBinaryStringInfo(pairs, gconf->name, strlen(gconf->name) + 1);
		appendBinaryStringInfo(pairs, value, strlen(value) + 1);
	}
	if (own_backend)
	{
		/* comes first */
		enlargeStringInfo(pairs, sizeof(mark));
		memmove(pairs->data + sizeof(mark), pairs->data, pairs->len);
		memcpy(pairs->data, mark, sizeof(mark));
		pairs->len += sizeof(mark);
	}
}

/*---------------------------------------------------------------------------
 * what is in force
 *---------------------------------------------------------------------------
 */

static Applied *
find_applied(const char *name)
{
	for (int i = 0; i < napplied; i++)
	{
		if (strcmp(applied[i].name, name) == 0)
			return &applied[i];
	}
	return NULL;
}

/*
 * What can be set only while a backend starts is not for shared ones; what a
 * transaction sets for itself has no reset value that matters.
 */
static bool
is_for_us(const char *name)
{
	struct config_generic *gconf = pooler_find_setting(name);

	if (gconf == NULL)
		return true;
	return (gconf->context == PGC_USERSET || gconf->context == PGC_SUSET) &&
		gconf->reset_source <= PGC_S_CLIENT &&
		((gconf->flags & GUC_NO_RESET_ALL) == 0 || gconf == pooler_setting_role());
}

/* Of a library, or a name that only a library that is loaded here knows. */
static bool
is_custom(const char *name)
{
	struct config_generic *gconf = pooler_find_setting(name);

	return gconf == NULL || gconf->group == CUSTOM_OPTIONS;
}

static bool
is_in_force(const char *name, const char *value)
{
	Applied    *a = find_applied(name);

	return a != NULL && a->value != NULL && strcmp(a->value, value) == 0;
}

bool
pooler_startup_in_force(const char *pairs, int len)
{
	const char *p = pairs;
	const char *name;
	const char *value;

	while (pooler_next_pair(&p, pairs + len, &name, &value))
	{
		if (!is_in_force(name, value) && is_for_us(name))
			return false;
	}
	return true;
}

/*---------------------------------------------------------------------------
 * taking back
 *---------------------------------------------------------------------------
 */

/* Core's rules: memory is freed when nothing of the variable points to it. */
static void
put_back_extra(struct config_generic *gconf, void **field, Applied *a)
{
	void	   *old = *field;

	*field = a->extra;
	if (old != NULL && old != a->extra && old != gconf->extra)
		pooler_guc_free(old);
}

static void
put_back_string(struct config_string *conf, Applied *a)
{
	char	   *old = conf->reset_val;

	conf->reset_val = a->original.stringval;
	if (old != NULL && old != conf->reset_val && old != *conf->variable &&
		old != conf->boot_val)
		pooler_guc_free(old);
}

static void
put_back_reset_value(struct config_generic *gconf, Applied *a)
{
	switch (gconf->vartype)
	{
		case PGC_BOOL:
			((struct config_bool *) gconf)->reset_val = a->original.boolval;
			put_back_extra(gconf, &((struct config_bool *) gconf)->reset_extra, a);
			break;
		case PGC_INT:
			((struct config_int *) gconf)->reset_val = a->original.intval;
			put_back_extra(gconf, &((struct config_int *) gconf)->reset_extra, a);
			break;
		case PGC_REAL:
			((struct config_real *) gconf)->reset_val = a->original.realval;
			put_back_extra(gconf, &((struct config_real *) gconf)->reset_extra, a);
			break;
		case PGC_STRING:
			put_back_string((struct config_string *) gconf, a);
			put_back_extra(gconf, &((struct config_string *) gconf)->reset_extra, a);
			break;
		case PGC_ENUM:
			((struct config_enum *) gconf)->reset_val = a->original.enumval;
			put_back_extra(gconf, &((struct config_enum *) gconf)->reset_extra, a);
			break;
	}
	gconf->reset_source = a->source;
	gconf->reset_scontext = a->scontext;
	gconf->reset_srole = a->srole;
}

/*
 * A library has defined a variable in the place of the placeholder that we
 * set.  What we have put aside is a string or nothing; core has to read it as
 * a value of that variable.
 */
static void
put_back_text(struct config_generic *gconf, Applied *a)
{
	gconf->reset_source = PGC_S_DEFAULT;
	if (gconf->source == PGC_S_CLIENT)
		pooler_setting_source_default(gconf);
	(void) set_config_option_ext(gconf->name, NULL, PGC_SUSET, PGC_S_DEFAULT,
								 BOOTSTRAP_SUPERUSERID, GUC_ACTION_SET, true,
								 LOG, false);
	if (a->original.stringval != NULL)
	{
		(void) set_config_option_ext(gconf->name, a->original.stringval,
									 PGC_SUSET, a->source, a->srole,
									 GUC_ACTION_SET, true, LOG, false);
		pooler_guc_free(a->original.stringval);
	}
}

static void
free_applied(Applied *a)
{
	pfree(a->name);
	if (a->value != NULL)
		pfree(a->value);
}

static void
undo(Applied *a)
{
	struct config_generic *gconf = pooler_find_setting(a->name);

	if (gconf == NULL)
	{
		/* was a placeholder, and a library has reserved its prefix */
		if (a->original.stringval != NULL)
			pooler_guc_free(a->original.stringval);
	}
	else if (gconf != a->gconf)
		put_back_text(gconf, a);
	else
	{
		put_back_reset_value(gconf, a);
		if (gconf->source == PGC_S_CLIENT)
			pooler_setting_reset(gconf);
	}
	free_applied(a);
}

/*
 * One that gets another value needs not be taken back before, unless that
 * value may be refused.
 */
static bool
stays(const Applied *a, const char *pairs, int len)
{
	const char *value = pooler_find_pair(pairs, len, a->name);

	if (value == NULL)
		return false;
	return !is_custom(a->name) || (a->value != NULL && strcmp(a->value, value) == 0);
}

/* Counts reloads, but for those that are only ours. */
static TimestampTz seen_reload;

static uint32
reload_number(void)
{
	static uint32 number = 0;

	if (PgReloadTime != seen_reload)
	{
		seen_reload = PgReloadTime;
		number++;
	}
	return number;
}

void
pooler_startup_undo(const char *pairs, int len)
{
	bool		outdated = false;

	(void) reload_number();
	for (int i = napplied - 1; i >= 0; i--)
	{
		if (stays(&applied[i], pairs, len))
			continue;
		if (applied[i].since != reload_number())
			outdated = true;
		undo(&applied[i]);
		applied[i] = applied[--napplied];
	}
	if (outdated)
	{
		ProcessConfigFile(PGC_SIGHUP);
		seen_reload = PgReloadTime;
	}
}

/*---------------------------------------------------------------------------
 * applying
 *---------------------------------------------------------------------------
 */

/* The context that core would have set them in; known while applying. */
static GucContext startup_context;

/*
 * The right to set it was checked at login.  False if it was not accepted,
 * and elevel is below ERROR.
 */
static bool
set_reset_value(const char *name, const char *value, int elevel)
{
	int			result = set_config_option_ext(name, value, PGC_SU_BACKEND,
											   PGC_S_CLIENT,
											   GetAuthenticatedUserId(),
											   GUC_ACTION_SET, true, elevel, false);
	struct config_generic *gconf = pooler_find_setting(name);

	if (result == 0)
		return false;
	if (gconf->reset_source == PGC_S_CLIENT)
	{
		gconf->reset_scontext = startup_context;
		if (gconf->source == PGC_S_CLIENT)
			gconf->scontext = gconf->reset_scontext;
	}
	return true;
}

static void *
reset_extra_of(struct config_generic *gconf)
{
	switch (gconf->vartype)
	{
		case PGC_BOOL:
			return ((struct config_bool *) gconf)->reset_extra;
		case PGC_INT:
			return ((struct config_int *) gconf)->reset_extra;
		case PGC_REAL:
			return ((struct config_real *) gconf)->reset_extra;
		case PGC_STRING:
			return ((struct config_string *) gconf)->reset_extra;
		case PGC_ENUM:
			return ((struct config_enum *) gconf)->reset_extra;
	}
	return NULL;				/* keep the compiler quiet */
}

/*
 * Sets it while an entry on the variable's stack points to the reset value,
 * so that core does not free it.  The entry's source keeps core from putting
 * the new value there as well.
 */
static bool
set_guarded(Applied *a, int elevel)
{
	GucStack	guard = {0};
	bool		result;

	Assert(a->gconf->stack == NULL);
	guard.source = PGC_S_SESSION;
	guard.prior.val = a->original;
	guard.prior.extra = a->extra;
	a->gconf->stack = &guard;
	PG_TRY();
	{
		result = set_reset_value(a->name, a->value, elevel);
	}
	PG_CATCH();
	{
		a->gconf->stack = NULL;
		free_applied(a);
		PG_RE_THROW();
	}
	PG_END_TRY();
	a->gconf->stack = NULL;
	return result;
}

static bool
apply_first(const char *name, const char *value, int elevel)
{
	struct config_generic *gconf = pooler_find_setting(name);
	Applied		a = {0};

	/* memory first: afterwards nothing may fail */
	applied = pooler_setting_room(applied, napplied, &max_applied, sizeof(Applied));
	if (gconf == NULL && !pooler_placeholder_make(name))
		return false;
	a.gconf = pooler_find_setting(name);
	a.name = MemoryContextStrdup(TopMemoryContext, name);
	a.value = MemoryContextStrdup(TopMemoryContext, value);
	a.since = reload_number();
	a.original = pooler_setting_reset_value(a.gconf);
	a.extra = reset_extra_of(a.gconf);
	a.source = a.gconf->reset_source;
	a.scontext = a.gconf->reset_scontext;
	a.srole = a.gconf->reset_srole;
	if (!set_guarded(&a, elevel))
	{
		free_applied(&a);
		return false;
	}
	applied[napplied++] = a;
	return true;
}

/* Has no value meanwhile, so that whatever happens, it is set again. */
static bool
apply_again(Applied *a, const char *value, int elevel)
{
	if (a->value != NULL)
		pfree(a->value);
	a->value = NULL;
	if (!set_reset_value(a->name, value, elevel))
		return false;
	a->value = MemoryContextStrdup(TopMemoryContext, value);
	return true;
}

/* Returns how many were not accepted. */
static int
apply_all(const char *pairs, int len, int elevel, bool *progress)
{
	const char *p = pairs;
	const char *name;
	const char *value;
	int			refused = 0;

	*progress = false;
	while (pooler_next_pair(&p, pairs + len, &name, &value))
	{
		Applied    *a = find_applied(name);
		int			level = is_custom(name) ? DEBUG5 : elevel;

		if (is_in_force(name, value) || !is_for_us(name))
			continue;
		if (a != NULL ? apply_again(a, value, level) : apply_first(name, value, level))
			*progress = true;
		else
			refused++;
	}
	return refused;
}

/*
 * As with what a session has set, values may be valid only with others.  A
 * variable of a library need not have been defined by it where the client has
 * logged in: then nobody has checked the value, and LOAD would drop it with a
 * warning.
 */
void
pooler_startup_apply(const char *pairs, int len)
{
	bool		progress = true;

	if (len == 0)
		return;
	startup_context = superuser_arg(GetAuthenticatedUserId()) ? PGC_SU_BACKEND :
		PGC_BACKEND;
	while (progress)
	{
		if (apply_all(pairs, len, DEBUG5, &progress) == 0)
			return;
	}
	(void) apply_all(pairs, len, ERROR, &progress);
}
