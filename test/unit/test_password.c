/*
 * test_password.c
 *		Unit tests of src/proto/password.c.
 */
#include "tap.h"

#include "../../src/proto/password.h"

static void
test_inspect(void)
{
	static const struct
	{
		const char *what;
		const char *bytes;
		size_t		len;
		uint32_t	limit;
		PoolerPasswordVerdict verdict;
		uint32_t	need;
		uint32_t	body_len;
	}			rows[] = {
		{"nothing", BYTES(""), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_NEED_MORE, 5, 0},
		{"p alone", BYTES("p"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_NEED_MORE, 5, 0},
		{"four bytes", BYTES("p\0\0\0"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_NEED_MORE, 5, 0},
		{"another type", BYTES("Q"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_WRONG_TYPE, 0, 0},
		{"terminate", BYTES("X\0\0\0\4"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_WRONG_TYPE, 0, 0},
		{"zero byte", BYTES("\0"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_WRONG_TYPE, 0, 0},
		{"length 0", BYTES("p\0\0\0\0"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_INVALID_LENGTH, 0, 0},
		{"length 3", BYTES("p\0\0\0\3"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_INVALID_LENGTH, 0, 0},
		{"length 4", BYTES("p\0\0\0\4"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_WHOLE, 5, 0},
		{"header only", BYTES("p\0\0\0\10"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_NEED_MORE, 9, 0},
		{"whole", BYTES("p\0\0\0\10abc\0"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_WHOLE, 9, 4},
		{"whole and more", BYTES("p\0\0\0\10abc\0Q"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_WHOLE, 9, 4},
		{"the longest", BYTES("p\0\0\xff\xff"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_NEED_MORE, 65536, 0},
		{"too long", BYTES("p\0\1\0\0"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_INVALID_LENGTH, 0, 0},
		{"the longest of SASL", BYTES("p\0\0\4\0"), POOLER_SASL_LIMIT, POOLER_PASSWORD_NEED_MORE, 1025, 0},
		{"too long for SASL", BYTES("p\0\0\4\1"), POOLER_SASL_LIMIT, POOLER_PASSWORD_INVALID_LENGTH, 0, 0},
		{"2 GB", BYTES("p\x7f\xff\xff\xff"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_INVALID_LENGTH, 0, 0},
		{"negative", BYTES("p\xff\xff\xff\xff"), POOLER_PASSWORD_LIMIT, POOLER_PASSWORD_INVALID_LENGTH, 0, 0},
	};
	size_t		i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t    *bytes = exact(rows[i].bytes, rows[i].len);
		PoolerPassword p;

		is(pooler_password_inspect(bytes, rows[i].len, rows[i].limit, &p),
		   rows[i].verdict, "inspect: %s", rows[i].what);
		is(p.need, rows[i].need, "inspect: %s: need", rows[i].what);
		is(p.len, rows[i].body_len, "inspect: %s: body", rows[i].what);
		free(bytes);
	}
}

static void
test_inspect_byte_by_byte(void)
{
	static const char whole[] = "p\0\0\0\13secret";
	size_t		len = sizeof(whole);
	size_t		n;

	for (n = 0; n < len; n++)
	{
		uint8_t    *part = exact(whole, n);
		PoolerPassword p;

		is(pooler_password_inspect(part, n, POOLER_PASSWORD_LIMIT, &p),
		   POOLER_PASSWORD_NEED_MORE, "inspect: %zu bytes", n);
		is(p.need, n < 5 ? 5 : (long long) len, "inspect: %zu bytes: need", n);
		free(part);
	}
}

static void
test_password(void)
{
	static const struct
	{
		const char *what;
		const char *body;
		size_t		len;
		PoolerProtoError error;
		const char *password;
	}			rows[] = {
		{"good", BYTES("secret\0"), POOLER_PROTO_OK, "secret"},
		{"empty body", BYTES(""), POOLER_PROTO_PASSWORD_SIZE, NULL},
		{"empty password", BYTES("\0"), POOLER_PROTO_PASSWORD_EMPTY, NULL},
		{"no terminator", BYTES("secret"), POOLER_PROTO_PASSWORD_SIZE, NULL},
		{"two terminators", BYTES("secret\0\0"), POOLER_PROTO_PASSWORD_SIZE, NULL},
		{"zero byte inside", BYTES("sec\0ret\0"), POOLER_PROTO_PASSWORD_SIZE, NULL},
		{"two zero bytes", BYTES("\0\0"), POOLER_PROTO_PASSWORD_SIZE, NULL},
	};
	size_t		i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t    *body = exact(rows[i].body, rows[i].len);
		const char *password = NULL;

		is(pooler_password_parse(body, rows[i].len, &password), rows[i].error,
		   "password: %s", rows[i].what);
		if (rows[i].error == POOLER_PROTO_OK)
			is_str(password, rows[i].password, "password: %s: text",
				   rows[i].what);
		free(body);
	}
}

static void
test_sasl(void)
{
	static const struct
	{
		const char *what;
		const char *body;
		size_t		len;
		PoolerProtoError error;
		const char *mechanism;
		bool		has_data;
		size_t		data_len;
	}			rows[] = {
		{"with data", BYTES("SCRAM-SHA-256\0\0\0\0\3n,,"), POOLER_PROTO_OK, "SCRAM-SHA-256", true, 3},
		{"no data", BYTES("SCRAM-SHA-256\0\xff\xff\xff\xff"), POOLER_PROTO_OK, "SCRAM-SHA-256", false, 0},
		{"empty data", BYTES("M\0\0\0\0\0"), POOLER_PROTO_OK, "M", true, 0},
		{"empty mechanism", BYTES("\0\0\0\0\1x"), POOLER_PROTO_OK, "", true, 1},
		{"empty", BYTES(""), POOLER_PROTO_STRING, NULL, false, 0},
		{"unterminated mechanism", BYTES("SCRAM"), POOLER_PROTO_STRING, NULL, false, 0},
		{"no length", BYTES("M\0"), POOLER_PROTO_SHORT, "M", false, 0},
		{"half a length", BYTES("M\0\0\0\0"), POOLER_PROTO_SHORT, "M", false, 0},
		{"short data", BYTES("M\0\0\0\0\2x"), POOLER_PROTO_SHORT, "M", false, 0},
		{"length -2", BYTES("M\0\xff\xff\xff\xfex"), POOLER_PROTO_SHORT, "M", false, 0},
		{"length 2 GB", BYTES("M\0\x7f\xff\xff\xffx"), POOLER_PROTO_SHORT, "M", false, 0},
		{"trailing byte", BYTES("M\0\0\0\0\1xy"), POOLER_PROTO_FORMAT, "M", true, 1},
		{"trailing byte, no data", BYTES("M\0\xff\xff\xff\xffy"), POOLER_PROTO_FORMAT, "M", false, 0},
	};
	size_t		i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t    *body = exact(rows[i].body, rows[i].len);
		PoolerSaslInitial s;

		is(pooler_password_parse_sasl(body, rows[i].len, &s), rows[i].error,
		   "sasl: %s", rows[i].what);
		is_str(s.mechanism, rows[i].mechanism, "sasl: %s: mechanism",
			   rows[i].what);
		is(s.has_data, rows[i].has_data, "sasl: %s: has data", rows[i].what);
		is((long long) s.data_len, (long long) rows[i].data_len,
		   "sasl: %s: length of the data", rows[i].what);
		free(body);
	}
}

int
main(void)
{
	test_inspect();
	test_inspect_byte_by_byte();
	test_password();
	test_sasl();
	return done_testing();
}
