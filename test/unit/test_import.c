/*
 * test_import.c
 *		Unit tests of src/import: lines, options, users, values, and whether
 *		the table of parameters is complete and in order.
 */
#include "tap.h"

#include "../../src/import/parameters.h"

#define ENTRY	POOLER_INI_ENTRY
#define MISTAKE	POOLER_INI_MISTAKE
#define HEADER	POOLER_INI_HEADER
#define INCLUDE	POOLER_INI_INCLUDE

static PoolerText
text_of(const uint8_t *bytes, size_t len)
{
	PoolerText	text;

	text.bytes = (const char *) bytes;
	text.len = len;
	return text;
}

/* A terminated copy in a buffer that the next call but seven uses again. */
static const char *
string_of(PoolerWord word)
{
	static char buffers[8][256];
	static int	next = 0;
	char	   *buf = buffers[next++ % 8];

	if (word.text.len >= sizeof(buffers[0]))
		abort();
	if (pooler_word_copy(word, buf) != strlen(buf))
		abort();
	return buf;
}

static const char *
plain(PoolerText text)
{
	PoolerWord	word;

	word.text = text;
	word.quote = '\0';
	return string_of(word);
}

/* One line, at the end of its block so that a read beyond it is seen. */
static void
test_line(void)
{
	static const struct
	{
		const char *line;
		PoolerIniKind kind;
		PoolerImportError error;
		const char *name;
		const char *value;
	}			rows[] = {
		{"a=b", ENTRY, 0, "a", "b"},
		{"a = b", ENTRY, 0, "a", "b"},
		{" \t a\t=\tb c \t\r", ENTRY, 0, "a", "b c"},
		{"a =", ENTRY, 0, "a", ""},
		{"a = = b", ENTRY, 0, "a", "= b"},
		{"a = b # c", ENTRY, 0, "a", "b # c"},
		{"* = host=x", ENTRY, 0, "*", "host=x"},
		{"a.b-c_9 = x", ENTRY, 0, "a.b-c_9", "x"},
		{"\"a b\" = x", ENTRY, 0, "a b", "x"},
		{"\"a\"\"b\"=x", ENTRY, 0, "a\"b", "x"},
		{"\"=\" = x", ENTRY, 0, "=", "x"},
		{"\"\"\"\" = x", ENTRY, 0, "\"", "x"},
		{"[databases]", HEADER, 0, "databases", ""},
		{"[users] ; these", HEADER, 0, "users", ""},
		{"[]", HEADER, 0, "", ""},
		{"%include a b.ini ", INCLUDE, 0, "", "a b.ini"},
		{"%include\ta", INCLUDE, 0, "", "a"},
		{"%include", MISTAKE, POOLER_IMPORT_INCLUDE, NULL, NULL},
		{"%included a", MISTAKE, POOLER_IMPORT_NAME, NULL, NULL},
		{"%", MISTAKE, POOLER_IMPORT_NAME, NULL, NULL},
		{"= b", MISTAKE, POOLER_IMPORT_NAME, NULL, NULL},
		{"\"\" = b", MISTAKE, POOLER_IMPORT_NAME, NULL, NULL},
		{"'a' = b", MISTAKE, POOLER_IMPORT_NAME, NULL, NULL},
		{"\xc3\xa9 = b", MISTAKE, POOLER_IMPORT_NAME, NULL, NULL},
		{"\"a = b", MISTAKE, POOLER_IMPORT_NAME_QUOTE, NULL, NULL},
		{"\"a\"\" = b", MISTAKE, POOLER_IMPORT_NAME_QUOTE, NULL, NULL},
		{"\"", MISTAKE, POOLER_IMPORT_NAME_QUOTE, NULL, NULL},
		{"a", MISTAKE, POOLER_IMPORT_EQUALS, NULL, NULL},
		{"a b = c", MISTAKE, POOLER_IMPORT_EQUALS, NULL, NULL},
		{"\"a\"b = c", MISTAKE, POOLER_IMPORT_EQUALS, NULL, NULL},
		{"[databases", MISTAKE, POOLER_IMPORT_SECTION, NULL, NULL},
		{"[", MISTAKE, POOLER_IMPORT_SECTION, NULL, NULL},
		{"[a] b = c", MISTAKE, POOLER_IMPORT_AFTER_SECTION, NULL, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		size_t		len = strlen(rows[i].line);
		uint8_t    *bytes = exact(rows[i].line, len);
		PoolerImportReader reader = pooler_import_reader((char *) bytes, len);
		PoolerIniLine line;

		ok(pooler_ini_next(&reader, &line), "a line: %s", rows[i].line);
		is(line.kind, rows[i].kind, "its kind");
		is(line.error, rows[i].error, "its mistake");
		if (rows[i].name != NULL)
		{
			is_str(string_of(line.name), rows[i].name, "its name");
			is_str(plain(line.value), rows[i].value, "its value");
		}
		ok(!pooler_ini_next(&reader, &line), "and no other");
		free(bytes);
	}
}

/* Numbers of lines, and sections. */
static void
test_lines(void)
{
	static const char ini[] =
		"before = 1\n"
		"\n"
		"; comment\n"
		"  # [users]\n"
		"[databases]\r\n"
		"a = x\r\n"
		"[pgbouncer]\n"
		"b = 1\n"
		"[users\n"
		"c = 1\n"
		"[users]\n"
		"d =\n"
		"[Peers]\n"
		"e = 1\n"
		"[peers]\n"
		"f = 1";
	static const struct
	{
		int			line;
		PoolerIniKind kind;
		PoolerIniSection section;
	}			rows[] = {
		{1, ENTRY, POOLER_INI_NO_SECTION},
		{5, HEADER, POOLER_INI_DATABASES},
		{6, ENTRY, POOLER_INI_DATABASES},
		{7, HEADER, POOLER_INI_PGBOUNCER},
		{8, ENTRY, POOLER_INI_PGBOUNCER},
		{9, MISTAKE, POOLER_INI_OTHER},
		{10, ENTRY, POOLER_INI_OTHER},
		{11, HEADER, POOLER_INI_USERS},
		{12, ENTRY, POOLER_INI_USERS},
		{13, HEADER, POOLER_INI_OTHER},
		{14, ENTRY, POOLER_INI_OTHER},
		{15, HEADER, POOLER_INI_PEERS},
		{16, ENTRY, POOLER_INI_PEERS},
	};
	PoolerImportReader reader = pooler_import_reader(ini, sizeof(ini) - 1);
	PoolerIniLine line;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		ok(pooler_ini_next(&reader, &line), "row %d", (int) i);
		is(reader.line, rows[i].line, "its line");
		is(line.kind, rows[i].kind, "its kind");
		is(line.section, rows[i].section, "its section");
	}
	ok(!pooler_ini_next(&reader, &line), "the end");
	reader = pooler_import_reader("", 0);
	ok(!pooler_ini_next(&reader, &line), "nothing at all");
	reader = pooler_import_reader("\n \n", 3);
	ok(!pooler_ini_next(&reader, &line), "nothing but empty lines");
}

static void
test_options(void)
{
	static const struct
	{
		const char *value;
		PoolerImportError error;
		bool		comment;
		int			n;
		const char *name;		/* of the last one */
		const char *word;
	}			rows[] = {
		{"", 0, false, 0, NULL, NULL},
		{"a=b", 0, false, 1, "a", "b"},
		{"a=b c=d", 0, false, 2, "c", "d"},
		{"a = b  c\t=\td", 0, false, 2, "c", "d"},
		{"a='b c'", 0, false, 1, "a", "b c"},
		{"a='it''s' d='e'", 0, false, 2, "d", "e"},
		{"d=e a='it''s'", 0, false, 2, "a", "it's"},
		{"a=b'c", 0, false, 1, "a", "b'c"},
		{"a==b", 0, false, 1, "a", "=b"},
		{"a=''''", 0, false, 1, "a", "'"},
		{"a=b # c", 0, true, 1, "a", "b"},
		{"; a=b", 0, true, 0, NULL, NULL},
		{"a=b#c", 0, false, 1, "a", "b#c"},
		{"=b", POOLER_IMPORT_OPTION_NAME, false, 0, NULL, NULL},
		{"a=b =c", POOLER_IMPORT_OPTION_NAME, false, 1, NULL, NULL},
		{"a", POOLER_IMPORT_OPTION_EQUALS, false, 0, NULL, NULL},
		{"a=b c", POOLER_IMPORT_OPTION_EQUALS, false, 1, NULL, NULL},
		{"a b=c", POOLER_IMPORT_OPTION_EQUALS, false, 0, NULL, NULL},
		{"a=", POOLER_IMPORT_OPTION_VALUE, false, 0, NULL, NULL},
		{"a=''", POOLER_IMPORT_OPTION_VALUE, false, 0, NULL, NULL},
		{"a='b", POOLER_IMPORT_OPTION_QUOTE, false, 0, NULL, NULL},
		{"a='b''", POOLER_IMPORT_OPTION_QUOTE, false, 0, NULL, NULL},
		{"a='", POOLER_IMPORT_OPTION_QUOTE, false, 0, NULL, NULL},
		{"a='b'c=d", POOLER_IMPORT_AFTER_QUOTE, false, 0, NULL, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		size_t		len = strlen(rows[i].value);
		uint8_t    *bytes = exact(rows[i].value, len);
		PoolerOptions options = pooler_options(text_of(bytes, len));
		PoolerOption option;
		int			n = 0;

		while (pooler_option_next(&options, &option))
			n++;
		is(n, rows[i].n, "options in: %s", rows[i].value);
		is(options.error, rows[i].error, "their mistake");
		is(options.comment, rows[i].comment, "a comment");
		if (rows[i].name != NULL)
		{
			is_str(plain(option.name), rows[i].name, "name of the last one");
			is_str(string_of(option.value), rows[i].word, "its value");
		}
		ok(!pooler_option_next(&options, &option), "no more of them");
		free(bytes);
	}
}

static void
test_userlist(void)
{
	static const struct
	{
		const char *line;
		PoolerImportError error;
		const char *name;
		const char *secret;
	}			rows[] = {
		{"\"a\" \"b\"", 0, "a", "b"},
		{"  \"a\"\t\"b\" and more", 0, "a", "b"},
		{"\"a\"\"b\"", POOLER_IMPORT_SECRET, NULL, NULL},
		{"\"a b\" \"\"", 0, "a b", ""},
		{"\"a\"\"b\" \"c\"\"d\"", 0, "a\"b", "c\"d"},
		{"\"a\" \"\"\"\"", 0, "a", "\""},
		{"a b", POOLER_IMPORT_USER, NULL, NULL},
		{"\"a b", POOLER_IMPORT_USER, NULL, NULL},
		{"\"\" \"b\"", POOLER_IMPORT_USER, NULL, NULL},
		{"\"a\"", POOLER_IMPORT_SECRET, NULL, NULL},
		{"\"a\" b", POOLER_IMPORT_SECRET, NULL, NULL},
		{"\"a\" \"b", POOLER_IMPORT_SECRET, NULL, NULL},
		{"\"a\" \"b\"\"", POOLER_IMPORT_SECRET, NULL, NULL},
	};
	static const char file[] = "; comment\n\n\"a\" \"b\"\nbad\n\"c\" \"d\"\n";
	PoolerImportReader reader;
	PoolerUserLine user;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		size_t		len = strlen(rows[i].line);
		uint8_t    *bytes = exact(rows[i].line, len);

		reader = pooler_import_reader((char *) bytes, len);
		ok(pooler_userlist_next(&reader, &user), "a line: %s", rows[i].line);
		is(user.error, rows[i].error, "its mistake");
		if (rows[i].name != NULL)
		{
			is_str(string_of(user.name), rows[i].name, "its name");
			is_str(string_of(user.secret), rows[i].secret, "its secret");
		}
		ok(!pooler_userlist_next(&reader, &user), "and no other");
		free(bytes);
	}

	reader = pooler_import_reader(file, sizeof(file) - 1);
	ok(pooler_userlist_next(&reader, &user) && reader.line == 3, "first user");
	ok(pooler_userlist_next(&reader, &user) && reader.line == 4 &&
	   user.error == POOLER_IMPORT_USER, "a mistake");
	ok(pooler_userlist_next(&reader, &user) && reader.line == 5 &&
	   user.error == POOLER_IMPORT_OK, "which does not hide the next one");
	ok(!pooler_userlist_next(&reader, &user), "the end");
}

static void
test_texts(void)
{
	static const struct
	{
		const char *value;
		bool		comment;
		const char *rest;
	}			cuts[] = {
		{"200   # clients", true, "200"},
		{"200\t; clients", true, "200"},
		{"200", false, "200"},
		{"a#b", false, "a#b"},
		{"a;b", false, "a;b"},
		{"# all", true, ""},
		{"", false, ""},
		{"a b #", true, "a b"},
	};
	static const char *const names[] = {"a", "b", "c-d", "e"};
	PoolerText	list = text_of((const uint8_t *) " a,b  c-d ,, e ", 15);
	PoolerText	name;

	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
	{
		size_t		len = strlen(cuts[i].value);
		uint8_t    *bytes = exact(cuts[i].value, len);
		PoolerText	text = text_of(bytes, len);

		is(pooler_text_cut_comment(&text), cuts[i].comment, "a comment in: %s",
		   cuts[i].value);
		is_str(plain(text), cuts[i].rest, "what is left");
		free(bytes);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ok(pooler_name_next(&list, &name) && pooler_text_equals(name, names[i]),
		   "name %s", names[i]);
	ok(!pooler_name_next(&list, &name), "no more names");
	ok(!pooler_text_equals(text_of((const uint8_t *) "ab", 2), "abc") &&
	   !pooler_text_equals(text_of((const uint8_t *) "abc", 3), "ab"),
	   "texts of other lengths are not equal");

	for (int e = 0; e < POOLER_IMPORT_NERRORS; e++)
	{
		const char *sentence = pooler_import_error_text(e);

		ok(sentence != NULL && sentence[strlen(sentence) - 1] == '.',
		   "mistake %d has a sentence", e);
	}
}

static void
test_values(void)
{
	static const struct
	{
		PoolerValueType type;
		const char *text;
		const char *value;		/* NULL: refused */
		bool		zero;
	}			rows[] = {
		{POOLER_VALUE_INTEGER, "20", "20", false},
		{POOLER_VALUE_INTEGER, "0", "0", true},
		{POOLER_VALUE_INTEGER, "+7", "7", false},
		{POOLER_VALUE_INTEGER, "0x1F", "31", false},
		{POOLER_VALUE_INTEGER, "0777", "511", false},
		{POOLER_VALUE_INTEGER, "00", "0", true},
		{POOLER_VALUE_INTEGER, "2147483647", "2147483647", false},
		{POOLER_VALUE_INTEGER, "2147483648", NULL, false},
		{POOLER_VALUE_INTEGER, "99999999999999999999999999", NULL, false},
		{POOLER_VALUE_INTEGER, "-0", "0", true},
		{POOLER_VALUE_INTEGER, "-1", NULL, false},
		{POOLER_VALUE_INTEGER, "08", NULL, false},
		{POOLER_VALUE_INTEGER, "0x", NULL, false},
		{POOLER_VALUE_INTEGER, "0xg", NULL, false},
		{POOLER_VALUE_INTEGER, "", NULL, false},
		{POOLER_VALUE_INTEGER, "-", NULL, false},
		{POOLER_VALUE_INTEGER, "1 2", NULL, false},
		{POOLER_VALUE_INTEGER, "20s", NULL, false},
		{POOLER_VALUE_INTEGER, "1.5", NULL, false},
		{POOLER_VALUE_BOOLEAN, "1", "on", false},
		{POOLER_VALUE_BOOLEAN, "2", "on", false},
		{POOLER_VALUE_BOOLEAN, "0", "off", true},
		{POOLER_VALUE_BOOLEAN, "yes", NULL, false},
		{POOLER_VALUE_SECONDS, "15", "15s", false},
		{POOLER_VALUE_SECONDS, "015", "15s", false},
		{POOLER_VALUE_SECONDS, "15.0", "15s", false},
		{POOLER_VALUE_SECONDS, "15.", "15s", false},
		{POOLER_VALUE_SECONDS, "0", "0", true},
		{POOLER_VALUE_SECONDS, "0.0", "0", true},
		{POOLER_VALUE_SECONDS, "0.001", "0.001s", false},
		{POOLER_VALUE_SECONDS, ".5", "0.5s", false},
		{POOLER_VALUE_SECONDS, ".0", "0", true},
		{POOLER_VALUE_SECONDS, "1.25", "1.25s", false},
		{POOLER_VALUE_SECONDS, "1.2050", "1.205s", false},
		{POOLER_VALUE_SECONDS, "2147483647.9999999999", "2147483647.999999999s", false},
		{POOLER_VALUE_SECONDS, "0.00000000001", "0.000000001s", false},
		{POOLER_VALUE_SECONDS, "0.0010000000001", "0.001s", false},
		{POOLER_VALUE_SECONDS, "1.5x", NULL, false},
		{POOLER_VALUE_SECONDS, ".", NULL, false},
		{POOLER_VALUE_SECONDS, "", NULL, false},
		{POOLER_VALUE_SECONDS, "1.2.3", NULL, false},
		{POOLER_VALUE_SECONDS, "1,5", NULL, false},
		{POOLER_VALUE_SECONDS, "-1", NULL, false},
		{POOLER_VALUE_SECONDS, "15s", NULL, false},
		{POOLER_VALUE_SECONDS, "2147483648", NULL, false},
		{POOLER_VALUE_MILLISECONDS, "250", "250ms", false},
		{POOLER_VALUE_MILLISECONDS, "0", "0", true},
		{POOLER_VALUE_POOL_MODE, "transaction", "transaction", false},
		{POOLER_VALUE_POOL_MODE, "Session", "session", false},
		{POOLER_VALUE_POOL_MODE, "STATEMENT", "statement", false},
		{POOLER_VALUE_POOL_MODE, "trans", NULL, false},
		{POOLER_VALUE_POOL_MODE, "transactions", NULL, false},
		{POOLER_VALUE_POOL_MODE, "", NULL, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		size_t		len = strlen(rows[i].text);
		uint8_t    *bytes = exact(rows[i].text, len);
		PoolerValue value;
		bool		valid;

		valid = pooler_parameter_value(rows[i].type, text_of(bytes, len), &value);
		is_str(valid ? value.text : NULL, rows[i].value, "value %d: %s",
			   rows[i].type, rows[i].text);
		if (valid && rows[i].value != NULL)
			is(value.zero, rows[i].zero, "is it 0?");
		free(bytes);
	}
}

/* Does the row say what becomes of the parameter? */
static bool
is_complete(const PoolerParameter *p)
{
	switch (p->how)
	{
		case POOLER_HOW_NOTE:
			return p->reason != NULL && p->action != NULL;
		case POOLER_HOW_SERVER:
			return p->reason != NULL && p->target != NULL;
		case POOLER_HOW_SETTING:
			return (p->zero_reason == NULL) ==
				(p->zero == NULL && p->zero_action == NULL);
		case POOLER_HOW_ALIAS:
			return p->places == POOLER_IN_DATABASE;
		default:
			return p->reason != NULL;
	}
}

/*
 * Every parameter of PgBouncer 1.26, as SHOW CONFIG and the manual have them.
 * A list of its own, so that a row that gets lost is missed.
 */
static void
test_parameters(void)
{
	static const char *const pgbouncer =
		"admin_users application_name_add_host auth_dbname auth_file auth_hba_file "
		"auth_ident_file auth_ldap_options auth_query auth_type auth_user "
		"autodb_idle_timeout cancel_wait_timeout client_idle_timeout "
		"client_login_timeout client_tls13_ciphers client_tls_ca_file "
		"client_tls_cert_file client_tls_ciphers client_tls_dheparams "
		"client_tls_ecdhcurve client_tls_key_file client_tls_protocols "
		"client_tls_sslmode conffile default_pool_size disable_pqexec dns_max_ttl "
		"dns_nxdomain_ttl dns_zone_check_period idle_transaction_timeout "
		"ignore_startup_parameters job_name listen_addr listen_backlog listen_port "
		"log_connections log_disconnections log_pooler_errors log_stats logfile "
		"login_notify_message max_client_conn max_db_client_connections "
		"max_db_connections max_packet_size max_prepared_statements "
		"max_user_client_connections max_user_connections min_pool_size peer_id "
		"pidfile pkt_buf pool_mode pool_idle_timeout query_timeout "
		"query_wait_notify query_wait_timeout reserve_pool_size "
		"reserve_pool_timeout resolv_conf sbuf_loopcnt scram_iterations "
		"server_check_delay server_check_query server_connect_timeout "
		"server_fast_close server_idle_timeout server_lifetime server_login_retry "
		"server_reset_query server_reset_query_always server_round_robin "
		"server_tls13_ciphers server_tls_ca_file server_tls_cert_file "
		"server_tls_ciphers server_tls_key_file server_tls_protocols "
		"server_tls_sslmode service_name so_reuseport stats_period stats_users "
		"suspend_timeout syslog syslog_facility syslog_ident tcp_defer_accept "
		"tcp_keepalive tcp_keepcnt tcp_keepidle tcp_keepintvl tcp_socket_buffer "
		"tcp_user_timeout track_extra_parameters transaction_timeout "
		"unix_socket_dir unix_socket_group unix_socket_mode user verbose";
	static const char *const databases =
		"dbname host port user password auth_user auth_query auth_dbname pool_size "
		"min_pool_size reserve_pool_size reserve_pool connect_query pool_mode "
		"query_wait_timeout load_balance_hosts max_db_connections "
		"max_db_client_connections server_lifetime client_encoding datestyle "
		"timezone application_name";
	static const char *const users =
		"pool_size reserve_pool_size pool_mode max_user_connections "
		"max_user_client_connections query_timeout query_wait_timeout "
		"idle_transaction_timeout transaction_timeout client_idle_timeout";
	const char *const lists[] = {pgbouncer, databases, users};
	const unsigned places[] = {POOLER_IN_PGBOUNCER, POOLER_IN_DATABASE, POOLER_IN_USER};

	for (int place = 0; place < 3; place++)
	{
		PoolerText	list = text_of((const uint8_t *) lists[place],
								   strlen(lists[place]));
		PoolerText	name;
		int			listed = 0;
		int			known = 0;

		for (; pooler_name_next(&list, &name); listed++)
			ok(pooler_parameter(name, places[place]) != NULL,
			   "%s is known in place %d", plain(name), place);
		for (int i = 0; i < pooler_nparameters; i++)
			known += (pooler_parameters[i].places & places[place]) != 0;
		is(known, listed, "and no others");
	}
	for (int i = 0; i < pooler_nparameters; i++)
	{
		const PoolerParameter *p = &pooler_parameters[i];
		PoolerText	name = text_of((const uint8_t *) p->name, strlen(p->name));

		ok(is_complete(p), "the row of %s is complete", p->name);
		is((p->absent_reason == NULL), (p->absent_action == NULL),
		   "what its absence means is, too");
		for (int place = 0; place < 3; place++)
		{
			if ((p->places & places[place]) != 0)
				ok(pooler_parameter(name, places[place]) == p,
				   "there is one row for %s in place %d", p->name, place);
		}
	}
	ok(pooler_parameter(text_of((const uint8_t *) "dbname", 6),
						POOLER_IN_PGBOUNCER) == NULL,
	   "an option of databases is none of [pgbouncer]");
}

int
main(void)
{
	test_line();
	test_lines();
	test_options();
	test_userlist();
	test_texts();
	test_values();
	test_parameters();
	return done_testing();
}
