# leak_psycopg.py HOW
#
# psycopg 3 in programs that do not give back what they have taken, and in one
# that does.  Each says on its standard output what it has, waits for a line on
# its standard input, and says how it goes on.

import os
import random
import sys
import threading
import time

import psycopg
from psycopg_pool import ConnectionPool

HOW = sys.argv[1]
NAME = 'leak psycopg ' + HOW


def connect(**options):
    return psycopg.connect('', application_name=NAME, **options)


def forgets_commit():
    """It only reads, so why should it commit?"""
    conn = connect()
    pid = conn.execute('SELECT pg_backend_pid()').fetchone()[0]
    conn.execute("SELECT 'the last thing it asks'")
    return conn, pid


def holds_rows():
    """It changes a row, and then has something else to do."""
    conn = connect()
    conn.execute('UPDATE accounts SET balance = balance - 1 WHERE id = 1')
    pid = conn.execute('SELECT pg_backend_pid()').fetchone()[0]
    return conn, pid


def keeps_locks():
    """Each job takes its lock, and none gives it back."""
    conn = connect(autocommit=True)
    for job in range(5):
        conn.execute('SELECT pg_advisory_lock(%s)', (job,))
    pid = conn.execute('SELECT pg_backend_pid()').fetchone()[0]
    return conn, pid


def leak(function):
    conn, pid = function()
    print(f'leaking {pid}', flush=True)
    sys.stdin.readline()
    try:
        conn.execute('SELECT 1')
        print('went on', flush=True)
    except psycopg.Error as e:
        print(f'error: {e}'.replace('\n', ' '), flush=True)


def worker(pool, until, failures):
    while time.monotonic() < until:
        try:
            with pool.connection() as conn:
                row = random.randrange(2, 1000)
                conn.execute('SELECT balance FROM accounts WHERE id = %s', (row,))
                conn.execute('UPDATE accounts SET balance = balance + 1 WHERE id = %s',
                             (row,))
                with conn.cursor('rows') as rows:
                    rows.itersize = 10
                    rows.execute('SELECT id FROM accounts ORDER BY id LIMIT 50')
                    assert len(rows.fetchall()) == 50
                time.sleep(random.random() / 50)
        except psycopg.Error as e:
            failures.append(str(e))
            return


def sound():
    """Transactions by a pool, and a worker that listens."""
    until = time.monotonic() + float(os.environ['SECONDS'])
    failures = []
    listener = connect(autocommit=True)
    listener.execute('LISTEN jobs')
    print('at work', flush=True)
    with ConnectionPool('', min_size=2, max_size=8, timeout=60,
                        kwargs={'application_name': NAME}) as pool:
        threads = [threading.Thread(target=worker, args=(pool, until, failures))
                   for _ in range(8)]
        for t in threads:
            t.start()
        while time.monotonic() < until:
            listener.execute("NOTIFY jobs, 'next'")
            time.sleep(0.3)
        for t in threads:
            t.join()
    listener.close()
    print('\n'.join(failures) or 'done', flush=True)


if HOW == 'sound':
    sound()
else:
    leak({'forgets_commit': forgets_commit, 'holds_rows': holds_rows,
          'keeps_locks': keeps_locks}[HOW])
