# with_psycopg.py
#
# psycopg 3 at its ordinary work: statements that it prepares by itself when
# they are repeated, pipelines, cursors, COPY, notices, LISTEN, its own pool.

import datetime
import decimal
import logging
import os
import select
import socket
import threading
import uuid

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool
from transcript import Transcript, finish

SESSIONS = 5
ROUNDS = 8
ZONES = ['Asia/Tokyo', 'Europe/Paris', 'America/Lima', 'UTC', 'Africa/Cairo']
ALONE = os.environ.get('DRIVERS_ALONE', '1') == '1'
TIMEOUT = 20

transcripts = []
# it warns of each pipeline that ends with an error, which is wanted here
logging.disable(logging.WARNING)


class Session:
    """A connection with settings that no other has, and its transcript."""

    def __init__(self, part, number, **options):
        self.number = number
        self.t = Transcript(f'{part} {number}')
        transcripts.append(self.t)
        self.conn = psycopg.connect('', autocommit=True, **options)
        self.conn.execute('SET search_path TO with_psycopg')
        self.conn.execute(f"SET TIME ZONE '{ZONES[number]}'")
        self.conn.execute("SELECT set_config('app.user_id', %s, false)",
                          (str(number),))
        self.notices = []
        self.conn.add_notice_handler(
            lambda diag: self.notices.append(
                (diag.severity, diag.sqlstate, diag.message_primary)))

    def check(self, label='settings'):
        """Whatever happened, these are still this session's."""
        row = self.conn.execute(
            "SELECT current_setting('app.user_id'),"
            " current_setting('TimeZone'), current_schema()").fetchone()
        self.t.expect(label, row,
                      (str(self.number), ZONES[self.number], 'with_psycopg'))
        self.t.expect('TimeZone as reported',
                      self.conn.info.parameter_status('TimeZone'),
                      ZONES[self.number])

    def fails(self, label, wanted, function):
        """An error with this code; the connection is usable afterwards."""
        try:
            function()
        except psycopg.Error as error:
            self.t.say(label, error.sqlstate, error.diag.message_primary)
            self.t.expect(f'{label}: code', error.sqlstate, wanted)
        else:
            self.t.expect(f'{label}: code', None, wanted)


def create():
    with psycopg.connect('') as conn:
        conn.execute('CREATE SCHEMA with_psycopg')
        conn.execute('SET search_path TO with_psycopg')
        conn.execute(
            'CREATE TABLE item (id serial PRIMARY KEY, worker int NOT NULL,'
            ' name text UNIQUE, price numeric, at timestamptz, doc jsonb,'
            ' tags text[], raw bytea, key uuid)')
        for number in range(SESSIONS):
            conn.execute(f'CREATE TABLE shape_{number} (a int)')


def in_turn(part, **options):
    """Every transaction finds another session's backend."""
    sessions = [Session(part, n, **options) for n in range(SESSIONS)]
    for turn in range(ROUNDS):
        for s in sessions:
            attempt(s, one_round, turn)
    for s in sessions:
        attempt(s, what_is_prepared)
        s.conn.close()


def attempt(s, work, *arguments):
    """With an error, the session ends, and the others go on."""
    if s.conn.closed:
        return
    try:
        work(s, *arguments)
    except Exception as error:
        s.t.died(error)
        s.conn.close()


def what_is_prepared(s):
    for row in s.conn.execute(
            'SELECT name, statement, from_sql, parameter_types::text'
            ' FROM pg_prepared_statements ORDER BY name').fetchall():
        s.t.say('prepared', row)


def one_round(s, turn):
    n = s.number
    s.check(f'round {turn}')
    # one text for all, and one text for each under the same name
    row = s.conn.execute(
        'INSERT INTO item (worker, name, price, at) VALUES (%s, %s, %s, %s)'
        ' RETURNING id, at::text',
        (n, f'{s.t.name}/{turn}', decimal.Decimal('1.50') + turn,
         datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)),
    ).fetchone()
    s.t.say('inserted', row)
    s.t.say('own text', s.conn.execute(
        f'SELECT {n} + %s, count(*) FROM item WHERE worker = {n}'
        ' AND name LIKE %s', (turn, s.t.name + '/%')).fetchone())
    if turn % 3 == 1:
        with s.conn.transaction():
            s.conn.execute("SET LOCAL TIME ZONE 'Asia/Kolkata'")
            s.conn.execute("SET LOCAL app.user_id = 'nobody'")
            s.t.say('local', s.conn.execute(
                "SELECT current_setting('app.user_id'), at FROM item"
                ' WHERE name = %s', (f'{s.t.name}/0',)).fetchone())
    if turn % 3 == 2:
        with s.conn.transaction(force_rollback=True):
            s.conn.execute('SET search_path TO pg_catalog')
            s.conn.execute("SET TIME ZONE 'Asia/Kolkata'")
            s.conn.execute('DELETE FROM with_psycopg.item WHERE worker = %s',
                           (n,))
    s.fails('duplicate', '23505', lambda: s.conn.execute(
        'INSERT INTO item (worker, name) VALUES (%s, %s)',
        (n, f'{s.t.name}/0')))
    if turn == ROUNDS - 2:
        reshape(s)


def reshape(s):
    """A table changes under a statement that is prepared, first so that
    psycopg can't know, then by what some of its versions take for a reason to
    forget what they have prepared, and to say DEALLOCATE ALL."""
    alter = f'ALTER TABLE shape_{s.number} ADD COLUMN '
    add_column(s, 'in_do', f'DO $$BEGIN {alter} %s int; END$$', hidden=True)
    add_column(s, 'plain', f'{alter} %s int', hidden=False)


def add_column(s, prefix, statement, hidden):
    query = f'SELECT * FROM shape_{s.number} WHERE a > %s'

    def columns():
        return [c.name for c in s.conn.execute(query, (0,)).description]

    for _ in range(6):
        before = columns()
    wanted = before + [f'{prefix}_{len(before)}']
    s.conn.execute(statement % wanted[-1])
    # whatever psycopg believes, the server knows
    kept = s.conn.execute(
        "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE"
        f" 'SELECT * FROM shape_{s.number} %'", prepare=False).fetchone()[0]
    if hidden:
        s.t.expect('still prepared', kept, 1)
    else:
        s.t.say('still prepared', kept)
    if kept:
        s.fails('result type', '0A000', columns)
        # here, too, psycopg forgets what it has prepared
        with s.conn.transaction(force_rollback=True):
            s.conn.execute('SELECT 1')
    s.t.expect('shape', columns(), wanted)


def side_by_side(part, work, **options):
    """All sessions at once, each in a thread."""
    def run(session):
        attempt(session, work)
        session.conn.close()

    sessions = [Session(part, n, **options) for n in range(SESSIONS)]
    threads = [threading.Thread(target=run, args=(s,)) for s in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def pipelines(s):
    for turn in range(4):
        with s.conn.pipeline() as pipeline, s.conn.cursor() as cur:
            cur.executemany(
                'INSERT INTO item (worker, name) VALUES (%s, %s)'
                ' RETURNING name',
                [(s.number, f'{s.t.name}/{turn}/{i}') for i in range(60)],
                returning=True)
            names = [cur.fetchone()[0]]
            while cur.nextset():
                names.append(cur.fetchone()[0])
            s.t.say('many', names)
            pipeline.sync()
            later = [s.conn.execute('SELECT %s::int * 2', (i,))
                     for i in range(10)]
            s.t.say('later', [c.fetchone()[0] for c in later])
        s.fails('broken pipeline', '22012', lambda: broken_pipeline(s, turn))
        s.t.say('kept', s.conn.execute(
            'SELECT count(*) FROM item WHERE name LIKE %s',
            (f'{s.t.name}/%',)).fetchone())
        s.check()


def broken_pipeline(s, turn):
    """What comes before a Sync stays, what follows is lost with the error.
    (Nothing is prepared: psycopg 3.1 would believe that what is skipped after
    the error had been prepared.)"""
    insert = 'INSERT INTO item (worker, name) VALUES (%s, %s)'
    with s.conn.pipeline() as pipeline:
        for name in 'broken', 'lost', 'never':
            s.conn.execute(insert, (s.number, f'{s.t.name}/{name} {turn}'),
                           prepare=False)
            if name == 'broken':
                pipeline.sync()
            if name == 'lost':
                s.conn.execute('SELECT 1 / %s', (0,), prepare=False)


def cursors_and_copy(s):
    conn, n = s.conn, s.number
    for turn in range(2):
        with conn.cursor().copy('COPY item (worker, name, price, doc) FROM STDIN') as copy:
            for i in range(2000):
                copy.write_row((n, f'{s.t.name}/{turn}/{i}', i, f'{{"i": {i}}}'))
        with conn.transaction(), conn.cursor('portal') as cur:
            cur.itersize = 300
            cur.execute('SELECT name, price, doc FROM item WHERE worker = %s'
                        ' AND name LIKE %s ORDER BY id',
                        (n, f'{s.t.name}/{turn}/%'))
            s.t.say('cursor', sum(price for _, price, _ in cur), cur.rowcount)
        with conn.transaction(), conn.cursor('scroll', scrollable=True) as cur:
            cur.execute('SELECT generate_series(1, 1000)')
            cur.scroll(500)
            s.t.say('scrolled', cur.fetchmany(3))
            cur.scroll(-100)
            s.t.say('back', cur.fetchone())
        lines = []
        with conn.cursor().copy('COPY (SELECT name, price, doc FROM item'
                                ' WHERE name LIKE %s ORDER BY id) TO STDOUT',
                                (f'{s.t.name}/{turn}/%',)) as copy:
            for data in copy:
                lines.append(bytes(data))
        s.t.say('copied out', len(lines), b''.join(lines))
        with conn.cursor().copy('COPY (SELECT i, i::text, now() - now() FROM'
                                ' generate_series(1, 5) i) TO STDOUT (FORMAT BINARY)') as copy:
            copy.set_types(['int4', 'text', 'interval'])
            s.t.say('copied out, binary', list(copy.rows()))
        s.fails('bad copy', '22P02', lambda: bad_copy(conn))
        s.fails('copy that gives up', '57014', lambda: abandoned_copy(conn))
        s.check()


def bad_copy(conn):
    with conn.cursor().copy('COPY item (worker, name) FROM STDIN') as copy:
        copy.write('one\ttwo\n')


def abandoned_copy(conn):
    with conn.cursor().copy('COPY item (worker, name) FROM STDIN') as copy:
        copy.write('1\ttwo\n')
        raise psycopg.errors.QueryCanceled('never mind')


def values(s):
    """Types, in text and in binary, large and small, and notices."""
    conn, n = s.conn, s.number
    for turn in range(3):
        for binary in False, True:
            with conn.cursor(binary=binary, row_factory=dict_row) as cur:
                cur.execute(
                    'INSERT INTO item (worker, name, price, at, doc, tags, raw, key)'
                    ' VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING'
                    ' name, price, at, doc, tags, raw, key', (
                        n, f'{s.t.name}/{turn}/{binary}', decimal.Decimal('12.340'),
                        datetime.datetime(2020, 2, 2, tzinfo=datetime.timezone.utc),
                        psycopg.types.json.Jsonb({'a': [1, None, 'x']}),
                        ['a', 'b,c', '"'], bytes(range(256)), uuid.UUID(int=n)))
                s.t.say('row', *cur.fetchone().items())
        big = bytes((i * 7 + n) % 256 for i in range(1000)) * 3000
        got = conn.execute('SELECT %b::bytea', (big,)).fetchone()[0]
        s.t.expect('3 MB there and back', got == big, True)
        conn.execute("DO $$BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'"
                     " USING ERRCODE = '01234'; END$$")
        s.t.say('notices', s.notices)
        s.notices.clear()
        s.fails('division', '22012', lambda: conn.execute('SELECT 1 / %s', (0,)))
        s.fails('timeout', '57014', lambda: timeout(conn))
        s.check()
    s.fails('cancel', '57014', lambda: cancel(conn))
    s.check()


def timeout(conn):
    with conn.transaction():
        conn.execute("SET LOCAL statement_timeout = '20ms'")
        conn.execute('SELECT pg_sleep(60)')


def cancel(conn):
    timer = threading.Timer(0.5, conn.cancel)
    timer.start()
    try:
        conn.execute('SELECT pg_sleep(60)')
    finally:
        timer.join()


def nested(s):
    """Transactions in transactions, errors inside, and isolation levels."""
    conn, n = s.conn, s.number
    for turn in range(3):
        with conn.transaction():
            conn.execute('INSERT INTO item (worker, name) VALUES (%s, %s)',
                         (n, f'{s.t.name}/outer {turn}'))
            s.fails('inner', '23505', lambda: inner(conn, s, turn))
            with conn.transaction('named'):
                conn.execute('UPDATE item SET price = %s WHERE name = %s',
                             (turn, f'{s.t.name}/outer {turn}'))
        conn.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        conn.read_only = True
        with conn.transaction():
            s.t.say('level', conn.execute('SHOW transaction_isolation').fetchone(),
                    conn.execute('SHOW transaction_read_only').fetchone())
        s.fails('read only', '25006', lambda: read_only(conn))
        conn.isolation_level = conn.read_only = None
        s.t.say('rows', conn.execute(
            'SELECT name, price FROM item WHERE name LIKE %s ORDER BY name',
            (f'{s.t.name}/%',)).fetchall())
        s.check()


def inner(conn, s, turn):
    with conn.transaction():
        conn.execute('INSERT INTO item (worker, name) VALUES (%s, %s)',
                     (s.number, f'{s.t.name}/outer {turn}'))


def read_only(conn):
    with conn.transaction():
        conn.execute('CREATE TABLE never (i int)')


def without_autocommit(s):
    """psycopg's default: a transaction begins with the first statement."""
    conn, n = s.conn, s.number
    conn.autocommit = False
    for turn in range(ROUNDS):
        conn.execute('INSERT INTO item (worker, name) VALUES (%s, %s)',
                     (n, f'{s.t.name}/{turn}'))
        conn.execute("SET app.turn TO 'lost'" if turn % 2
                     else f"SET app.turn TO 'turn {turn}'")
        if turn % 2:
            conn.rollback()
        else:
            conn.commit()
        s.t.expect('set', conn.execute('SHOW app.turn').fetchone()[0],
                   f'turn {turn - turn % 2}')
        s.check()
        conn.commit()
    s.t.say('kept', conn.execute('SELECT name FROM item WHERE name LIKE %s'
                                 ' ORDER BY id', (f'{s.t.name}/%',)).fetchall())


def few_statements(s):
    """So many statements that psycopg deallocates the oldest."""
    s.conn.prepared_max = 3
    for turn in range(3):
        for i in range(5):
            s.t.say('sum', s.conn.execute(
                f'SELECT %s::int + {i}', (turn,), prepare=True).fetchone())
    s.t.say('prepared', s.conn.execute(
        'SELECT name, statement FROM pg_prepared_statements'
        " WHERE from_sql OR NOT from_sql ORDER BY name").fetchall())


def state(s):
    """What can't travel: the backend has to stay."""
    conn, n = s.conn, s.number
    conn.execute('CREATE TEMP TABLE scratch (i int, t text DEFAULT current_setting(\'app.user_id\'))')
    for turn in range(10):
        conn.execute('INSERT INTO scratch VALUES (%s)', (turn * 10 + n,))
        s.t.say('scratch', conn.execute(
            'SELECT count(*), sum(i), min(t), max(t) FROM scratch').fetchone())
    conn.execute('DROP TABLE scratch')
    conn.execute('SELECT pg_advisory_lock(%s)', (4711,))
    s.t.say('locks', conn.execute(
        "SELECT objid, mode FROM pg_locks WHERE locktype = 'advisory'"
        ' AND pid = pg_backend_pid() ORDER BY 1').fetchall())
    for turn in range(3):
        conn.execute('SELECT 1')
    s.t.expect('unlock', conn.execute(
        'SELECT pg_advisory_unlock(%s)', (4711,)).fetchone()[0], True)
    conn.execute('CREATE SEQUENCE own_%d START 100' % n)
    s.t.say('nextval', conn.execute(f"SELECT nextval('own_{n}')").fetchone())
    s.t.expect('currval', conn.execute(
        f"SELECT currval('own_{n}'), lastval()").fetchone(), (100, 100))
    with conn.cursor('hold', withhold=True) as cur:
        cur.execute('SELECT generate_series(1, 10)')
        s.t.say('hold', cur.fetchmany(4))
        conn.execute('SELECT 1')
        s.t.say('hold', cur.fetchmany(10))
    s.check()


def listen():
    """Versions of psycopg differ in what they give to a handler and what to
    the generator if there are both, or if there is neither as yet: so there is
    one at a time, and it is there when something comes."""
    listener = Session('listen', 0)
    notifier = Session('listen', 1) if ALONE else listener
    if ALONE:
        transcripts.remove(notifier.t)
    t = listener.t
    heard = []
    if not ALONE:
        listener.conn.add_notify_handler(heard.append)
    listener.conn.execute('LISTEN psycopg_news')
    pid = notifier.conn.info.backend_pid
    for i in range(3):
        notifier.conn.execute("SELECT pg_notify('psycopg_news', %s)", (f'news {i}',))
    try:
        if ALONE:
            heard.extend(by_generator(listener, 3))
            listener.conn.add_notify_handler(heard.append)
        else:
            wait_for_handler(listener, heard, 3)
        listener.conn.execute('UNLISTEN *')
        t.say('channels', listener.conn.execute(
            'SELECT pg_listening_channels()').fetchall())
        listener.check()
        # each of them once, and nothing else since
        t.expect('notifications', [
            (notify.channel, notify.payload, notify.pid == pid) for notify in heard],
            [('psycopg_news', f'news {i}', True) for i in range(3)])
    except Exception as error:
        t.died(error)
    listener.conn.close()
    notifier.conn.close()


def by_generator(listener, count):
    """So many notifications; the socket is shut if they do not come."""
    waiting = listener.conn.notifies()
    with socket.socket(fileno=os.dup(listener.conn.fileno())) as sock:
        timer = threading.Timer(TIMEOUT, sock.shutdown, [socket.SHUT_RDWR])
        timer.start()
        try:
            return [next(waiting) for _ in range(count)]
        finally:
            timer.cancel()
            waiting.close()


def wait_for_handler(listener, heard, count):
    """What a session tells itself comes with a query's result, or soon after;
    the handler is called when a query reads it."""
    while len(heard) < count and select.select([listener.conn], [], [], TIMEOUT)[0]:
        listener.conn.execute('SELECT 1')


def pooled():
    """psycopg's own pool on top: four connections, eight threads."""
    def configure(conn):
        conn.execute('SET search_path TO with_psycopg')
        conn.execute("SET app.user_id = 'pooled'")
        conn.commit()

    def work(t, pool, n):
        try:
            for turn in range(15):
                with pool.connection() as conn:
                    t.expect('settings', conn.execute(
                        "SELECT current_schema(), current_setting('app.user_id')"
                    ).fetchone(), ('with_psycopg', 'pooled'))
                    conn.execute('INSERT INTO item (worker, name) VALUES (%s, %s)',
                                 (n, f'{t.name}/{turn}'))
                    t.say('count', conn.execute(
                        'SELECT count(*) FROM item WHERE name LIKE %s',
                        (f'{t.name}/%',)).fetchone())
        except Exception as error:
            t.died(error)

    with ConnectionPool('', min_size=4, max_size=4, configure=configure) as pool:
        threads = []
        for n in range(8):
            t = Transcript(f'pool {n}')
            transcripts.append(t)
            threads.append(threading.Thread(target=work, args=(t, pool, n)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def part(function, *arguments, **options):
    try:
        function(*arguments, **options)
    except Exception as error:
        t = Transcript(f'{function.__name__} {arguments[0] if arguments else ""}')
        transcripts.append(t)
        t.died(error)


part(create)
part(in_turn, 'default')
part(in_turn, 'prepare at once', prepare_threshold=0)
for work in (pipelines, cursors_and_copy, values, nested, without_autocommit,
             few_statements, state):
    part(side_by_side, work.__name__.replace('_', ' '), work)
part(listen)
part(pooled)
finish(transcripts)
