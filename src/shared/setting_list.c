/*-------------------------------------------------------------------------
 *
 * setting_list.c
 *	  All settings of the pooler, as the console lists and finds them.
 *
 * Runs in: any process.  Reads core's table of configuration variables and
 * changes nothing there.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "shared/setting_list.h"
#include "utils/guc_tables.h"

#define PREFIX		"pooler."

static const struct
{
	const char *name;
	const char *pgbouncer_name;
}			other_names[] = {
	{"pooler.admin_roles", "admin_users"},
	{"pooler.listen_addresses", "listen_addr"},
	{"pooler.port", "listen_port"},
	{"pooler.unix_socket_directories", "unix_socket_dir"},
};

static const char *
pgbouncer_name(const char *name)
{
	for (int i = 0; i < (int) lengthof(other_names); i++)
	{
		if (strcmp(name, other_names[i].name) == 0)
			return other_names[i].pgbouncer_name;
	}
	return name + strlen(PREFIX);
}

static const char *
enum_name(struct config_enum *conf, int value)
{
	return config_enum_lookup_by_value(conf, value);
}

static void
print_values(struct config_generic *generic, PoolerSettingItem *item)
{
	switch (generic->vartype)
	{
		case PGC_BOOL:
			{
				struct config_bool *conf = (struct config_bool *) generic;

				item->value = pstrdup(*conf->variable ? "1" : "0");
				item->boot = pstrdup(conf->boot_val ? "1" : "0");
			}
			break;
		case PGC_INT:
			{
				struct config_int *conf = (struct config_int *) generic;

				item->value = psprintf("%d", *conf->variable);
				item->boot = psprintf("%d", conf->boot_val);
			}
			break;
		case PGC_REAL:
			{
				struct config_real *conf = (struct config_real *) generic;

				item->value = psprintf("%.10g", *conf->variable);
				item->boot = psprintf("%.10g", conf->boot_val);
			}
			break;
		case PGC_STRING:
			{
				struct config_string *conf = (struct config_string *) generic;

				item->value = pstrdup(*conf->variable ? *conf->variable : "");
				item->boot = pstrdup(conf->boot_val ? conf->boot_val : "");
			}
			break;
		case PGC_ENUM:
			{
				struct config_enum *conf = (struct config_enum *) generic;

				item->value = pstrdup(enum_name(conf, *conf->variable));
				item->boot = pstrdup(enum_name(conf, conf->boot_val));
			}
			break;
	}
}

static int
by_pgbouncer_name(const ListCell *a, const ListCell *b)
{
	const PoolerSettingItem *left = lfirst(a);
	const PoolerSettingItem *right = lfirst(b);

	return strcmp(left->pgbouncer_name, right->pgbouncer_name);
}

List *
pooler_setting_list(void)
{
	int			n;
	struct config_generic **all = pooler_guc_variables(&n);
	List	   *list = NIL;

	for (int i = 0; i < n; i++)
	{
		PoolerSettingItem *item;

		/* somebody may have made one up, as a placeholder */
		if (strncmp(all[i]->name, PREFIX, strlen(PREFIX)) != 0 ||
			(all[i]->flags & GUC_CUSTOM_PLACEHOLDER) != 0)
			continue;
		item = palloc(sizeof(PoolerSettingItem));
		item->name = all[i]->name;
		item->pgbouncer_name = pgbouncer_name(all[i]->name);
		item->reloadable = all[i]->context != PGC_POSTMASTER;
		print_values(all[i], item);
		list = lappend(list, item);
	}
	list_sort(list, by_pgbouncer_name);
	return list;
}

PoolerSettingItem *
pooler_setting_find(const char *name)
{
	ListCell   *cell;

	if (pg_strncasecmp(name, PREFIX, strlen(PREFIX)) == 0)
		name += strlen(PREFIX);
	foreach(cell, pooler_setting_list())
	{
		PoolerSettingItem *item = lfirst(cell);

		if (pg_strcasecmp(name, item->pgbouncer_name) == 0 ||
			pg_strcasecmp(name, item->name + strlen(PREFIX)) == 0)
			return item;
	}
	return NULL;
}
