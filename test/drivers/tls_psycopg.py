# tls_psycopg.py
#
# psycopg (libpq) by TLS, as the variables PG... say: a prepared statement and a
# transaction.  All programs tls_... do the same, and print the same line.

import psycopg

QUERY = ('SELECT ssl::text FROM pg_stat_ssl'
         ' WHERE pid = pg_backend_pid() AND %s::int > 0')

with psycopg.connect('', autocommit=True) as conn:
    for number in range(1, 4):
        ssl = conn.execute(QUERY, (number,), prepare=True).fetchone()[0]
    with conn.transaction():
        conn.execute("INSERT INTO seen VALUES ('psycopg')")
        count = conn.execute("SELECT count(*) FROM seen"
                             " WHERE driver = 'psycopg'").fetchone()[0]
    print(ssl, count)
